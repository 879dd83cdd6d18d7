"""Programs in the native gates of a trapped-ion machine: RX, RY, RZ and RXX, between any two ions.

Every gate of the language `gates` has a definition in simpler ones, exact up to a global phase, whose angles are affine
in its own: so a program with parameters stays one, and binding a row needs no compiler. RZ is virtual: it shifts the
phase of what follows, takes no time and has no error. A swap only renames two ions.

The entangling gate is the Mølmer-Sørensen gate, RXX; CX from one of it as in Maslov, New J. Phys. 19, 023035 (2017).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Sequence

from .gates import Angle, GateProgram, Op, affine

NATIVE = ("rx", "ry", "rz", "rxx")
PULSES = ("rx", "ry")  # one-qubit gates that take time
_SAME = 1e-12  # radians; a smaller rotation is none
_HALF, _QUARTER, _EIGHTH = math.pi, math.pi / 2, math.pi / 4  # parts of a full turn


def _op(name: str, qubits: str, *angles: Angle) -> Op:
    return Op(name, tuple(map(int, qubits)), angles)


def _times(scale: float, index: int = 0, offset: float = 0.0) -> Angle:
    """``offset + scale * (the gate's own angle number index)``."""
    return affine(offset, [(index, scale)])


_FIRST, _SECOND, _THIRD = _times(1.0), _times(1.0, 1), _times(1.0, 2)

# name -> what it is made of; qubits are the gate's own, angles are affine in the gate's own.
DEFINITIONS: dict[str, tuple[Op, ...]] = {
    "id": (),
    "x": (_op("rx", "0", _HALF),),
    "y": (_op("ry", "0", _HALF),),
    "z": (_op("rz", "0", _HALF),),
    "h": (_op("rz", "0", _HALF), _op("ry", "0", _QUARTER)),
    "s": (_op("rz", "0", _QUARTER),),
    "sdg": (_op("rz", "0", -_QUARTER),),
    "t": (_op("rz", "0", _EIGHTH),),
    "tdg": (_op("rz", "0", -_EIGHTH),),
    "sx": (_op("rx", "0", _QUARTER),),
    "sxdg": (_op("rx", "0", -_QUARTER),),
    "p": (_op("rz", "0", _FIRST),),
    "u1": (_op("rz", "0", _FIRST),),
    "r": (_op("rz", "0", _times(-1.0, 1)), _op("rx", "0", _FIRST), _op("rz", "0", _SECOND)),
    "u": (_op("rz", "0", _THIRD), _op("ry", "0", _FIRST), _op("rz", "0", _SECOND)),
    "u3": (_op("u", "0", _FIRST, _SECOND, _THIRD),),
    "u2": (_op("u", "0", _QUARTER, _FIRST, _SECOND),),
    # Rotations about two-qubit Pauli strings: RXX between changes of the axes.
    "rzx": (_op("ry", "0", _QUARTER), _op("rxx", "01", _FIRST), _op("ry", "0", -_QUARTER)),
    "rzz": (_op("ry", "1", _QUARTER), _op("rzx", "01", _FIRST), _op("ry", "1", -_QUARTER)),
    "ryy": (
        *(_op("rz", qubit, -_QUARTER) for qubit in "01"),
        _op("rxx", "01", _FIRST),
        *(_op("rz", qubit, _QUARTER) for qubit in "01"),
    ),
    # Controlled rotations: half the turn always, and half forward or back as the control says.
    "crx": (_op("rx", "1", _times(0.5)), _op("rzx", "01", _times(-0.5))),
    "cry": (_op("rz", "1", -_QUARTER), _op("crx", "01", _FIRST), _op("rz", "1", _QUARTER)),
    "crz": (_op("rz", "1", _times(0.5)), _op("rzz", "01", _times(-0.5))),
    "cx": (_op("rz", "0", _QUARTER), _op("crx", "01", _HALF)),
    "cy": (_op("rz", "0", _QUARTER), _op("cry", "01", _HALF)),
    "cz": (_op("rz", "0", _QUARTER), _op("crz", "01", _HALF)),
    "ch": (_op("ry", "1", -_EIGHTH), _op("cz", "01"), _op("ry", "1", _EIGHTH)),
    "cp": (_op("rz", "0", _times(0.5)), _op("crz", "01", _FIRST)),
    "cu1": (_op("cp", "01", _FIRST),),
    "cs": (_op("cp", "01", _QUARTER),),
    "csdg": (_op("cp", "01", -_QUARTER),),
    "csx": (_op("rz", "0", _EIGHTH), _op("crx", "01", _QUARTER)),
    "cu3": (  # A X B X C with A B C = 1; Barenco et al., Phys. Rev. A 52, 3457 (1995), lemma 4.3
        _op("rz", "0", (0.0, 1, 0.5, 2, 0.5)),
        _op("rz", "1", (0.0, 2, 0.5, 1, -0.5)),
        _op("cx", "01"),
        _op("rz", "1", (0.0, 1, -0.5, 2, -0.5)),
        _op("ry", "1", _times(-0.5)),
        _op("cx", "01"),
        _op("ry", "1", _times(0.5)),
        _op("rz", "1", _SECOND),
    ),
    "cu": (_op("rz", "0", _times(1.0, 3)), _op("cu3", "01", _FIRST, _SECOND, _THIRD)),
    "ecr": (_op("rzx", "01", _QUARTER), _op("x", "0")),
    "swap": (_op("cx", "01"), _op("cx", "10"), _op("cx", "01")),
    "dcx": (_op("cx", "01"), _op("cx", "10")),
    "iswap": (_op("rxx", "01", -_QUARTER), _op("ryy", "01", -_QUARTER)),
    "xx_plus_yy": (
        _op("rz", "0", _SECOND),
        _op("rxx", "01", _times(0.5)),
        _op("ryy", "01", _times(0.5)),
        _op("rz", "0", _times(-1.0, 1)),
    ),
    "xx_minus_yy": (
        _op("rz", "1", _times(-1.0, 1)),
        _op("rxx", "01", _times(0.5)),
        _op("ryy", "01", _times(-0.5)),
        _op("rz", "1", _SECOND),
    ),
    "ccx": (  # Barenco et al., lemma 6.1, with the square root of X
        _op("csx", "12"),
        _op("cx", "01"),
        _op("rz", "1", -_EIGHTH),
        _op("crx", "12", -_QUARTER),
        _op("cx", "01"),
        _op("csx", "02"),
    ),
    "ccz": (_op("h", "2"), _op("ccx", "012"), _op("h", "2")),
    "cswap": (_op("cx", "21"), _op("ccx", "012"), _op("cx", "21")),
    "rccx": (
        _op("h", "2"),
        _op("t", "2"),
        _op("cx", "12"),
        _op("tdg", "2"),
        _op("cx", "02"),
        _op("t", "2"),
        _op("cx", "12"),
        _op("tdg", "2"),
        _op("h", "2"),
    ),
}


def to_native(program: GateProgram, *, merge: bool = True) -> GateProgram:
    """The same program in `NATIVE` gates: the same counts, for every row of parameter values.

    Args:
        merge: combine neighbouring rotations of an ion; a run of constant ones becomes one pulse. False runs every
            gate as it is written, for a circuit whose duration is the point.

    >>> [op.name for op in to_native(GateProgram.parse(BELL)).ops]
    ['rz', 'ry', 'rx', 'rxx', 'ry', 'measure']
    """
    ions = list(range(program.n_qubits))  # the ion that is each qubit at present
    writer = _Writer(merge)
    for op in program.ops:
        if op.name == "swap":
            one, other = op.qubits
            ions[one], ions[other] = ions[other], ions[one]
            continue
        placed = op._replace(qubits=tuple(ions[qubit] for qubit in op.qubits))
        for native in expanded(placed, NATIVE):
            writer.add(native)
    return GateProgram(program.n_qubits, program.registers, program.parameters, writer.ended())


def expanded(op: Op, into: Iterable[str]) -> list[Op]:
    """What an operation is made of, in gates ``into``; measurements, resets and barriers are what they are."""
    if op.name in into or op.name not in DEFINITIONS:
        return [op]
    return [
        finer
        for part in DEFINITIONS[op.name]
        for finer in expanded(
            Op(
                part.name,
                tuple(op.qubits[qubit] for qubit in part.qubits),
                tuple(_substitute(angle, op.angles) for angle in part.angles),
            ),
            into,
        )
    ]


def _substitute(angle: Angle, own: Sequence[Angle]) -> Angle:
    """An angle affine in the gate's own angles, with those put in."""
    if not isinstance(angle, tuple):
        return angle
    offset, terms = angle[0], [(own[int(i)], scale) for i, scale in zip(angle[1::2], angle[2::2], strict=True)]
    return _sum([(offset, 1.0), *terms])


def _sum(parts: Iterable[tuple[Angle, float]]) -> Angle:
    """Σ factor · angle."""
    offset, scales = 0.0, dict[int, float]()
    for angle, factor in parts:
        flat = angle if isinstance(angle, tuple) else (angle,)
        offset += factor * flat[0]
        for index, scale in zip(flat[1::2], flat[2::2], strict=True):
            scales[int(index)] = scales.get(int(index), 0.0) + factor * scale
    return affine(offset, ((index, scale) for index, scale in scales.items() if scale))


class _Writer:
    """Collects native operations; rotations of an ion wait until something else happens to it."""

    def __init__(self, merge: bool) -> None:
        self._merge = merge
        self._ops: list[Op] = []
        self._waiting: dict[int, list[Op]] = {}

    def add(self, op: Op) -> None:
        if len(op.qubits) == 1 and op.name in NATIVE and self._merge:
            self._waiting.setdefault(op.qubits[0], []).append(op)
            return
        for qubit in op.qubits:
            self._write(qubit, measured=op.name in ("measure", "reset"))
        self._ops.append(op)

    def ended(self) -> tuple[Op, ...]:
        for qubit in list(self._waiting):
            self._write(qubit, measured=True)
        return tuple(self._ops)

    def _write(self, qubit: int, measured: bool) -> None:
        rotations = _merged(self._waiting.pop(qubit, []))
        if measured and rotations and rotations[-1].name == "rz":
            rotations.pop()  # a phase is not seen
        self._ops += rotations


def _merged(rotations: list[Op]) -> list[Op]:
    """The same rotation of one ion in fewer pulses."""
    found: list[Op] = []
    run: list[Op] = []
    for op in _joined(rotations):
        if isinstance(op.angles[0], tuple):
            found += [*_one_pulse(run), op]
            run = []
        else:
            run.append(op)
    return _joined([*found, *_one_pulse(run)])


def _joined(rotations: Iterable[Op]) -> list[Op]:
    """Neighbours about the same axis as one; rotations by nothing left out."""
    found: list[Op] = []
    for op in rotations:
        if found and found[-1].name == op.name:
            op = op._replace(angles=(_sum([(found.pop().angles[0], 1.0), (op.angles[0], 1.0)]),))
        if isinstance(op.angles[0], tuple) or abs(math.remainder(op.angles[0], 2 * math.pi)) > _SAME:
            found.append(op)
    return found


def _one_pulse(run: list[Op]) -> list[Op]:
    """Constant rotations as RZ, RY, RZ, if they are more than one pulse."""
    if sum(op.name in PULSES for op in run) < 2:
        return run
    a, b = 1 + 0j, 0j  # the first column of the product; an SU(2) matrix is [[a, -b*], [b, a*]]
    for op in run:
        half = float(op.angles[0]) / 2  # type: ignore[arg-type]
        c, s = math.cos(half), math.sin(half)
        if op.name == "rz":
            a, b = a * cmath.exp(-1j * half), b * cmath.exp(1j * half)
        elif op.name == "ry":
            a, b = c * a - s * b, s * a + c * b
        else:
            a, b = c * a - 1j * s * b, -1j * s * a + c * b
    theta = 2 * math.atan2(abs(b), abs(a))
    total = -2 * cmath.phase(a) if abs(a) > _SAME else 0.0
    difference = 2 * cmath.phase(b) if abs(b) > _SAME else 0.0
    first, last = (total - difference) / 2, (total + difference) / 2
    qubits = run[0].qubits
    angles = (("rz", first), ("ry", theta), ("rz", last))
    return [Op(name, qubits, (angle,)) for name, angle in angles]
