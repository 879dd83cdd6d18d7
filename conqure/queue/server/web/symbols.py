"""How each gate looks: controls as dots, targets as ⊕, × or a box, measurements as a meter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qpu_executors.translation.gates import Op

from .svg import Svg, element

BOX, LINE = 36, 48  # pixels: height of a box, and from wire to wire

# name -> (how many of its qubits are controls, what stands on the others)
_CONTROLLED = {
    "cx": (1, "+"), "ccx": (2, "+"), "cz": (2, ""), "ccz": (3, ""), "cswap": (1, "x"), "swap": (0, "x"),
    "cy": (1, "Y"), "ch": (1, "H"), "cs": (1, "S"), "csdg": (1, "S†"), "csx": (1, "√X"),
    "cp": (1, "P"), "cu1": (1, "P"), "cu": (1, "U"), "cu3": (1, "U"),
    "crx": (1, "RX"), "cry": (1, "RY"), "crz": (1, "RZ"),
}  # fmt: skip
_LABELS = {"sdg": "S†", "tdg": "T†", "sx": "√X", "sxdg": "√X†", "id": "I", "reset": "|0⟩"}
_ORDERED = {"ecr", "rzx", "dcx", "rccx"}  # which qubit is which matters, and no dot tells


class Place(NamedTuple):
    """Where an op goes: the middle of its column, and a wire for each of its qubits, pixels."""

    x: float
    ys: tuple[float, ...]


def label_of(op: Op, index: int) -> str:
    """What stands in the box of one of its qubits."""
    text = _CONTROLLED[op.name][1] if op.name in _CONTROLLED else _LABELS.get(op.name, op.name.upper())
    return f"{text} {index}" if op.name in _ORDERED else text


def width_of(op: Op, texts: Sequence[str]) -> float:
    """How wide its column must be, pixels."""
    return {"barrier": 4.0, "measure": float(BOX)}.get(op.name) or _box_width(label_of(op, 0), texts)


def _box_width(label: str, texts: Sequence[str]) -> float:
    return max(BOX, 8.5 * len(label) + 14, 6.2 * len(_joined(texts)) + 12)


def draw_op(op: Op, texts: Sequence[str], place: Place) -> Svg:
    """One op with its tooltip; ``texts`` are its angles."""
    angles = f"({_joined(texts)})" if texts else ""
    says = f"{op.name}{angles} on {_joined([f'q{qubit}' for qubit in op.qubits])}"
    if op.bits:
        says += f" to bit {op.bits[0]}"
    return element("g", element("title", says), *_parts(op, texts, place), class_=f"op {_kind(op)}")


def _kind(op: Op) -> str:
    return op.name if op.name in ("measure", "barrier", "reset") else "gate"


def _parts(op: Op, texts: Sequence[str], place: Place) -> list[Svg]:
    x, ys = place
    if op.name == "barrier":
        top, bottom = min(ys) - BOX / 2, max(ys) + BOX / 2
        return [element("line", x1=x, x2=x, y1=top, y2=bottom, class_="barrier-line", stroke_dasharray="4 4")]
    if op.name == "measure":
        return _meter(x, ys[0], op.bits[0])
    controls, what = _CONTROLLED.get(op.name, (0, None))
    parts = [element("line", x1=x, x2=x, y1=min(ys), y2=max(ys), class_="link")] if len(ys) > 1 else []
    parts += [element("circle", cx=x, cy=y, r=5, class_="control") for y in ys[:controls]]
    for index, y in enumerate(ys[controls:]):
        parts += _target(what, x, y) if what in ("+", "x") else _box(label_of(op, index), texts, x, y)
    return parts


def _target(what: str | None, x: float, y: float) -> list[Svg]:
    if what == "x":
        return [element("path", d=f"M{x - 6} {y - 6}l12 12M{x - 6} {y + 6}l12 -12", class_="cross")]
    return [
        element("circle", cx=x, cy=y, r=11, class_="target"),
        element("path", d=f"M{x - 11} {y}h22M{x} {y - 11}v22", class_="cross"),
    ]


def _box(label: str, texts: Sequence[str], x: float, y: float) -> list[Svg]:
    width = _box_width(label, texts)
    parts = [element("rect", x=x - width / 2, y=y - BOX / 2, width=width, height=BOX, rx=4, class_="box")]
    up = 7 if texts else 0
    parts.append(element("text", label, x=x, y=y - up, dy="0.35em", text_anchor="middle", class_="name"))
    if texts:
        parts.append(element("text", _joined(texts), x=x, y=y + 9, dy="0.35em", text_anchor="middle", class_="angle"))
    return parts


def _meter(x: float, y: float, bit: int) -> list[Svg]:
    half = BOX / 2
    return [
        element("rect", x=x - half, y=y - half, width=BOX, height=BOX, rx=4, class_="box"),
        element("path", d=f"M{x - 11} {y + 1}a11 11 0 0 1 22 0M{x} {y + 1}l7 -11", class_="meter"),
        element("text", f"c{bit}", x=x, y=y + 11, dy="0.3em", text_anchor="middle", class_="angle"),
    ]


def _joined(texts: Sequence[str]) -> str:
    return ", ".join(texts)
