"""Cirq programs on the pool: `ConqureSampler` stands where `cirq.Simulator()` stood.

>>> sampler = ConqureSampler("laptop")
>>> sampler.run(circuit, repetitions=1000).histogram(key="m")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import cirq
import duet
import numpy

from qpu_executors.errors import InvalidTask
from qpu_executors.records import Priority, QuantumResult, QuantumTask
from qpu_executors.site import Site
from qpu_executors.translation import Translation
from qpu_executors.translation.cirq import Measured, read

from .door import door


class ConqureSampler(cirq.Sampler):
    """Samples Cirq's circuits on a QPU of a site.

    The points of a sweep are the rows of one task where all angles are affine in the symbols, else a task each.
    ``run_batch`` and everything made of it has all its tasks waiting at once. A QPU gives counts, so the order of the
    repetitions in a result says nothing: it is shuffled.

    Args:
        site, engine, pool: as of `conqure.interop.door.Door`.
        device: the name of a QPU, or a selector such as ``"qubits>=7"``.
        seed: for simulators, and for the order of the repetitions: equal calls give equal results.
        priority: HIGH, MEDIUM or LOW.
    """

    def __init__(
        self,
        site: Site | str | Path | None = None,
        *,
        device: str = "any",
        engine: str | None = None,
        pool: Executor | None = None,
        seed: int | None = None,
        priority: Priority | str = Priority.MEDIUM,
    ) -> None:
        self.door = door(site, engine=engine, pool=pool)
        self.door.select(device)
        self._fields: dict[str, Any] = {"device_id": device, "seed": seed, "priority": priority}

    async def run_sweep_async(
        self, program: cirq.AbstractCircuit, params: cirq.Sweepable, repetitions: int = 1
    ) -> Sequence[cirq.Result]:
        """One result for each point of the sweep, in its order."""
        resolvers = list(cirq.to_resolvers(params))
        results: list[cirq.Result] = []
        for submitted, measured, points in self._submit(program, resolvers, repetitions):
            done = await duet.AwaitableFuture.wrap(submitted)
            for counts, point in zip(done.counts, points, strict=True):
                records = _records(counts, measured, self._fields["seed"])
                results.append(cirq.ResultDict(params=point, records=records))
        return results

    def _submit(
        self, program: cirq.AbstractCircuit, resolvers: list[cirq.ParamResolver], repetitions: int
    ) -> list[tuple[Future[QuantumResult], tuple[Measured, ...], list[cirq.ParamResolver]]]:
        """The tasks of a sweep, on their way, each with its measurements and points."""
        if not resolvers:
            return []
        try:
            translation, measured = read(program)
        except InvalidTask:
            if not cirq.is_parameterized(program):
                raise
            resolved = [read(cirq.resolve_parameters(program, _checked(program, point))) for point in resolvers]
            tasks = [self._task(found, repetitions, [found.lifted]) for found, _ in resolved]
            seed = self._fields["seed"]
            if seed is not None:  # the points must not share their luck
                tasks = [task.replace(seed=seed + number) for number, task in enumerate(tasks)]
            sent = zip(tasks, resolved, resolvers, strict=True)
            return [(self.door.submit(task), measured, [point]) for task, (_, measured), point in sent]
        if translation.lifted:  # no symbols: all points are the same
            rows: Any = [translation.lifted] * len(resolvers)
        else:
            rows = [[_value(point, name) for name in translation.parameters or ()] for point in resolvers]
        return [(self.door.submit(self._task(translation, repetitions, rows)), measured, resolvers)]

    def _task(self, found: Translation, repetitions: int, rows: Any) -> QuantumTask:
        return QuantumTask(found.program, found.language, shots=repetitions, parameter_values=rows, **self._fields)


def _checked(program: cirq.AbstractCircuit, point: cirq.ParamResolver) -> cirq.ParamResolver:
    for name in sorted(cirq.parameter_names(program)):
        _value(point, name)
    return point


def _value(point: cirq.ParamResolver, name: str) -> float:
    """What a symbol stands for at a point of a sweep."""
    value = point.value_of(name)
    try:
        return float(value)
    except TypeError:
        raise InvalidTask(
            f"symbol {name!r} has no real value, but {value}. Give one in the resolver or sweep."
        ) from None


def _records(
    counts: Mapping[str, int], measured: Sequence[Measured], seed: int | None
) -> dict[str, numpy.ndarray[Any, Any]]:
    """For each key an array of bits of shape (repetitions, times measured, qubits)."""
    words = [bits.replace(" ", "")[::-1] for bits in counts]
    seen = numpy.array([list(word.encode()) for word in words], dtype=numpy.uint8) - ord("0")
    shots = numpy.repeat(seen, list(counts.values()), axis=0)
    numpy.random.default_rng(seed).shuffle(shots)
    found: dict[str, list[numpy.ndarray[Any, Any]]] = defaultdict(list)
    first = 0
    for key, inverted in measured:
        found[key].append(shots[:, first : first + len(inverted)] ^ numpy.array(inverted, dtype=numpy.uint8))
        first += len(inverted)
    return {key: numpy.stack(times, axis=1) for key, times in found.items()}
