"""`Flight`: what one slot of a QPU is doing for the queue: the tasks of a work, or of a few, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, DeviceLost, RemoteFailed, WorkCanceled
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.running import run

from . import batching
from .outcome import Outcome
from .work import WorkloadFormat, WorkRecord
from .workloads import named_after_work, named_as_handed_in, read_tasks, results_payload


@dataclass(frozen=True, slots=True)
class Ended:
    """A work is through: its outcome, and where that is a good one its results."""

    work: WorkRecord
    outcome: Outcome
    results: bytes = b""
    run_s: float = 0.0


@dataclass(slots=True)
class _Step:
    """One task for the pool; ``parts`` are the tasks of works that share it, one each, as they were handed in."""

    task: QuantumTask
    parts: list[tuple[WorkRecord, QuantumTask]]

    @classmethod
    def alone(cls, work: WorkRecord, task: QuantumTask, position: int = 0) -> _Step:
        return cls(named_after_work(task, work.work_id, position), [(work, task)])


@dataclass(slots=True)
class _Underway:
    work: WorkRecord
    n_tasks: int
    workload: bytes
    results: list[QuantumResult] = field(default_factory=list)


class Flight:
    """Works on their way through one slot of a QPU.

    Not thread-safe: its dispatcher's thread uses it; ``landed(flight, future)`` is called from the pool's threads.

    Attributes:
        works: those that are not through, by work_id.
    """

    def __init__(self, qpu: QPU, pool: Executor, landed: Callable[[Flight, Future[Any]], None]) -> None:
        self.qpu = qpu
        self._pool, self._landed = pool, landed
        self._underway: dict[str, _Underway] = {}
        self._steps: deque[_Step] = deque()
        self._step: _Step | None = None
        self._future: Future[Any] | None = None
        self._canceled: set[str] = set()

    @property
    def works(self) -> Mapping[str, WorkRecord]:
        return {work_id: underway.work for work_id, underway in self._underway.items()}

    @property
    def is_over(self) -> bool:
        return not self._underway

    def load(self, works: Sequence[tuple[WorkRecord, bytes]]) -> list[Ended]:
        """Take works with their workloads, and start; returns those that cannot be run at all."""
        ended: list[Ended] = []
        steps: list[_Step] = []
        for work, workload in works:
            try:
                tasks = read_tasks(
                    work.format, workload, device_id=self.qpu.device_id, priority=work.priority, work_id=work.work_id
                )
            except ConqureError as error:
                ended.append(Ended(work, _outcome(work, error, self.qpu.device_id)))
                continue
            kept = workload if work.format is WorkloadFormat.DAX else b""
            self._underway[work.work_id] = _Underway(work, len(tasks), kept)
            steps += [_Step.alone(work, task, position) for position, task in enumerate(tasks)]
        joined = batching.join([step.task for step in steps]) if len(self._underway) > 1 else None
        self._steps += [_Step(joined, [part for step in steps for part in step.parts])] if joined else steps
        return ended + self.go_on()

    def go_on(self) -> list[Ended]:
        """Give the next task to the pool; returns the works that cannot go on.

        Raises:
            RuntimeError: the pool takes no tasks (any more).
        """
        ended: list[Ended] = []
        while self._steps and self._future is None:
            step = self._step = self._steps.popleft()
            if all(work.work_id not in self._underway for work, _ in step.parts):
                continue
            try:
                future = self._pool.submit(run, step.task)
            except RuntimeError as error:
                if not isinstance(error, ConqureError):
                    raise
                ended += self._fail(step, error)
            except Exception as error:
                ended += self._fail(step, error)
            else:
                self._future = future
                future.add_done_callback(lambda done: self._landed(self, done))
        return ended

    def land(self, future: Future[Any]) -> list[Ended]:
        """A task is done; returns the works that are through with it."""
        step, self._future = self._step, None
        if step is None:
            return []
        try:
            result: QuantumResult = future.result(timeout=0)
            if not isinstance(result, QuantumResult):
                raise DeviceLost(f"the pool answered with a {type(result).__name__} instead of a result.")
        except (Exception, CancelledError) as error:
            if len(step.parts) > 1 and _is_over(error):  # whose fault it is shows when each is alone
                self._steps.extendleft(_Step.alone(work, task) for work, task in reversed(step.parts))
                return []
            return self._fail(step, error)
        tasks = [task for _, task in step.parts]
        results = batching.split(result, tasks) if len(tasks) > 1 else [named_as_handed_in(result, tasks[0])]
        return [
            ended
            for (work, _), part in zip(step.parts, results, strict=True)
            for ended in self._keep(work.work_id, part)
        ]

    def cancel(self, work_id: str) -> list[Ended]:
        """Its owner wants this work to end. What the pool has not begun does not begin; what runs goes on."""
        if work_id not in self._underway or work_id in self._canceled:
            return []
        self._canceled.add(work_id)
        now = self._step if self._future is not None else None
        if now is None or all(work.work_id != work_id for work, _ in now.parts):
            return [self._end(work_id, WorkCanceled("canceled by its owner before its turn came."))]
        if len(now.parts) == 1:
            self.recall()
        return []

    def recall(self) -> None:
        """Take the task back from the pool, if it has not begun."""
        if self._future is not None:
            with suppress(NotImplementedError):  # futures of Parsl
                self._future.cancel()

    def drop(self) -> list[WorkRecord]:
        """Have nothing more to do with the works, which are returned; what runs is no longer listened to."""
        dropped = [underway.work for underway in self._underway.values()]
        self._underway.clear()
        self._steps.clear()
        self._step = None
        return dropped

    def _keep(self, work_id: str, result: QuantumResult) -> list[Ended]:
        underway = self._underway.get(work_id)
        if underway is None:
            return []
        underway.results.append(result)
        if len(underway.results) < underway.n_tasks:
            if work_id not in self._canceled:
                return []
            return [self._end(work_id, WorkCanceled("canceled by its owner between two of its tasks."))]
        try:
            payload = results_payload(underway.work.format, underway.results, underway.workload)
        except Exception as error:  # what a device has put there
            return [self._end(work_id, error)]
        del self._underway[work_id]
        return [Ended(underway.work, _done(underway.work, result), payload, _run_s(underway.results))]

    def _fail(self, step: _Step, error: BaseException) -> list[Ended]:
        ended = []
        for work, _ in step.parts:
            if work.work_id in self._underway:
                wanted = isinstance(error, CancelledError) and work.work_id in self._canceled
                why = WorkCanceled("canceled by its owner before it began.") if wanted else error
                ended.append(self._end(work.work_id, why))
        return ended

    def _end(self, work_id: str, error: BaseException) -> Ended:
        underway = self._underway.pop(work_id)
        outcome = _outcome(underway.work, error, self.qpu.device_id)
        return Ended(underway.work, outcome, run_s=_run_s(underway.results))


def _is_over(error: BaseException) -> bool:
    """Whether a task that failed is no longer with its machine; else it must be tried again as the task that it is."""
    if isinstance(error, CancelledError):
        return False
    return isinstance(error, RemoteFailed) or not getattr(error, "transient", False)


def _run_s(results: Sequence[QuantumResult]) -> float:
    return sum(result.run_s for result in results)


def _done(work: WorkRecord, result: QuantumResult) -> Outcome:
    job = str(result.metadata.get("slurm_job_id", ""))[:64]
    return Outcome(work.work_id, work.attempts, ran_on=result.device_id, slurm_job_id=job)


def _outcome(work: WorkRecord, error: BaseException, ran_on: str) -> Outcome:
    """An error as the work's; what the pool itself does wrong may pass."""
    if isinstance(error, (BrokenExecutor, CancelledError)) and not isinstance(error, ConqureError):
        error = DeviceLost(f"the pool gave up the task: {type(error).__name__} {error}".rstrip())
    outcome = Outcome.of_error(work, error)
    return Outcome(**(outcome.describe() | {"ran_on": ran_on}))
