"""`EstimatorV2`: Qiskit's estimator over the pool."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub, EstimatorPubLike

from qpu_executors.device import Counts
from qpu_executors.records import Priority, QuantumResult
from qpu_executors.site import Site

from .backend import QPUBackend
from .batch import Answers, Batch, Share
from .circuits import Ready, ready
from .job import PoolPrimitiveJob, Running
from .observables import Basis, bases, bits
from .sampler import as_backend, rows_of

Floats = NDArray[np.float64]


class EstimatorV2(BaseEstimatorV2):
    """Expectation values on QPUs: one task for each circuit and basis, with the bindings as its rows.

    Terms that commute qubit by qubit are measured together, with ``ceil(1 / precision**2)`` shots each basis, as
    Qiskit's `BackendEstimatorV2` does. ``stds`` are standard errors of the values: terms that were measured together
    count with their covariance (Qiskit's adds up the errors of all terms, which is an upper bound).

    Args:
        backend: of `provider`, or a name or selector of a QPU.
        default_precision: where neither a PUB nor `run` says which.
        seed: for simulators: the same seed gives the same values.
        priority: HIGH, MEDIUM or LOW.
        abelian_grouping: False measures each term on its own.
        site, engine, pool: as of `provider`, where the backend is a name.

    >>> EstimatorV2("any", site="laptop").run([(circuit, "ZZ", [0.1])]).result()[0].data.evs
    array(0.98974609)
    """

    def __init__(
        self,
        backend: QPUBackend | str = "any",
        *,
        default_precision: float = 0.015625,
        seed: int | None = None,
        priority: Priority | str = Priority.MEDIUM,
        abelian_grouping: bool = True,
        site: Site | str | Path | None = None,
        engine: str | None = None,
        pool: Executor | None = None,
    ) -> None:
        self.backend = as_backend(backend, site, engine, pool)
        self.default_precision, self.seed, self.priority = default_precision, seed, priority
        self.abelian_grouping = abelian_grouping

    def run(self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None) -> PoolPrimitiveJob:
        """Run PUBs; the job is on its way when this returns.

        Raises:
            InvalidTask: an operation cannot be carried. ValueError, TypeError: no valid PUB, or a precision of 0.
        """
        coerced = [EstimatorPub.coerce(pub, self.default_precision if precision is None else precision) for pub in pubs]
        for number, pub in enumerate(coerced):
            if pub.precision <= 0:
                raise ValueError(
                    f"The {number}-th pub has precision {pub.precision}; it must be larger than 0, as a QPU would need "
                    "endless shots. Give for example precision=0.01: 10,000 shots."
                )
        batch = Batch(self.backend.name, self.seed, self.priority, n_qpus=self.backend.n_slots)
        plans = [_Plan(pub, self.backend, batch, self.abelian_grouping) for pub in coerced]

        def finish(results: list[QuantumResult]) -> PrimitiveResult[PubResult]:
            answers = batch.counts(results)
            return PrimitiveResult([plan.result(answers) for plan in plans], metadata={"version": 2})

        return PoolPrimitiveJob(str(uuid.uuid4()), Running(self.backend.submit(batch.tasks()), finish))


@dataclass(frozen=True)
class _Measurement:
    """A basis measured for some of a PUB's rows; ``places`` are its bits in a counts key."""

    basis: Basis
    ready: Ready
    rows: list[int]
    share: Share

    @property
    def places(self) -> tuple[int, ...]:
        return self.ready.places[len(self.ready.places) - len(self.basis.letters) :]


class _Plan:
    """What one PUB needs, in a batch."""

    def __init__(self, pub: EstimatorPub, backend: QPUBackend, batch: Batch, together: bool) -> None:
        self._pub, self._backend = pub, backend
        self._shots = math.ceil(1.0 / pub.precision**2)
        n_rows = int(np.prod(pub.parameter_values.shape, dtype=int))
        numbers = np.arange(n_rows).reshape(pub.parameter_values.shape)
        self._row_of = np.broadcast_to(numbers, pub.shape).ravel()
        self._observable_of = _observables(pub)
        self._measurements = []
        plain = backend.ready(pub.circuit)  # known already in a loop, and where what is measured behind it is kept
        rows: list[Any] = []
        for terms, wanted in self._rows_by_terms(n_rows).items():
            for basis in bases(terms, together):
                measured = self._measured(plain, basis)
                rows = rows or rows_of(pub, measured)
                lines = [rows[row] if measured.parameters else measured.lifted for row in wanted]
                share = batch.add(measured, lines, self._shots)
                self._measurements.append(_Measurement(basis, measured, wanted, share))

    def result(self, answers: Answers) -> PubResult:
        values: dict[int, list[tuple[Basis, Floats, Floats]]] = {}
        for measurement in self._measurements:
            for row, counts in zip(measurement.rows, answers.of(measurement.share), strict=True):
                values.setdefault(row, []).append(_read(measurement, counts))
        evs, stds = np.empty(len(self._row_of)), np.empty(len(self._row_of))
        for place, (row, observable) in enumerate(zip(self._row_of, self._observable_of, strict=True)):
            evs[place], variance = _estimate(observable, values.get(int(row), []))
            stds[place] = math.sqrt(variance / self._shots)
        pub = self._pub
        data = DataBin(evs=evs.reshape(pub.shape), stds=stds.reshape(pub.shape), shape=pub.shape)
        about = {"target_precision": pub.precision, "shots": self._shots, "circuit_metadata": pub.circuit.metadata}
        return PubResult(data, metadata=about)

    def _rows_by_terms(self, n_rows: int) -> dict[frozenset[str], list[int]]:
        """Rows that need the same terms."""
        needed: list[set[str]] = [set() for _ in range(n_rows)]
        for row, observable in zip(self._row_of, self._observable_of, strict=True):
            needed[row].update(observable)
        found: dict[frozenset[str], list[int]] = {}
        for row, terms in enumerate(needed):
            found.setdefault(frozenset(terms), []).append(row)
        return found

    def _measured(self, plain: Ready, basis: Basis) -> Ready:
        known = plain.derived.get(basis.letters)
        if known is None:
            measured = basis.measured(self._pub.circuit)
            known = plain.derived[basis.letters] = ready(measured, keeps_delays=self._backend.keeps_delays)
        found: Ready = known
        return found


def _observables(pub: EstimatorPub) -> list[dict[str, float]]:
    """The observable of each value of a PUB, in its order; equal places share one."""
    flat = pub.observables.ravel()
    size = int(np.prod(pub.observables.shape, dtype=int))
    each = [dict(flat[number]) for number in range(size)]
    numbers = np.broadcast_to(np.arange(size).reshape(pub.observables.shape), pub.shape)
    return [each[number] for number in numbers.ravel()]


def _read(measurement: _Measurement, counts: Counts) -> tuple[Basis, Floats, Floats]:
    """The basis, the value of each of its terms for each outcome, and how often the outcome was seen."""
    outcomes = [int(key.replace(" ", ""), 2) for key in counts]
    values = measurement.basis.values(bits(outcomes, measurement.places))
    frequencies = np.array(list(counts.values()), float)
    return measurement.basis, values, frequencies / frequencies.sum()


def _estimate(observable: dict[str, float], measured: list[tuple[Basis, Floats, Floats]]) -> tuple[float, float]:
    """Mean, and the variance of a single shot, of an observable; what acts on nothing is its coefficient."""
    mean = sum(float(np.real(number)) for term, number in observable.items() if set(term) == {"I"})
    variance = 0.0
    for basis, values, weights in measured:
        coefficients = np.array([float(np.real(observable.get(term, 0.0))) for term in basis.terms])
        by_outcome = values @ coefficients
        average = float(weights @ by_outcome)
        mean += average
        variance += max(0.0, float(weights @ by_outcome**2) - average**2)
    return mean, variance
