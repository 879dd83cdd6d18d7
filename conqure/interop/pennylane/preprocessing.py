"""What happens to a tape before it is sent: PennyLane's own transforms, and two of ours between them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from pennylane import CompilePipeline, QueuingManager, matrix
from pennylane.devices.preprocess import (
    decompose,
    device_resolve_dynamic_wires,
    null_postprocessing,
    validate_device_wires,
    validate_measurements,
)
from pennylane.exceptions import DeviceError
from pennylane.measurements import ClassicalShadowMP, ExpectationMP, SampleMeasurement, ShadowExpvalMP, Shots
from pennylane.ops import Conditional, Hermitian, QubitUnitary, Sum
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting, transform
from pennylane.wires import Wires

from qpu_executors.translation.gates import GATES
from qpu_executors.translation.pennylane import GATE_NAMES, MidMeasure

from .observables import agreed, basis_of, rotations

MOST_OF_A_MATRIX = 4  # wires; its diagonalizing unitary takes 4**wires gates
METHODS = (None, "device", "deferred")
_KEPT = {*GATE_NAMES, "Barrier", "GlobalPhase"}


def pipeline(name: str, wires: Wires | None, shots: Shots, mcm_method: str | None) -> CompilePipeline:
    """The transforms that make any tape a batch of tapes of native gates, each sampled in the Z basis.

    Args:
        name: of the device, for errors. wires: of the device, or None.
        shots: for tapes without. mcm_method: one of `METHODS`.
    """
    steps = CompilePipeline()
    steps.add_transform(finite_shots, shots=shots)
    steps.add_transform(validate_device_wires, wires, name=name)
    steps.add_transform(defer_if_needed, mcm_method=mcm_method)
    steps.add_transform(split_if_needed)
    steps.add_transform(validate_measurements, sample_measurements=is_measured, name=name)
    steps.add_transform(rotate_to_z)
    steps.add_transform(into_gates, wires=wires, name=name)
    steps.add_transform(without_phase)
    steps.add_transform(device_resolve_dynamic_wires, wires=wires, allow_resets=mcm_method != "deferred")
    steps.add_transform(one_value_each)
    return steps


@transform
def finite_shots(tape: Any, shots: Shots) -> Any:
    """The device's shots for a tape without: a QPU has no analytic results."""
    return (tape if tape.shots else tape.copy(shots=shots),), null_postprocessing


@transform
def defer_if_needed(tape: Any, mcm_method: str | None) -> Any:
    """Measure at the end what decides on later operations; other measurements in the middle stay where they are."""
    decides = any(isinstance(op, Conditional) for op in tape.operations)
    if decides and mcm_method == "device":
        raise DeviceError("operations under qml.cond do not run on a QPU as they are. Use mcm_method='deferred'.")
    if not decides and mcm_method != "deferred":
        return (tape,), null_postprocessing
    if any(isinstance(op, MidMeasure) and op.postselect is not None for op in tape.operations):
        raise DeviceError(
            "postselection and qml.cond (or mcm_method='deferred') do not go together on a QPU. "
            "Return the outcome with qml.sample and select among the shots."
        )
    return defer_measurements(tape)


@transform
def split_if_needed(tape: Any) -> Any:
    """Several tapes if one basis does not do for all measurements."""
    observed = [m for m in tape.measurements if m.obs is not None]
    if any(map(is_whole_sum, observed)):
        tape = tape.copy(measurements=[as_matrix(m) if is_whole_sum(m) else m for m in tape.measurements])
        observed = [m for m in tape.measurements if m.obs is not None]
    if not observed:
        return (tape,), null_postprocessing
    bases = [basis_of(measurement) for measurement in observed]
    if None in bases or any(m.mv is not None for m in tape.measurements):
        return split_non_commuting(tape)
    bases += [dict.fromkeys(m.wires or tape.wires, "Z") for m in tape.measurements if m.obs is None]
    return split_non_commuting(tape) if agreed(bases) is None else ((tape,), null_postprocessing)


def is_whole_sum(measurement: Any) -> bool:
    """Whether a sum's own eigenvalues are asked for, not those of its terms, and no common basis gives them."""
    observable = measurement.obs
    if observable is None or isinstance(measurement, ExpectationMP) or basis_of(measurement) is not None:
        return False
    return isinstance(observable, Sum) or len(observable.pauli_rep or ()) > 1


def as_matrix(measurement: Any) -> Any:
    """The measurement with its observable as a Hermitian matrix."""
    wires = measurement.obs.wires
    if len(wires) > MOST_OF_A_MATRIX:
        what = type(measurement).__name__.removesuffix("MP").lower()
        raise DeviceError(
            f"{what} of a sum of {len(wires)} wires whose terms need several bases would take a matrix of "
            f"2**{len(wires)} rows; at most {MOST_OF_A_MATRIX} wires are done. Measure qml.expval, or each term."
        )
    changed = copy(measurement)
    with QueuingManager.stop_recording():
        changed.obs = Hermitian(matrix(measurement.obs), wires)
    return changed


@transform
def rotate_to_z(tape: Any) -> Any:
    """Append the gates that make each observable diagonal. The observables stay: `results` knows they are diagonal."""
    gates = rotations(tape.measurements)
    return (tape.copy(operations=[*tape.operations, *gates]) if gates else tape,), null_postprocessing


@transform
def into_gates(tape: Any, wires: Wires | None, name: str) -> Any:
    """Decompose what is no gate of a program."""
    if all(map(is_native, tape.operations)):  # asked here, because PennyLane looks for work wires first
        return (tape,), null_postprocessing
    return decompose(
        tape,
        stopping_condition=is_native,
        skip_initial_state_prep=False,
        decomposer=parts_of,
        device_wires=wires,
        target_gates={*_KEPT, "MidMeasureMP"},
        name=name,
    )


@transform
def without_phase(tape: Any) -> Any:
    """Leave out what no shot can show."""
    operations = [op for op in tape.operations if op.name not in _UNSEEN]
    same = len(operations) == len(tape.operations)
    return (tape if same else tape.copy(operations=operations),), null_postprocessing


@transform
def one_value_each(tape: Any) -> Any:
    """A tape for each value of a broadcast."""
    if not any(np.ndim(angle) for op in tape.operations for angle in op.data):  # quicker than asking tape.batch_size
        return (tape,), null_postprocessing
    return broadcast_expand(tape)


_UNSEEN = {"GlobalPhase", "Snapshot", "WireCut", "Identity"}


def parts_of(op: Any) -> Sequence[Any]:
    """What an operation consists of; its matrix where PennyLane knows nothing better."""
    if not op.has_decomposition and op.has_matrix:
        return [QubitUnitary(op.matrix(), op.wires)]
    parts: Sequence[Any] = op.decomposition()
    return parts


def is_native(op: Any) -> bool:
    """Whether a program has this operation as one gate."""
    ours = GATE_NAMES.get(op.name)
    if ours is not None:
        return len(op.wires) == GATES[ours][0]
    return isinstance(op, MidMeasure) or op.name in _KEPT or op.name in _UNSEEN or "Allocate" in op.name


def is_measured(measurement: Any) -> bool:
    """Whether shots in the Z basis give this measurement."""
    if isinstance(measurement, (ClassicalShadowMP, ShadowExpvalMP)) or not isinstance(measurement, SampleMeasurement):
        return False
    return measurement.obs is None or measurement.obs.has_diagonalizing_gates or not measurement.obs.wires
