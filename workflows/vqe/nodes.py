"""What travels: `Plan` makes the quantum tasks, `step` is the classical node and `Link` what it is given."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qpu_executors import QuantumResult, QuantumTask, when_ready

from .ansatz import Ansatz
from .pauli import Floats, Group, estimate
from .problems import Problem
from .search import Search, Settings

_JOB_NAME = "conqure-"  # and then the group's name: what CONQURE's engines call their jobs


@dataclass(frozen=True)
class Plan:
    """What stays the same during a run.

    Attributes:
        shots, final_shots: repetitions of each circuit of the search, and of the final state's.
        seed: everything random in the run follows from it.
        batched: the points of one ask are the rows of one task per group, instead of a task for every circuit.
        run_id: of this run and those that go on with it; its circuits are named after it, so that what a run that died
            has submitted to a machine is found there.
    """

    problem: Problem
    ansatz: Ansatz
    optimizer: Settings
    starts: int
    shots: int
    final_shots: int
    seed: int
    device_id: str = "any"
    priority: str = "MEDIUM"
    batched: bool = False
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self.problem.hamiltonian.groups

    @cached_property
    def programs(self) -> tuple[str, ...]:
        """One program per group of terms that are measured together."""
        circuit = self.optimizer.circuit(self.ansatz)
        return tuple(circuit.program(group.basis) for group in self.groups)

    @cached_property
    def evaluations(self) -> int:
        """Energies per start that the optimiser will ask for, at most, and the final state's."""
        return self.optimizer.evaluations(self.ansatz) + 1

    def search(self, start: int) -> Search:
        """The optimiser of one start at its random initial parameters."""
        x0 = self.ansatz.initial(np.random.default_rng([self.seed, start]))
        return self.optimizer.begin(self.ansatz, x0, self.seed + start)

    def tasks(self, start: int, evaluation: int, points: Floats, last: bool) -> list[QuantumTask]:
        """The circuits of some points, point by point and group by group; ``evaluation`` counts the first point."""
        groups, shots = range(len(self.groups)), self.final_shots if last else self.shots
        if self.batched:
            return [self._task(start, evaluation, group, points, shots) for group in groups]
        return [
            self._task(start, evaluation + k, group, points[k : k + 1], shots)
            for k in range(len(points))
            for group in groups
        ]

    def _task(self, start: int, evaluation: int, group: int, points: Floats, shots: int) -> QuantumTask:
        # The seed depends on the circuit's place in the run only: no engine and no order of events changes a result.
        seeds = np.random.SeedSequence(self.seed, spawn_key=(start, evaluation, group))
        return QuantumTask(
            self.programs[group],
            device_id=self.device_id,
            shots=shots,
            parameter_values=points,
            seed=int(seeds.generate_state(1)[0]),
            priority=self.priority,
            task_id=f"{self.run_id}-{start}-{evaluation}-{group}",
        )


@dataclass(frozen=True)
class Link:
    """What a step needs beside the results of its circuits. ``last``: these measured the final state."""

    search: Search
    points: Floats
    groups: tuple[Group, ...]
    offset: float
    batched: bool
    last: bool

    def counts(self, results: Sequence[QuantumResult]) -> list[list[Mapping[str, int]]]:
        """Counts by point and group."""
        if self.batched:
            return [[result.counts[k] for result in results] for k in range(len(self.points))]
        n = len(self.groups)
        return [[result.counts[0] for result in results[k : k + n]] for k in range(0, len(results), n)]


@dataclass(frozen=True)
class Place:
    """Where and when a classical node ran; ``group`` and ``job`` are those of Slurm, or empty."""

    worker: str = ""
    group: str = ""
    job: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True)
class Stepped:
    """What a step gives back. ``asked``: the points of the next link; no rows when the search is over."""

    search: Search
    energies: Floats
    errors: Floats
    asked: Floats
    place: Place = Place()


def ready(search: Search) -> Place:
    """Bring into a classical worker what its first step will need, by a step on made-up energies."""
    started_at = time.time()
    points = search.ask()
    if len(points):
        search.tell(points, np.zeros(len(points)), np.ones(len(points))).ask()
    return _here(started_at)


def step(link: Link, *results: QuantumResult) -> Stepped:
    """The classical node: energies from counts, then one step of the optimiser. It changes nothing outside."""
    started_at = time.time()
    found = np.array([estimate(link.groups, link.offset, counts) for counts in link.counts(results)])
    # As a resumed run reads them from its log: sums over strided numbers may differ in the last digit.
    energies, errors = np.ascontiguousarray(found.T)
    search, asked = tell(link.search, link.points, energies, errors, link.last)
    return Stepped(search, energies, errors, asked, _here(started_at))


def _here(started_at: float) -> Place:
    """This worker: a job that an engine submitted is named after its group."""
    told = os.environ.get
    host = told("SLURMD_NODENAME") or socket.gethostname()
    job, name = told("SLURM_JOB_ID", ""), told("SLURM_JOB_NAME", "")
    group = name.removeprefix(_JOB_NAME) if name.startswith(_JOB_NAME) else told("SLURM_JOB_PARTITION", "")
    worker = f"{host}/{os.getpid()}/{threading.get_native_id()}"
    return Place(worker, group if job else "", job, started_at, time.time())


def tell(search: Search, points: Floats, energies: Floats, errors: Floats, last: bool) -> tuple[Search, Floats]:
    """The search after some energies, and the points it asks for next (none after the final state)."""
    if last:
        return search, points[:0]
    search = search.tell(points, energies, errors)
    return search, search.ask()


def submit_after(pool: Executor, fn: Callable[..., Any], first: Any, inputs: Sequence[Any]) -> Future[Any]:
    """``pool.submit(fn, first, *inputs)`` where inputs may be futures.

    CONQURE's pools know what to do with futures. The standard library's own pools do not: for them the call is
    submitted when the last input is there.
    """
    if not type(pool).__module__.startswith("concurrent.futures"):
        return pool.submit(fn, first, *inputs)
    outcome: Future[Any] = Future()

    def submit(args: tuple[Any, ...], _: Any, error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error
            pool.submit(fn, first, *args).add_done_callback(lambda done: _copy(done, outcome))
        except BaseException as failed:
            outcome.set_exception(failed)

    when_ready(tuple(inputs), {}, submit)
    return outcome


def _copy(done: Future[Any], outcome: Future[Any]) -> None:
    try:
        outcome.set_result(done.result())
    except BaseException as error:
        outcome.set_exception(error)
