"""What the tests of dispatching share: works, a pool whose futures the test settles itself, and waiting."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from conqure.queue.dispatcher import Dispatcher
from conqure.queue.store import Store
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus, new_work_id
from conqure.queue.workloads import check_workload
from qpu_executors import QPU, QuantumResult, QuantumTask
from qpu_executors.testing import BELL
from qpu_executors.threads import QPUThreadPool

FAKE = QPU("fake0", "fake", 7)


def task_work(task: QuantumTask | None = None, **fields: Any) -> tuple[WorkRecord, bytes]:
    """A READY work of one task, and its workload."""
    return payload_work(WorkloadFormat.TASK, (task or QuantumTask(BELL, shots=10)).to_json().encode(), **fields)


def payload_work(format: WorkloadFormat, payload: bytes, **fields: Any) -> tuple[WorkRecord, bytes]:
    now = time.time()
    facts = {"owner": "ada", "created_at": now, "ready_at": now} | check_workload(format, payload) | fields
    return WorkRecord(new_work_id(), status=WorkStatus.READY, format=format, **facts), payload


def add(store: Store, task: QuantumTask | None = None, **fields: Any) -> str:
    return store.add(*task_work(task, **fields)).work_id


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def ended(store: Store, *work_ids: str, seconds: float = 30.0) -> list[WorkRecord]:
    """The works once all are final."""
    until(lambda: all(store.get(work_id).status.is_final for work_id in work_ids), seconds)
    return [store.get(work_id) for work_id in work_ids]


@contextmanager
def dispatching(store: Store, *qpus: QPU, **options: Any) -> Iterator[Dispatcher]:
    """A dispatcher with a real pool of these QPUs."""
    with QPUThreadPool(qpus) as pool, Dispatcher(store, pool, qpus, **({"look_s": 0.02} | options)) as dispatcher:
        yield dispatcher


class ManualPool(Executor):
    """Keeps what it is given; the test says when and how each task ends."""

    def __init__(self) -> None:
        self.given: list[tuple[QuantumTask, Future[QuantumResult]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[QuantumResult] = Future()
        self.given.append((args[0], future))
        return future

    def begin(self, number: int) -> QuantumTask:
        until(lambda: len(self.given) > number)
        self.given[number][1].set_running_or_notify_cancel()
        return self.given[number][0]

    def finish(self, number: int, **fields: Any) -> None:
        until(lambda: len(self.given) > number)
        task, future = self.given[number]
        future.set_result(result_of(task, **fields))

    def fail(self, number: int, error: BaseException) -> None:
        until(lambda: len(self.given) > number)
        self.given[number][1].set_exception(error)


def result_of(task: QuantumTask, **fields: Any) -> QuantumResult:
    counts = tuple({"00": task.shots} for _ in range(task.n_rows))
    values = {"device_id": task.device_id, "counts": counts, "shots": task.shots}
    times = {"queue_s": 0.0, "run_s": 0.5, "started_at": 1.0, "ended_at": 1.5}
    return QuantumResult(task.task_id, **(values | times | fields))
