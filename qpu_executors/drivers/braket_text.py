"""`gates` programs as OpenQASM 3 for Amazon Braket, in the gates that a device has.

Braket's gate names are not those of OpenQASM's stdgates.inc, and devices lack some of them. What a device lacks is
replaced by its definition in other gates, again and again, down to rx, rz, ry and cnot. The definitions hold up to a
global phase; the tests compare each with Qiskit's matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import pi

from ..device import Counts
from ..errors import InvalidTask
from ..translation.gates import Angle, GateProgram, Op, bind, is_final

# Ours -> Braket's name of the same matrix.
NAMES = {
    **dict.fromkeys(("x", "y", "z", "h", "s", "t", "rx", "ry", "rz", "cy", "cz", "swap", "iswap", "ecr", "cswap"), ""),
    "id": "i",
    "sdg": "si",
    "tdg": "ti",
    "sx": "v",
    "sxdg": "vi",
    "p": "phaseshift",
    "u1": "phaseshift",
    "r": "prx",
    "cx": "cnot",
    "csx": "cv",
    "cp": "cphaseshift",
    "cu1": "cphaseshift",
    "ccx": "ccnot",
    "rxx": "xx",
    "ryy": "yy",
    "rzz": "zz",
}
NAMES = {ours: theirs or ours for ours, theirs in NAMES.items()}

Step = tuple[str, tuple[int, ...], tuple[Angle, ...]]
Definition = Callable[..., Iterable[tuple[object, ...]]]


def times(angle: Angle, factor: float) -> Angle:
    """A multiple of an angle, which may be affine in the parameters."""
    if not isinstance(angle, tuple):
        return angle * factor
    return tuple(value if place % 2 else value * factor for place, value in enumerate(angle))


def plus(one: Angle, two: Angle) -> Angle:
    """The sum of two angles; terms of the same parameter may stand twice."""
    first = one if isinstance(one, tuple) else (one,)
    second = two if isinstance(two, tuple) else (two,)
    found = (first[0] + second[0], *first[1:], *second[1:])
    return found if len(found) > 1 else found[0]


def _half_sum(a: Angle, b: Angle, sign: float = 1.0) -> Angle:
    return plus(times(a, 0.5), times(b, 0.5 * sign))


def _cu3(t: Angle, f: Angle, d: Angle) -> list[tuple[object, ...]]:
    """Barenco et al. 1995, corollary 5.3."""
    return [
        ("p", 0, _half_sum(d, f)),
        ("p", 1, _half_sum(d, f, -1)),
        ("cx", 0, 1),
        ("u", 1, times(t, -0.5), 0.0, times(_half_sum(f, d), -1)),
        ("cx", 0, 1),
        ("u", 1, times(t, 0.5), f, 0.0),
    ]


# name -> its definition: the angles -> (gate, qubit …, angle …), qubits by their place in the gate.
DEFINITIONS: dict[str, Definition] = {
    "id": list,
    "x": lambda: [("rx", 0, pi)],
    "y": lambda: [("ry", 0, pi)],
    "z": lambda: [("rz", 0, pi)],
    "s": lambda: [("rz", 0, pi / 2)],
    "sdg": lambda: [("rz", 0, -pi / 2)],
    "t": lambda: [("rz", 0, pi / 4)],
    "tdg": lambda: [("rz", 0, -pi / 4)],
    "sx": lambda: [("rx", 0, pi / 2)],
    "sxdg": lambda: [("rx", 0, -pi / 2)],
    "h": lambda: [("rz", 0, pi / 2), ("rx", 0, pi / 2), ("rz", 0, pi / 2)],
    "p": lambda a: [("rz", 0, a)],
    "u1": lambda a: [("rz", 0, a)],
    "ry": lambda a: [("rz", 0, -pi / 2), ("rx", 0, a), ("rz", 0, pi / 2)],
    "r": lambda t, f: [("rz", 0, times(f, -1)), ("rx", 0, t), ("rz", 0, f)],
    "u": lambda t, f, d: [("rz", 0, d), ("ry", 0, t), ("rz", 0, f)],
    "u2": lambda f, d: [("u", 0, pi / 2, f, d)],
    "u3": lambda t, f, d: [("u", 0, t, f, d)],
    "cy": lambda: [("sdg", 1), ("cx", 0, 1), ("s", 1)],
    "cz": lambda: [("h", 1), ("cx", 0, 1), ("h", 1)],
    "ch": lambda: [("ry", 1, -pi / 4), ("cz", 0, 1), ("ry", 1, pi / 4)],
    "cs": lambda: [("cp", 0, 1, pi / 2)],
    "csdg": lambda: [("cp", 0, 1, -pi / 2)],
    "csx": lambda: [("h", 1), ("cs", 0, 1), ("h", 1)],
    "cp": lambda a: [
        ("p", 0, times(a, 0.5)),
        ("cx", 0, 1),
        ("p", 1, times(a, -0.5)),
        ("cx", 0, 1),
        ("p", 1, times(a, 0.5)),
    ],
    "cu1": lambda a: [("cp", 0, 1, a)],
    "crz": lambda a: [("rz", 1, times(a, 0.5)), ("cx", 0, 1), ("rz", 1, times(a, -0.5)), ("cx", 0, 1)],
    "cry": lambda a: [("ry", 1, times(a, 0.5)), ("cx", 0, 1), ("ry", 1, times(a, -0.5)), ("cx", 0, 1)],
    "crx": lambda a: [("h", 1), ("crz", 0, 1, a), ("h", 1)],
    "cu3": _cu3,
    "cu": lambda t, f, d, g: [("p", 0, g), *_cu3(t, f, d)],
    "swap": lambda: [("cx", 0, 1), ("cx", 1, 0), ("cx", 0, 1)],
    "dcx": lambda: [("cx", 0, 1), ("cx", 1, 0)],
    "iswap": lambda: [("s", 0), ("s", 1), ("h", 0), ("cx", 0, 1), ("cx", 1, 0), ("h", 1)],
    "ecr": lambda: [("rzx", 0, 1, pi / 4), ("x", 0), ("rzx", 0, 1, -pi / 4)],
    "rzz": lambda a: [("cx", 0, 1), ("rz", 1, a), ("cx", 0, 1)],
    "rxx": lambda a: [("h", 0), ("h", 1), ("rzz", 0, 1, a), ("h", 0), ("h", 1)],
    "ryy": lambda a: [
        *(("rx", qubit, pi / 2) for qubit in (0, 1)),
        ("rzz", 0, 1, a),
        *(("rx", qubit, -pi / 2) for qubit in (0, 1)),
    ],
    "rzx": lambda a: [("h", 1), ("rzz", 0, 1, a), ("h", 1)],
    "xx_plus_yy": lambda a, b: [
        ("rz", 0, b),
        ("rxx", 0, 1, times(a, 0.5)),
        ("ryy", 0, 1, times(a, 0.5)),
        ("rz", 0, times(b, -1)),
    ],
    "xx_minus_yy": lambda a, b: [
        ("rz", 1, times(b, -1)),
        ("rxx", 0, 1, times(a, 0.5)),
        ("ryy", 0, 1, times(a, -0.5)),
        ("rz", 1, b),
    ],
    "ccx": lambda: [
        ("h", 2),
        *(("cx", 1, 2), ("tdg", 2), ("cx", 0, 2), ("t", 2), ("cx", 1, 2), ("tdg", 2), ("cx", 0, 2)),
        *(("t", 1), ("t", 2), ("h", 2), ("cx", 0, 1), ("t", 0), ("tdg", 1), ("cx", 0, 1)),
    ],
    "ccz": lambda: [("h", 2), ("ccx", 0, 1, 2), ("h", 2)],
    "cswap": lambda: [("cx", 2, 1), ("ccx", 0, 1, 2), ("cx", 2, 1)],
    "rccx": lambda: [
        *(("h", 2), ("t", 2), ("cx", 1, 2), ("tdg", 2), ("cx", 0, 2)),
        *(("t", 2), ("cx", 1, 2), ("tdg", 2), ("h", 2)),
    ],
}
_SIZE = {"ccx": 3}  # qubits of the gates that definitions use, where not 1 or 2
_TWO = frozenset({"cx", "cz", "cs", "cp", "crz", "rzz", "rxx", "ryy", "rzx"})


def steps(op: Op, has: Collection[str], who: str) -> Iterator[Step]:
    """A gate in Braket's names, using only those that the device has.

    Raises:
        InvalidTask: it cannot be made of them.
    """
    theirs = NAMES.get(op.name)
    if theirs in has:
        assert theirs is not None
        yield theirs, op.qubits, op.angles
        return
    if op.name not in DEFINITIONS:
        raise InvalidTask(f"{who} has no gate {theirs or op.name!r}, nor others to make it of.")
    for name, *rest in DEFINITIONS[op.name](*op.angles):
        assert isinstance(name, str)
        size = _SIZE.get(name, 2 if name in _TWO else 1)
        qubits = tuple(op.qubits[place] for place in rest[:size])  # type: ignore[call-overload]
        yield from steps(Op(name, qubits, tuple(rest[size:])), has, who)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Prepared:
    """A program ready to be written out for each row.

    Attributes:
        lines: text, or a step whose angles are still to be bound.
        reads: the bit of the text that each classical bit of the program gets; later ones win.
        qubits: the qubit that each bit of the text measures.
    """

    program: GateProgram
    lines: tuple[str | Step, ...]
    reads: tuple[tuple[int, int], ...]
    qubits: tuple[int, ...]

    @classmethod
    def of(cls, program: GateProgram, has: Collection[str], who: str, *, midway: bool) -> Prepared:
        """In the gates a device ``has``; ``midway``: it measures and resets anywhere."""
        if not midway and not is_final(program):
            raise InvalidTask(
                f"{who} measures at the end only, and resets nothing. Choose a simulator, such as a 'statevector' QPU."
            )
        body: list[str | Step] = []
        reads: list[tuple[int, int]] = []
        qubits: list[int] = []
        for op in program.ops:
            if op.name == "measure":
                for qubit, bit in zip(op.qubits, op.bits, strict=True):
                    if midway or qubit not in qubits:  # at the end a second measurement would say the same
                        body.append(f"b[{len(qubits)}] = measure q[{qubit}];")
                        qubits.append(qubit)
                    reads.append((bit, len(qubits) - 1 if midway else qubits.index(qubit)))
            elif op.name == "reset":
                body += [f"reset q[{qubit}];" for qubit in op.qubits]
            elif op.name == "barrier":
                if midway:  # machines of Braket refuse barriers outside verbatim boxes
                    body.append(f"barrier {_places(op.qubits)};")
            else:
                body += steps(op, has, who)
        head = ["OPENQASM 3.0;", f"qubit[{program.n_qubits}] q;", f"bit[{len(qubits)}] b;"]
        lines = (*head, *(one if isinstance(one, str) or _open(one) else _text(one, ()) for one in body))
        return cls(program, lines, tuple(reads), tuple(qubits))

    def text(self, row: Sequence[float]) -> str:
        """OpenQASM 3 with the row's values in place of the parameters: every device takes that."""
        return "\n".join(line if isinstance(line, str) else _text(line, row) for line in self.lines) + "\n"

    def counts(self, seen: Iterable[tuple[Sequence[int], int]]) -> Counts:
        """Counts of outcomes, each the values of the text's bits in order and how often it was seen."""
        found: Counts = {}
        for values, number in seen:
            bits = 0
            for bit, column in self.reads:
                bits = bits & ~(1 << bit) | int(values[column]) << bit
            key = self.program.key(bits)
            found[key] = found.get(key, 0) + number
        return found


def _open(step: Step) -> bool:
    return any(isinstance(angle, tuple) for angle in step[2])


def _text(step: Step, row: Sequence[float]) -> str:
    name, qubits, angles = step
    values = f"({', '.join(repr(float(bind(angle, row))) for angle in angles)})" if angles else ""
    return f"{name}{values} {_places(qubits)};"


def _places(qubits: Iterable[int]) -> str:
    return ", ".join(f"q[{qubit}]" for qubit in qubits)
