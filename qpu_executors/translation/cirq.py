"""Cirq circuits to `gates`. Exponents of Cirq's gates are angles in units of π, also with symbols in them.

What the table below does not have is taken apart as Cirq says (`cirq.decompose_once`), or through its matrix. The
global phase, which no counts can show, is dropped; under a control it is Cirq's own decomposition that keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import cirq

from ..errors import InvalidTask
from . import Translation, symbols
from .writer import ProgramWriter

_MOST_FROM_MATRIX = 3  # qubits: larger unitaries have no decomposition in Cirq


class Measured(NamedTuple):
    """One measurement of a circuit; its bits are the next ``len(inverted)`` ones of the program.

    Attributes:
        key: the name of the measurement key.
        inverted: for each qubit, in the order of the measurement, whether Cirq reports the opposite of what it sees.
    """

    key: str
    inverted: tuple[bool, ...]


def from_circuit(circuit: cirq.AbstractCircuit, *, lift_angles: bool = True) -> Translation:
    """Translate a circuit. Qubits are numbered in Cirq's sorted order, the parameters are the names of the symbols,
    sorted. Each measurement is a classical register with the name of its key; an ``invert_mask`` becomes X gates.

    Raises:
        InvalidTask: nothing is measured, or there is no way to carry an operation; the text names it.

    >>> from_circuit(cirq.Circuit(cirq.X(cirq.q(0)), cirq.measure(cirq.q(0)))).language
    'gates'
    """
    return read(circuit, lift_angles=lift_angles, invert=True)[0]


def read(
    circuit: cirq.AbstractCircuit, *, lift_angles: bool = True, invert: bool = False
) -> tuple[Translation, tuple[Measured, ...]]:
    """As `from_circuit`, and what the bits of the program mean. Without ``invert`` the masks are left to the reader."""
    walk = _Walk(circuit, invert)
    try:
        for operation in circuit.all_operations():
            walk.operation(operation)
    except RecursionError:
        raise InvalidTask("the circuit's operations are nested too deeply.") from None
    registers = [[measured.key, len(measured.inverted)] for measured in walk.measured]
    translation = walk.writer.translation(len(walk.place), registers, tuple(walk.index), lift=lift_angles)
    return translation, tuple(walk.measured)


class _Walk:
    """Goes through a circuit and hands its operations to a `ProgramWriter`."""

    def __init__(self, circuit: cirq.AbstractCircuit, invert: bool) -> None:
        self.writer = ProgramWriter()
        self.place = {qubit: number for number, qubit in enumerate(sorted(circuit.all_qubits()))}
        self.index = {name: number for number, name in enumerate(sorted(cirq.parameter_names(circuit)))}
        self.measured: list[Measured] = []
        self._invert = invert
        self._bits = 0
        for qubit in self.place:
            if qubit.dimension != 2:
                raise InvalidTask(f"{qubit!r} has {qubit.dimension} levels. Only qubits, which have two, can be run.")

    def operation(self, operation: cirq.Operation) -> None:
        operation, gate = operation.untagged, operation.gate
        if isinstance(operation, cirq.ClassicallyControlledOperation):
            raise InvalidTask(f"operation {operation} depends on a measurement, which the language 'gates' cannot say.")
        if isinstance(operation, cirq.CircuitOperation) and operation.repeat_until is not None:
            raise InvalidTask("a CircuitOperation with repeat_until depends on a measurement. Give its repetitions.")
        if isinstance(gate, cirq.MeasurementGate):
            return self._measure(operation, gate)
        if isinstance(gate, cirq.ResetChannel):
            return self.writer.add("reset", self._places(operation))
        if isinstance(gate, (cirq.GlobalPhaseGate, cirq.IdentityGate, cirq.WaitGate)):
            return None
        emit = next((emit for kind, emit in _GATES.items() if isinstance(gate, kind)), None)
        if emit is None or not emit(self, gate, self._places(operation)):
            for part in _parts(operation):
                self.operation(part)
        return self.writer.check_size()

    def angle(self, gate: Any, exponent: Any, offset: float = 0.0, sign: int = 1) -> Any:
        """``offset + sign · π · exponent``."""
        return symbols.angle(str(gate), exponent, self.index, scale=sign * math.pi, offset=offset)

    def _places(self, operation: cirq.Operation) -> list[int]:
        try:
            return [self.place[qubit] for qubit in operation.qubits]
        except KeyError as unknown:
            raise InvalidTask(f"the decomposition of {operation} takes a further qubit, {unknown.args[0]}.") from None

    def _measure(self, operation: cirq.Operation, gate: cirq.MeasurementGate) -> None:
        key = cirq.measurement_key_name(operation)
        if gate.confusion_map:
            raise InvalidTask(f"measurement {key!r} has a confusion_map. A device has its own readout errors.")
        measured = Measured(key, tuple(map(bool, gate.full_invert_mask())))
        if any(m.key == key and len(m.inverted) != len(measured.inverted) for m in self.measured):
            raise InvalidTask(f"the measurements with the key {key!r} have different numbers of qubits.")
        qubits = self._places(operation)
        flipped = [qubit for qubit, inverted in zip(qubits, measured.inverted, strict=True) if inverted]
        for around in (True, False):
            for qubit in flipped if self._invert else ():
                self.writer.add("x", [qubit])
            if around:
                for number, qubit in enumerate(qubits):
                    self.writer.measure(qubit, self._bits + number)
        self._bits += len(qubits)
        self.measured.append(measured)


def _parts(operation: cirq.Operation) -> list[cirq.Operation]:
    parts = cirq.decompose_once(operation, default=None)
    if parts is None and len(operation.qubits) <= _MOST_FROM_MATRIX and not isinstance(operation.gate, cirq.MatrixGate):
        matrix = cirq.unitary(operation, default=None)
        parts = None if matrix is None else [cirq.MatrixGate(matrix).on(*operation.qubits)]
    if parts is None:
        raise InvalidTask(f"operation {operation} has no decomposition into gates. Noise and the like cannot be run.")
    return parts


_Emit = Callable[[_Walk, Any, list[int]], bool]  # False where the gate is to be decomposed


def _power(rotation: str, named: dict[float, str]) -> _Emit:
    """A Pauli gate to some power: where the exponent has no name, a rotation."""

    def emit(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
        name = None if cirq.is_parameterized(gate) else named.get(gate.exponent)
        if name is not None:
            walk.writer.add(name, qubits)
        else:
            walk.writer.add(rotation, qubits, [walk.angle(gate, gate.exponent)])
        return True

    return emit


def _plain(name: str) -> _Emit:
    """A gate that has a name only as it is, not as a power."""

    def emit(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
        if cirq.is_parameterized(gate) or gate.exponent != 1:
            return False
        walk.writer.add(name, qubits)
        return True

    return emit


def _phased_x(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
    walk.writer.add("r", qubits, [walk.angle(gate, gate.exponent), walk.angle(gate, gate.phase_exponent)])
    return True


def _phased_xz(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
    turn = [walk.angle(gate, gate.x_exponent), walk.angle(gate, gate.axis_phase_exponent)]
    walk.writer.add("r", qubits, turn)
    walk.writer.add("rz", qubits, [walk.angle(gate, gate.z_exponent)])
    return True


def _cx(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
    if not _plain("cx")(walk, gate, qubits):
        walk.writer.add("h", qubits[1:])
        walk.writer.add("cp", qubits, [walk.angle(gate, gate.exponent)])
        walk.writer.add("h", qubits[1:])
    return True


def _iswap(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
    if not _plain("iswap")(walk, gate, qubits):
        walk.writer.add("xx_plus_yy", qubits, [walk.angle(gate, gate.exponent, sign=-1), 0.0])
    return True


def _cswap(walk: _Walk, gate: Any, qubits: list[int]) -> bool:
    walk.writer.add("cswap", qubits)
    return True


_GATES: dict[type, _Emit] = {
    cirq.XPowGate: _power("rx", {1: "x", 0.5: "sx", -0.5: "sxdg"}),
    cirq.YPowGate: _power("ry", {1: "y"}),
    cirq.ZPowGate: _power("rz", {1: "z", 0.5: "s", -0.5: "sdg", 0.25: "t", -0.25: "tdg"}),
    cirq.HPowGate: _plain("h"),
    cirq.PhasedXPowGate: _phased_x,
    cirq.PhasedXZGate: _phased_xz,
    cirq.CZPowGate: _power("cp", {1: "cz"}),
    cirq.CXPowGate: _cx,
    cirq.SwapPowGate: _plain("swap"),
    cirq.ISwapPowGate: _iswap,
    cirq.XXPowGate: _power("rxx", {}),
    cirq.YYPowGate: _power("ryy", {}),
    cirq.ZZPowGate: _power("rzz", {}),
    cirq.CCXPowGate: _plain("ccx"),
    cirq.CCZPowGate: _plain("ccz"),
    cirq.CSwapGate: _cswap,
}
