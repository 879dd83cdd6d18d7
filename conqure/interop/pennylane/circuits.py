"""Tapes as programs: two tapes that differ in their angles alone are one program with two rows.

The gates are translated once, by `qpu_executors.translation`; a tape of a known structure only hands over its angles.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pennylane as qml
from pennylane.measurements import MeasurementValue
from pennylane.ops.functions import bind_new_parameters
from pennylane.tape import QuantumScript

from qpu_executors.errors import InvalidTask
from qpu_executors.translation.pennylane import MidMeasure, from_tape
from qpu_executors.translation.writer import real

CACHED_STRUCTURES = 256
_ARBITRARY = 1 / math.sqrt(2)  # times 1, 2, …: never a multiple of π/4, which a translation keeps as it is


@dataclass(frozen=True)
class Circuit:
    """A tape as it is sent.

    Attributes:
        program, row: of the task; row in radians.
        n_qubits, shots: what it takes.
        columns: what each classical bit is: a wire that is measured at the end, or the name of an outcome.
        kept: outcomes by name, and the value that a shot must have there to count (postselection).
    """

    program: str
    row: tuple[float, ...]
    n_qubits: int
    shots: int
    columns: tuple[Any, ...]
    kept: tuple[tuple[Any, int], ...]


class Programs:
    """Programs of the structures seen lately; one per device."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, str] = OrderedDict()  # '' if too long to have parameters

    def read(self, tape: QuantumScript) -> Circuit:
        """A preprocessed tape as a program and its row.

        Raises:
            InvalidTask: an operation can't be carried; the text names it.
        """
        outcomes = [op for op in tape.operations if isinstance(op, MidMeasure)]
        wires = _measured_wires(tape, outcomes)
        outcomes = _reported(tape, outcomes) if outcomes else outcomes
        row = tuple(real(op.name, angle) for op in tape.operations for angle in op.data)
        program = self._program(tape, wires, outcomes)
        if not program:
            whole = from_tape(_plain(tape, tape.operations, wires, outcomes), lift_angles=False)
            program, row = str(whole.program), ()
        return Circuit(
            program,
            row,
            max(1, len(tape.wires)),
            tape.shots.total_shots,
            (*wires, *(op.meas_uid for op in outcomes)),
            tuple((op.meas_uid, op.postselect) for op in outcomes if op.postselect is not None),
        )

    def _program(self, tape: QuantumScript, wires: list[Any], outcomes: list[Any]) -> str:
        key = (
            tuple((op.name, op.wires.labels, getattr(op, "reset", None)) for op in tape.operations),
            tuple(tape.wires),
            tuple(wires),
            tuple(map(_place(tape), outcomes)),
        )
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        self._known[key] = program = _translated(tape, wires, outcomes)
        if len(self._known) > CACHED_STRUCTURES:
            self._known.popitem(last=False)
        return program


def _translated(tape: QuantumScript, wires: list[Any], outcomes: list[Any]) -> str:
    """The program with every angle a parameter, in the order of the tape; '' if it has too many."""
    operations, n_angles = [], 0
    for op in tape.operations:
        n_own = len(op.data)
        angles = [_ARBITRARY * (n_angles + number) for number in range(1, n_own + 1)]
        operations.append(bind_new_parameters(op, angles) if n_own else op)
        n_angles += n_own
    found = from_tape(_plain(tape, operations, wires, outcomes))
    return str(found.program) if len(found.lifted) == n_angles else ""


def _plain(tape: QuantumScript, operations: Sequence[Any], wires: list[Any], outcomes: list[Any]) -> QuantumScript:
    """A tape that samples the wires and the outcomes; whoever selects among the shots does it afterwards."""
    with qml.QueuingManager.stop_recording():
        measurements = [qml.sample(wires=wires)] if wires else []
        if outcomes:
            measurements.append(qml.sample([MeasurementValue([op]) for op in outcomes]))
        free = [_without_postselection(op) if isinstance(op, MidMeasure) else op for op in operations]
    if not measurements:
        raise InvalidTask("the circuit measures nothing. Return a measurement of some wires, e.g. qml.counts(wires=0).")
    return QuantumScript(free, measurements, shots=tape.shots.total_shots)


def _without_postselection(op: Any) -> Any:
    return op if op.postselect is None else type(op)(op.wires, reset=op.reset, meas_uid=op.meas_uid)


def _measured_wires(tape: QuantumScript, outcomes: list[Any]) -> list[Any]:
    """The wires to measure at the end, in the order in which the measurements name them."""
    in_the_middle = {op.meas_uid for op in outcomes}
    found: dict[Any, None] = {}
    for measurement in tape.measurements:
        if measurement.mv is None:
            found.update(dict.fromkeys(measurement.wires or tape.wires))
        else:  # where PennyLane has deferred the measurement, its wire is read at the end
            found.update((op.wires[0], None) for op in outcomes_of(measurement) if op.meas_uid not in in_the_middle)
    return list(found)


def outcomes_of(measurement: Any) -> list[Any]:
    """The mid-circuit measurements whose outcomes a measurement is about, bit by bit."""
    values = measurement.mv if isinstance(measurement.mv, (list, tuple)) else [measurement.mv]
    return [op for value in values for op in value.measurements]


def _reported(tape: QuantumScript, outcomes: list[Any]) -> list[Any]:
    """All measurements in the middle but those that only reset a wire."""
    wanted = {
        op.meas_uid
        for measurement in tape.measurements
        if measurement.mv is not None
        for op in outcomes_of(measurement)
    }
    return [op for op in outcomes if op.meas_uid in wanted or op.postselect is not None or not op.reset]


def _place(tape: QuantumScript) -> Any:
    """Outcomes by their place on the tape: each run of a quantum function gives them new names."""
    places = {op.meas_uid: number for number, op in enumerate(tape.operations) if isinstance(op, MidMeasure)}
    return lambda op: places[op.meas_uid]
