"""Counts to what PennyLane's measurements return.

Counts stay counts wherever that is possible: a million shots of five wires are at most 32 lines. Only `qml.sample` and
measurements written by a user see single shots, in random order, as counts have lost it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pennylane.measurements import CountsMP, ExpectationMP, MeasurementValue, ProbabilityMP, SampleMP, VarianceMP
from pennylane.tape import QuantumScript

from .circuits import Circuit, outcomes_of
from .observables import eigenvalues, index

Array = NDArray[Any]


@dataclass(frozen=True)
class Outcomes:
    """What was seen.

    Attributes:
        bits: shape (n_outcomes, n_columns), 0 or 1, int64.
        times: shape (n_outcomes,), how often each was seen.
    """

    bits: Array
    times: Array

    @classmethod
    def of(cls, counts: dict[str, int]) -> Outcomes:
        """From counts in Qiskit's order: the last column is leftmost."""
        keys = [key.replace(" ", "") for key in counts]
        text = np.frombuffer("".join(keys).encode(), dtype=np.uint8)
        bits = (text.reshape(len(keys), -1)[:, ::-1] - ord("0")).astype(np.int64)
        return cls(bits, np.fromiter(counts.values(), dtype=np.int64, count=len(counts)))

    def split(self, sizes: Sequence[int], rng: np.random.Generator) -> list[Outcomes]:
        """Deal the shots out at random into parts of these sizes."""
        left, parts = self.times, []
        for size in sizes:
            taken = rng.multivariate_hypergeometric(left, size, method="marginals")
            parts.append(Outcomes(self.bits, taken).seen())
            left = left - taken
        return parts

    def where(self, column: int, value: int) -> Outcomes:
        """Those with this value in a column."""
        chosen = self.bits[:, column] == value
        return Outcomes(self.bits[chosen], self.times[chosen])

    def seen(self) -> Outcomes:
        seen = self.times > 0
        return self if seen.all() else Outcomes(self.bits[seen], self.times[seen])

    def shots(self, rng: np.random.Generator) -> Array:
        """Each shot, shape (n_shots, n_columns), in random order."""
        return rng.permutation(np.repeat(self.bits, self.times, axis=0))


def results_of(tape: QuantumScript, circuit: Circuit, outcomes: Outcomes, rng: np.random.Generator) -> Any:
    """The results of a tape: one per measurement, and all that once per entry of a shot vector."""
    sizes = list(tape.shots)
    parts = outcomes.split(sizes, rng) if len(sizes) > 1 else [outcomes]
    place = {column: number for number, column in enumerate(circuit.columns)}
    for name, value in circuit.kept:
        parts = [part.where(place[name], value) for part in parts]
    results = tuple(_of_one(tape, place, part, rng) for part in parts)
    return results if tape.shots.has_partitioned_shots else results[0]


def _of_one(tape: QuantumScript, place: dict[Any, int], outcomes: Outcomes, rng: np.random.Generator) -> Any:
    shots: list[Array] = []  # drawn once for all measurements of a tape, so that they stay correlated

    def single() -> Array:
        if not shots:
            shots.append(outcomes.shots(rng))
        return shots[0]

    results = tuple(_measured(measurement, place, outcomes, single) for measurement in tape.measurements)
    return results if len(results) > 1 else results[0]


def _measured(measurement: Any, place: dict[Any, int], outcomes: Outcomes, single: Any) -> Any:
    match measurement:
        case ExpectationMP():
            return _mean(_values(measurement, place, outcomes.bits), outcomes.times)
        case VarianceMP():
            values = _values(measurement, place, outcomes.bits)
            return _mean((values - _mean(values, outcomes.times)) ** 2, outcomes.times)
        case ProbabilityMP():
            columns = _columns(measurement, place)
            seen = np.bincount(index(outcomes.bits[:, columns]), outcomes.times, minlength=2 ** len(columns))
            return seen / outcomes.times.sum() if outcomes.times.sum() else np.full(len(seen), math.nan)
        case CountsMP():
            return _counts(measurement, place, outcomes)
        case SampleMP() if _is_raw(measurement):
            return _typed(measurement, single()[:, _columns(measurement, place)])
        case SampleMP():
            return _typed(measurement, _values(measurement, place, single()))
    return measurement.process_samples(single(), list(place))  # a measurement of the user's own


def _typed(measurement: Any, values: Array) -> Array:
    dtype = getattr(measurement, "_dtype", None)
    return values if dtype is None else values.astype(dtype)


def _mean(values: Array, times: Array) -> Any:
    return np.float64(values @ times / times.sum()) if times.sum() else np.float64(math.nan)


def _counts(measurement: Any, place: dict[Any, int], outcomes: Outcomes) -> dict[Any, Any]:
    """PennyLane's dictionary: bit strings with the first wire leftmost, or eigenvalues."""
    columns = _columns(measurement, place)
    found: dict[Any, Any] = {}
    if _is_raw(measurement):
        seen = index(outcomes.bits[:, columns])
        if measurement.all_outcomes:
            found = {f"{number:0{len(columns)}b}": np.int64(0) for number in range(2 ** len(columns))}
        keys: list[Any] = [f"{number:0{len(columns)}b}" for number in seen.tolist()]
    else:
        if measurement.all_outcomes:
            found = dict.fromkeys(measurement.eigvals(), np.int64(0))
        keys = list(_values(measurement, place, outcomes.bits))
    for key, times in zip(keys, outcomes.times, strict=True):
        found[key] = found.get(key, np.int64(0)) + times
    return found if measurement.all_outcomes else dict(sorted(found.items()))


def _is_raw(measurement: Any) -> bool:
    """Whether bits are asked for rather than values."""
    no_value = measurement.obs is None and not isinstance(measurement.mv, MeasurementValue)
    return no_value and measurement._eigvals is None


def _columns(measurement: Any, place: dict[Any, int]) -> list[int]:
    """Where the bits of a measurement are."""
    if measurement.mv is not None:
        return [place[_column(op, place)] for op in outcomes_of(measurement)]
    return [place[wire] for wire in measurement.wires or place]


def _column(op: Any, place: dict[Any, int]) -> Any:
    """An outcome's own bit, or the wire that a deferred measurement reads at the end."""
    return op.meas_uid if op.meas_uid in place else op.wires[0]


def _values(measurement: Any, place: dict[Any, int], bits: Array) -> Array:
    """The value of each line of bits."""
    if measurement.obs is not None:
        return eigenvalues(measurement, place, bits)
    values = np.asarray(measurement.eigvals())
    return values[index(bits[:, _columns(measurement, place)])]
