"""A `gates` program drawn as wires and boxes: a pure function from a program to SVG text.

Gates are packed to the left as far as order allows. What is too large to look at is not drawn; `listing` and `census`
say in text what it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from qpu_executors.translation.gates import Angle, GateProgram, Op

from .svg import Svg, element
from .symbols import BOX, LINE, Place, draw_op, width_of

MAX_QUBITS = 40
MAX_COLUMNS = 120
MAX_OPS = 3_000
MAX_LISTED = 200
_TOP, _GAP = 8, 12  # pixels above the first wire's box, and between columns


class Step(NamedTuple):
    """An op in its column; ``texts`` are its angles as they are drawn."""

    op: Op
    column: int
    texts: tuple[str, ...]


def draw(program: GateProgram, values: Sequence[float] = ()) -> Svg | None:
    """The circuit, with the values of its parameters (radians) in it if they are given; None if it is too large."""
    if not 0 < program.n_qubits <= MAX_QUBITS or len(program.ops) > MAX_OPS:
        return None
    steps = list(pack(program, values))
    n_columns = max((step.column for step in steps), default=-1) + 1
    if n_columns > MAX_COLUMNS:
        return None
    names = [f"q{qubit}" for qubit in range(program.n_qubits)]
    left = 8.0 * max(map(len, names)) + 14
    lefts, right = _columns(steps, n_columns, left)
    height = 2 * _TOP + BOX + LINE * (program.n_qubits - 1)
    wires = [_wire(name, left, right, _y(qubit)) for qubit, name in enumerate(names)]
    drawn = [draw_op(step.op, step.texts, _place(step, lefts)) for step in steps]
    return element(
        "svg",
        *wires,
        *drawn,
        class_="circuit",
        width=right,
        height=height,
        viewBox=f"0 0 {right:.0f} {height}",
        role="img",
        aria_label=f"Circuit: {census(program)}",
    )


def census(program: GateProgram) -> str:
    """What it is made of, in a line.

    >>> census(GateProgram(2, (), (), (Op("h", (0,)), Op("cx", (0, 1)))))
    '2 qubits, 2 operations (1 h, 1 cx)'
    """
    kinds = Counter(op.name for op in program.ops)
    parts = ", ".join(f"{count:,} {name}" for name, count in kinds.most_common(8))
    more = ", …" if len(kinds) > 8 else ""
    return f"{_many(program.n_qubits, 'qubit')}, {_many(len(program.ops), 'operation')}" + (
        f" ({parts}{more})" if parts else ""
    )


def listing(program: GateProgram, values: Sequence[float] = ()) -> list[str]:
    """The ops as lines of text, the first `MAX_LISTED`."""
    lines = []
    for op in program.ops[:MAX_LISTED]:
        angles = ", ".join(_angle(angle, program.parameters, values) for angle in op.angles)
        qubits, bits = (", ".join(f"{letter}{n}" for n in of[:16]) for letter, of in (("q", op.qubits), ("c", op.bits)))
        more = ", …" if len(op.qubits) > 16 else ""
        lines.append(f"{op.name}{f'({angles})' if angles else ''} {qubits}{more}{f' → {bits}{more}' if bits else ''}")
    left = len(program.ops) - MAX_LISTED
    return [*lines, f"… and {left:,} more"] if left > 0 else lines


def pack(program: GateProgram, values: Sequence[float] = ()) -> Iterator[Step]:
    free = [0] * program.n_qubits  # per wire the first column with nothing in it
    for op in program.ops:
        for part in _parts(op):
            if not part.qubits:
                continue
            span = range(min(part.qubits), max(part.qubits) + 1)
            column = max(free[qubit] for qubit in span)
            for qubit in span:
                free[qubit] = column + 1
            yield Step(part, column, tuple(_angle(angle, program.parameters, values) for angle in part.angles))


def _parts(op: Op) -> list[Op]:
    """A measurement or reset of many qubits, as one of each: they need not stand in one column."""
    if op.name == "measure":
        return [Op(op.name, (qubit,), bits=(bit,)) for qubit, bit in zip(op.qubits, op.bits, strict=True)]
    return [Op(op.name, (qubit,)) for qubit in op.qubits] if op.name == "reset" else [op]


def _columns(steps: Sequence[Step], n_columns: int, left: float) -> tuple[list[tuple[float, float]], float]:
    """Left edge and width of each column, and where the wires end."""
    widths = [0.0] * n_columns
    for step in steps:
        widths[step.column] = max(widths[step.column], width_of(step.op, step.texts))
    edges, x = [], left + _GAP
    for width in widths:
        edges.append((x, width))
        x += width + _GAP
    return edges, x + _GAP


def _place(step: Step, edges: Sequence[tuple[float, float]]) -> Place:
    x, width = edges[step.column]
    return Place(x + width / 2, tuple(_y(qubit) for qubit in step.op.qubits))


def _y(qubit: int) -> float:
    return _TOP + BOX / 2 + LINE * qubit


def _wire(name: str, left: float, right: float, y: float) -> Svg:
    return element(
        "g",
        element("text", name, x=left - 8, y=y, dy="0.35em", text_anchor="end", class_="wire-name"),
        element("line", x1=left, x2=right, y1=y, y2=y, class_="wire"),
    )


def _angle(angle: Angle, names: Sequence[str], values: Sequence[float]) -> str:
    if not isinstance(angle, tuple):
        return _radians(angle)
    offset, terms = angle[0], list(zip(angle[1::2], angle[2::2], strict=True))
    if len(values) == len(names):
        return _radians(offset + sum(scale * values[int(index)] for index, scale in terms))
    text = "".join(f"{'-' if scale < 0 else '+'}{_scaled(abs(scale), names[int(index)])}" for index, scale in terms)
    return text.removeprefix("+") + (f"{'-' if offset < 0 else '+'}{_radians(abs(offset))}" if offset else "")


def _scaled(scale: float, name: str) -> str:
    name = name if len(name) <= 12 else f"{name[:11]}…"
    return name if scale == 1 else f"{scale:.3g}·{name}"


def _radians(angle: float) -> str:
    """Simple fractions of π by name, others with three digits."""
    parts = angle / (math.pi / 48)
    n = round(parts)
    divisor = math.gcd(n, 48)
    n, d = n // divisor, 48 // divisor
    if n == 0 or d > 16 or abs(n) > 64 or abs(parts - n * divisor) > 1e-9:
        return f"{angle:.3g}"
    return f"{'-' if n < 0 else ''}{'' if abs(n) == 1 else abs(n)}π{'' if d == 1 else f'/{d}'}"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
