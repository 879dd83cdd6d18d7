"""PennyLane tapes to `gates`, and `gates` to PennyLane operations.

Wires become qubits in ascending order if all are numbers, else in the order they first appear. A measured wire goes
to the bit of its place in the measurement, so that wire 0 is the rightmost character of a counts key, as in Qiskit
(PennyLane's own counts have it leftmost).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml
from pennylane.measurements import CountsMP, SampleMP
from pennylane.operation import Operator
from pennylane.ops import Conditional
from pennylane.tape import QuantumScript

from ..errors import InvalidTask
from . import Translation
from .gates import GATES, Op, bind
from .writer import UNMEASURED, ProgramWriter, real

# PennyLane's name -> ours, where both mean the same matrix up to a phase of the whole
GATE_NAMES = {
    "Identity": "id",
    "PauliX": "x",
    "PauliY": "y",
    "PauliZ": "z",
    "Hadamard": "h",
    "S": "s",
    "Adjoint(S)": "sdg",
    "T": "t",
    "Adjoint(T)": "tdg",
    "SX": "sx",
    "Adjoint(SX)": "sxdg",
    "PhaseShift": "p",
    "U1": "p",
    "RX": "rx",
    "RY": "ry",
    "RZ": "rz",
    "U2": "u2",
    "U3": "u",
    "CNOT": "cx",
    "CY": "cy",
    "CZ": "cz",
    "CH": "ch",
    "SWAP": "swap",
    "ISWAP": "iswap",
    "ControlledPhaseShift": "cp",
    "CRX": "crx",
    "CRY": "cry",
    "CRZ": "crz",
    "IsingXX": "rxx",
    "IsingYY": "ryy",
    "IsingZZ": "rzz",
    "Toffoli": "ccx",
    "CCZ": "ccz",
    "CSWAP": "cswap",
}
with qml.QueuingManager.stop_recording():
    MidMeasure = type(qml.measure(0).measurements[0])  # it moved between releases
_NOTHING = ("GlobalPhase", "Snapshot", "WireCut")  # no effect on counts


def from_tape(tape: Any, *, lift_angles: bool = True) -> Translation:
    """Translate a tape that measures ``qml.counts()`` or ``qml.sample()`` of wires or of mid-circuit measurements.

    Each measurement of the tape is one classical register. Tapes have numbers, not parameters: with ``lift_angles``
    these become the program's parameters. The tape's shots, if any, go with the translation.

    Args:
        tape: a `QuantumScript`, or a QNode that takes no arguments.

    Raises:
        InvalidTask: an operation cannot be decomposed, or a measurement is none of these; the text says what to do.

    >>> from_tape(QuantumScript([qml.Hadamard(0)], [qml.counts(wires=[0])], shots=100)).shots
    100
    """
    tape = _script(tape)
    walk = _Walk(tape)
    with qml.QueuingManager.stop_recording():
        for operation in tape.operations:
            walk.add(operation)
    registers = walk.measure_all(tape.measurements)
    found = walk.writer.translation(max(1, len(walk.place)), registers, (), lift=lift_angles)
    return found._replace(shots=_shots(tape))


def _script(tape: Any) -> QuantumScript:
    if isinstance(tape, qml.QNode):
        try:
            tape = qml.workflow.construct_tape(tape)()
        except TypeError as error:
            raise InvalidTask(
                f"the QNode needs arguments ({error}). Give its tape: qml.workflow.construct_tape(qnode)(…)."
            ) from error
    if tape.batch_size is not None:
        raise InvalidTask(
            f"the tape's angles are arrays of {tape.batch_size}. Split it with qml.transforms.broadcast_expand(tape)."
        )
    return tape


def _shots(tape: QuantumScript) -> int | None:
    if tape.shots.has_partitioned_shots:
        raise InvalidTask("the tape has a list of shots. Give one number of shots, or several tapes.")
    return tape.shots.total_shots


class _Walk:
    """Goes through a tape and hands its operations to a `ProgramWriter`."""

    def __init__(self, tape: QuantumScript) -> None:
        self.writer = ProgramWriter()
        wires = list(tape.wires)
        if all(isinstance(wire, int) for wire in wires):
            wires.sort()
        self.place = {wire: number for number, wire in enumerate(wires)}
        self._bits = _reported(tape.measurements, len(wires))  # mid-circuit measurement -> bits

    def add(self, operation: Any) -> None:
        name = operation.name
        ours = GATE_NAMES.get(name)
        if ours is not None and len(operation.wires) == GATES[ours][0]:
            angles = [real(name, angle) for angle in operation.data]
            self.writer.add(ours, self._qubits(operation.wires), angles)
        elif isinstance(operation, MidMeasure):
            self._mid_measure(operation)
        elif isinstance(operation, Conditional):
            raise InvalidTask(
                "operations under qml.cond are not translated. Apply qml.defer_measurements to the tape, "
                "or give a Qiskit circuit with if_test."
            )
        elif name == "Barrier":
            self.writer.add("barrier", self._qubits(operation.wires))
        elif name not in _NOTHING:
            self._decompose(operation)
        self.writer.check_size()

    def measure_all(self, measurements: Sequence[Any]) -> list[list[Any]]:
        """The measurements at the end; returns the registers as [name, size]."""
        if not measurements:
            raise InvalidTask(UNMEASURED.replace("Qiskit: circuit.measure_all()", "PennyLane: qml.counts()"))
        registers: list[list[Any]] = []
        first = 0
        for number, measurement in enumerate(measurements):
            size = _size(measurement, len(self.place))
            if measurement.mv is None:
                wires = self._qubits(measurement.wires) or range(len(self.place))
                for bit, qubit in enumerate(wires, start=first):
                    self.writer.measure(qubit, bit)
            registers.append([f"meas{number}" if len(measurements) > 1 else "meas", size])
            first += size
        return registers

    def _qubits(self, wires: Any) -> list[int]:
        return [self.place[wire] for wire in wires]

    def _mid_measure(self, operation: Any) -> None:
        qubits = self._qubits(operation.wires)
        if operation.postselect is not None:
            raise InvalidTask("postselection is not translated. Measure the wire and select among the counts.")
        bits = self._bits.get(_identity(operation), [])
        if not bits and not operation.reset:
            raise InvalidTask(
                f"the mid-circuit measurement of wire {operation.wires[0]} is not among the tape's measurements. "
                "Add its outcome: qml.counts(outcome)."
            )
        for bit in bits:
            self.writer.measure(qubits[0], bit)
        if operation.reset:
            self.writer.add("reset", qubits)

    def _decompose(self, operation: Any) -> None:
        if not operation.has_decomposition:
            raise InvalidTask(
                f"operation {operation.name!r} is not in the language 'gates' and has no decomposition. "
                f"These are: {', '.join(GATE_NAMES)}."
            )
        for part in operation.decomposition():
            self.add(part)


def _outcomes(measurement: Any) -> list[Any]:
    """The outcomes of mid-circuit measurements that a measurement reports, as operations."""
    values = measurement.mv if isinstance(measurement.mv, (list, tuple)) else [measurement.mv]
    if not all(map(_is_one_outcome, values)):
        raise InvalidTask("counts of computed outcomes are not translated. Give the outcomes: qml.counts([m0, m1]).")
    return [value.measurements[0] for value in values]


def _is_one_outcome(value: Any) -> bool:
    """Whether a value is one outcome as it was measured, not something computed of outcomes."""
    compute = value.processing_fn
    return len(value.measurements) == 1 and (compute is None or compute(2) == 2)


def _identity(operation: Any) -> Any:
    """What tells a mid-circuit measurement from others; copies of a tape keep it."""
    return getattr(operation, "meas_uid", None) or operation.id


def _reported(measurements: Sequence[Any], n_wires: int) -> dict[Any, list[int]]:
    bits: dict[Any, list[int]] = {}
    first = 0
    for measurement in measurements:
        if measurement.mv is not None:
            for bit, operation in enumerate(_outcomes(measurement), start=first):
                bits.setdefault(_identity(operation), []).append(bit)
        first += _size(measurement, n_wires)
    return bits


def _size(measurement: Any, n_wires: int) -> int:
    """How many bits a measurement gives."""
    if not isinstance(measurement, (CountsMP, SampleMP)) or measurement.obs is not None:
        what = type(measurement).__name__.removesuffix("MP").lower()
        what += f" of {measurement.obs}" if measurement.obs is not None else ""
        raise InvalidTask(
            f"a QPU gives counts, and the tape asks for {what}. Measure qml.counts(wires=…): diagonalise an observable "
            "with qml.transforms.diagonalize_measurements, and take its mean over the counts."
        )
    if measurement.mv is not None:
        return len(_outcomes(measurement))
    return len(measurement.wires) or n_wires


# gates -> PennyLane

_Builder = Callable[[Sequence[float], Sequence[int]], list[Operator]]


def _same(operator: Any) -> _Builder:
    return lambda angles, wires: [operator(*angles, wires=wires)]


def _phase(angle: float) -> _Builder:
    return lambda angles, wires: [qml.PhaseShift(angle, wires)]


def _controlled_phase(angle: float) -> _Builder:
    return lambda angles, wires: [qml.ControlledPhaseShift(angle, wires)]


def _u(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    theta, phi, lam = angles
    return [qml.Rot(lam, theta, phi, wires)]


def _cu(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    theta, phi, lam, *gamma = angles
    return [
        qml.CRot(lam, theta, phi, wires),
        qml.PhaseShift(sum(gamma) + (phi + lam) / 2, wires[0]),  # the phase of U, which Rot lacks
    ]


def _r(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    theta, phi = angles
    return [qml.RZ(-phi, wires), qml.RX(theta, wires), qml.RZ(phi, wires)]


def _rzx(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    return [qml.Hadamard(wires[1]), qml.IsingZZ(angles[0], wires), qml.Hadamard(wires[1])]


def _ecr(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    return [*_rzx([math.pi / 4], wires), qml.PauliX(wires[0]), *_rzx([-math.pi / 4], wires)]


def _csx(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    half = qml.ControlledPhaseShift(math.pi / 2, wires)
    return [qml.Hadamard(wires[1]), half, qml.Hadamard(wires[1])]


def _xx_yy(sign: int) -> _Builder:
    """Qiskit's XXPlusYY (sign 1) and XXMinusYY (-1): a rotation in the space of 01 and 10, or of 00 and 11."""

    def build(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
        theta, beta = angles
        turn = -sign * beta if sign > 0 else beta
        where = wires[0]
        rotation = [qml.IsingXX(theta / 2, wires), qml.IsingYY(sign * theta / 2, wires)]
        return [qml.RZ(-turn, where), *rotation, qml.RZ(turn, where)]

    return build


def _rccx(angles: Sequence[float], wires: Sequence[int]) -> list[Operator]:
    first, second, target = wires
    eighth = [qml.PhaseShift(sign * math.pi / 4, target) for sign in (1, -1)]
    by_second, by_first = qml.CNOT([second, target]), qml.CNOT([first, target])
    middle = [eighth[0], by_second, eighth[1], by_first, eighth[0], by_second, eighth[1]]
    return [qml.Hadamard(target), *middle, qml.Hadamard(target)]


_BUILDERS: dict[str, _Builder] = {
    "id": _same(qml.Identity),
    "x": _same(qml.PauliX),
    "y": _same(qml.PauliY),
    "z": _same(qml.PauliZ),
    "h": _same(qml.Hadamard),
    "s": _phase(math.pi / 2),
    "sdg": _phase(-math.pi / 2),
    "t": _phase(math.pi / 4),
    "tdg": _phase(-math.pi / 4),
    "sx": lambda angles, wires: [qml.RX(math.pi / 2, wires)],
    "sxdg": lambda angles, wires: [qml.RX(-math.pi / 2, wires)],
    "p": _same(qml.PhaseShift),
    "u1": _same(qml.PhaseShift),
    "rx": _same(qml.RX),
    "ry": _same(qml.RY),
    "rz": _same(qml.RZ),
    "r": _r,
    "u2": lambda angles, wires: _u([math.pi / 2, *angles], wires),
    "u": _u,
    "u3": _u,
    "cx": _same(qml.CNOT),
    "cy": _same(qml.CY),
    "cz": _same(qml.CZ),
    "ch": _same(qml.CH),
    "cs": _controlled_phase(math.pi / 2),
    "csdg": _controlled_phase(-math.pi / 2),
    "csx": _csx,
    "swap": _same(qml.SWAP),
    "iswap": _same(qml.ISWAP),
    "dcx": lambda angles, wires: [qml.CNOT(wires), qml.CNOT(wires[::-1])],
    "ecr": _ecr,
    "cp": _same(qml.ControlledPhaseShift),
    "cu1": _same(qml.ControlledPhaseShift),
    "crx": _same(qml.CRX),
    "cry": _same(qml.CRY),
    "crz": _same(qml.CRZ),
    "rxx": _same(qml.IsingXX),
    "ryy": _same(qml.IsingYY),
    "rzz": _same(qml.IsingZZ),
    "rzx": _rzx,
    "xx_plus_yy": _xx_yy(1),
    "xx_minus_yy": _xx_yy(-1),
    "cu3": _cu,
    "cu": _cu,
    "ccx": _same(qml.Toffoli),
    "ccz": _same(qml.CCZ),
    "cswap": _same(qml.CSWAP),
    "rccx": _rccx,
}


def operations(op: Op, row: Sequence[float]) -> list[Operator]:
    """PennyLane's operations for one gate, the same up to a phase of the whole; wires are the qubits' numbers.

    >>> operations(Op("cs", (0, 1)), [])
    [ControlledPhaseShift(1.5707963267948966, wires=Wires([0, 1]))]
    """
    return _BUILDERS[op.name]([bind(angle, row) for angle in op.angles], op.qubits)
