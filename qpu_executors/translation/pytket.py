"""pytket circuits to `gates`. pytket's angles are in half turns, also with symbols in them.

What the table below does not have is rebased to it by pytket's own passes; boxes are opened. The global phase, which
no counts can show, is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from typing import Any

from pytket.circuit import Bit, Circuit, Command, OpType
from pytket.passes import AutoRebase, DecomposeBoxes
from pytket.predicates import GateSetPredicate

from ..errors import InvalidTask
from . import Translation, symbols
from .writer import ProgramWriter

_HALF = math.pi / 2


def from_circuit(circuit: Circuit, *, lift_angles: bool = True) -> Translation:
    """Translate a circuit. Qubits and bits are numbered in the order of ``circuit.qubits`` and ``circuit.bits``; the
    parameters are the names of the symbols, sorted, in pytket's half turns.

    Raises:
        InvalidTask: nothing is measured, or there is no way to carry an operation; the text names it.

    >>> from_circuit(Circuit(2, 2).H(0).CX(0, 1).measure_all()).language
    'gates'
    """
    if circuit.n_qubits == 0:
        raise InvalidTask("the circuit has no qubits.")
    for command in circuit.get_commands():
        _check(command)
    walk = _Walk(circuit)
    for command in rebased(circuit).get_commands():
        walk.command(command)
    registers = [[name, len(list(bits))] for name, bits in groupby(circuit.bits, lambda bit: bit.reg_name)]
    return walk.writer.translation(circuit.n_qubits, registers, tuple(walk.index), lift=lift_angles)


def rebased(circuit: Circuit) -> Circuit:
    """The circuit with gates that have a place in `gates`; the circuit itself if all of its gates do."""
    if GateSetPredicate(GATE_SET).verify(circuit):
        return circuit
    plain = circuit.copy()
    DecomposeBoxes().apply(plain)
    try:
        AutoRebase(GATE_SET).apply(plain)
    except RuntimeError as error:
        raise InvalidTask(f"pytket has no way to decompose this circuit: {error}") from error
    return plain


class _Walk:
    """Goes through a circuit and hands its operations to a `ProgramWriter`."""

    def __init__(self, circuit: Circuit) -> None:
        self.writer = ProgramWriter()
        units: list[Any] = [*enumerate(circuit.qubits), *enumerate(circuit.bits)]
        self._place = {unit: number for number, unit in units}
        self.index = {name: number for number, name in enumerate(sorted(map(str, circuit.free_symbols())))}

    def command(self, command: Command) -> None:
        kind = _check(command)
        qubits = [self._place[qubit] for qubit in command.qubits]
        if kind == OpType.Measure:
            self.writer.measure(qubits[0], self._place[command.bits[0]])
        elif kind == OpType.Barrier:
            self.writer.add("barrier", qubits)
        elif kind == OpType.Reset:
            self.writer.add("reset", qubits)
        elif kind in _SAME:
            name, fixed = _SAME[kind]
            self.writer.add(name, qubits, [self._angle(kind, param) for param in command.op.params] + list(fixed))
        elif kind in _OWN:
            for name, angles in _OWN[kind](*command.op.params):
                self.writer.add(name, qubits, [self._angle(kind, *angle) for angle in angles])
        elif kind not in _NOTHING:
            raise InvalidTask(f"operation {command} is not in the language 'gates', and pytket does not decompose it.")
        self.writer.check_size()

    def _angle(self, kind: OpType, half_turns: Any, sign: int = 1, offset: float = 0.0) -> Any:
        return symbols.angle(kind.name, half_turns, self.index, scale=sign * math.pi, offset=offset)


def _check(command: Command) -> OpType:
    """The kind of a command; `InvalidTask` for what computes with bits or waits for them."""
    kind = command.op.type
    if kind == OpType.Conditional:
        raise InvalidTask(f"operation {command} depends on a measurement, which the language 'gates' cannot say.")
    if not command.qubits or (any(isinstance(unit, Bit) for unit in command.args) and kind not in _READS_BITS):
        raise InvalidTask(f"operation {command} computes with classical bits, which the language 'gates' cannot say.")
    return kind


_READS_BITS = {OpType.Measure, OpType.Barrier, OpType.CircBox, OpType.CustomGate}
_NOTHING = {OpType.noop, OpType.Phase}

# The same gate in both, and angles that pytket has fixed. Equal up to the global phase.
_SAME: dict[OpType, tuple[str, tuple[float, ...]]] = {
    **{getattr(OpType, name): (name.lower(), ()) for name in ("X", "Y", "Z", "H", "S", "Sdg", "T", "Tdg", "SX")},
    **{getattr(OpType, name): (name.lower(), ()) for name in ("SXdg", "Rx", "Ry", "Rz", "U2", "U3", "CU3", "ECR")},
    **{getattr(OpType, name): (name.lower(), ()) for name in ("CX", "CY", "CZ", "CH", "CS", "CSdg", "CSX", "CRx")},
    **{getattr(OpType, name): (name.lower(), ()) for name in ("CRy", "CRz", "SWAP", "CCX", "CSWAP")},
    OpType.V: ("sx", ()),
    OpType.Vdg: ("sxdg", ()),
    OpType.U1: ("p", ()),
    OpType.CU1: ("cp", ()),
    OpType.PhasedX: ("r", ()),
    OpType.CV: ("crx", (_HALF,)),
    OpType.CVdg: ("crx", (-_HALF,)),
    OpType.ISWAPMax: ("iswap", ()),
    OpType.XXPhase: ("rxx", ()),
    OpType.YYPhase: ("ryy", ()),
    OpType.ZZPhase: ("rzz", ()),
    OpType.ZZMax: ("rzz", (_HALF,)),
}

# Other gates: the parameters in half turns -> (name, angles as of `_Walk._angle`: half turns, sign, offset).
_Parts = list[tuple[str, list[tuple[Any, ...]]]]
_OWN: dict[OpType, Callable[..., _Parts]] = {
    OpType.TK1: lambda a, b, c: [("u", [(b,), (a, 1, -_HALF), (c, 1, _HALF)])],
    OpType.TK2: lambda a, b, c: [("rxx", [(a,)]), ("ryy", [(b,)]), ("rzz", [(c,)])],
    OpType.GPI: lambda a: [("r", [(1.0,), (a,)])],
    OpType.GPI2: lambda a: [("r", [(0.5,), (a,)])],
    OpType.ISWAP: lambda a: [("xx_plus_yy", [(a, -1), (0.0,)])],
}

GATE_SET = {*_SAME, *_OWN, *_NOTHING, OpType.Measure, OpType.Reset, OpType.Barrier}
