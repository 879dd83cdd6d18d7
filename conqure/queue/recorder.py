"""`Recorder`: keeps the tasks of a Parsl, Dask, OpenMP-Q or threads program as works, without the program's doing.

What it is told goes into a list in memory, and a thread of its own writes that to the store, so that the program never
waits for the store. Where the store is slower than the program, or gone, the list is bounded: what does not fit is not
recorded, and that is counted and logged.
"""

from __future__ import annotations

import atexit
import getpass
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from qpu_executors.errors import ConqureError, InvalidTask, StoreError
from qpu_executors.observing import Outcome
from qpu_executors.records import QuantumResult, QuantumTask

from .naming import DispatcherName
from .outcome import Outcome as WorkOutcome
from .store import Store, open_store
from .work import WorkloadFormat, WorkRecord, WorkStatus, new_work_id
from .workloads import facts_of, results_payload

log = logging.getLogger("conqure.queue")

GATHER_S = 0.1  # what is told within this time is written together
LEASE_S = 60.0
MOST_EVENTS = 20_000  # in memory
_LONGEST_PAUSE_S = 5.0
_TOGETHER = 256


class _Event(NamedTuple):
    task: QuantumTask
    at: float
    is_end: bool
    outcome: Outcome


class _Change(NamedTuple):
    """A verb of the store; done twice it is as good as done once."""

    verb: str
    args: tuple[Any, ...]
    facts: dict[str, Any]


class Recorder:
    """An observer (`qpu_executors.observing.Observer`) that records tasks as works of a store.

    They are EXECUTING from the moment that the engine has them, under a lease; if the program is gone without having
    told their end, whoever looks after the store ends them (ERROR, ``work_lost``).

    Args:
        store: it is the caller's, who closes it after the recorder.
        owner: whose works they are. source: which engine runs them: ``parsl``, ``dask``, ``openmpq`` or ``threads``.

    Attributes:
        dropped: how many times something could not be recorded.

    >>> recorder = Recorder(open_store("sqlite:works.db"), "ada", "openmpq")
    >>> with serve(pool, observers=[recorder]): ...
    >>> recorder.close()
    """

    def __init__(self, store: Store, owner: str, source: str = "threads", *, most_events: int = MOST_EVENTS) -> None:
        self.store, self.owner, self.source = store, owner, source
        self.name = DispatcherName().text
        self.dropped = 0
        self._most = most_events
        self._events: deque[_Event] = deque()
        self._changes: list[_Change] = []
        self._running: dict[int, deque[tuple[QuantumTask, WorkRecord]]] = defaultdict(deque)  # by the object's id
        self._arrived, self._closing = threading.Event(), threading.Event()
        self._renew_at = time.monotonic() + LEASE_S / 3
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._write_on, name=f"recorder-{source}", daemon=True)
        self._thread.start()

    def submitted(self, task: QuantumTask) -> None:
        self._put(_Event(task, time.time(), False, None))

    def finished(self, task: QuantumTask, outcome: Outcome) -> None:
        self._put(_Event(task, time.time(), True, outcome))

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is there, for so long at most; what comes later is not recorded."""
        self._give_up_at = time.monotonic() + timeout_s
        self._closing.set()
        self._arrived.set()
        self._thread.join(timeout_s)

    def _put(self, event: _Event) -> None:
        if len(self._events) >= self._most:
            return self._drop()
        self._events.append(event)
        if not self._arrived.is_set():
            self._arrived.set()

    def _drop(self) -> None:
        self.dropped += 1
        if self.dropped == 1 or self.dropped % 100_000 == 0:
            log.warning("not recorded, because the store %s does not keep up: %d", self.store.url, self.dropped)

    # -- its thread --

    def _write_on(self) -> None:
        pause_s = GATHER_S
        while True:
            self._arrived.wait(LEASE_S / 3)
            self._closing.wait(pause_s)
            self._arrived.clear()
            try:
                self._write()
                self._renew()
                pause_s = GATHER_S
            except Exception as error:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                log.warning("what runs cannot be recorded: %s; it is tried again in %.1f s", error, pause_s)
                self._arrived.set()
                if self._closing.is_set():
                    time.sleep(GATHER_S)
            if self._closing.is_set() and (not self._is_behind or time.monotonic() > self._give_up_at):
                return

    @property
    def _is_behind(self) -> bool:
        return bool(self._events or self._changes)

    def _write(self) -> None:
        while self._is_behind:
            while self._events and len(self._changes) < _TOGETHER:
                event = self._events.popleft()
                self._changes += self._end(event) if event.is_end else self._start(event)
            _do(self.store, self._changes)
            self._changes = []

    def _renew(self) -> None:
        if self._running and time.monotonic() >= self._renew_at:
            self.store.renew(self.name, LEASE_S, time.time())
            self._renew_at = time.monotonic() + LEASE_S / 3

    def _start(self, event: _Event) -> list[_Change]:
        task, payload = event.task, event.task.to_json().encode()
        work = WorkRecord(
            new_work_id(),
            self.owner,
            task.device_id,
            task.priority,
            WorkStatus.EXECUTING,
            WorkloadFormat.TASK,
            name=_name(task),
            source=self.source,
            created_at=min(task.created_at, event.at),
            ready_at=event.at,
            started_at=event.at,
            attempts=1,
            claimed_by=self.name,
            lease_until=event.at + LEASE_S,
            metadata={"task_id": task.task_id},
            **_facts(task),
        )
        self._running[id(task)].append((task, work))
        return [_Change("add", (work, payload), {})]

    def _end(self, event: _Event) -> list[_Change]:
        running = self._running.get(id(event.task))
        if not running:  # its start was dropped
            return []
        _, work = running.popleft()
        if not running:
            del self._running[id(event.task)]
        facts: dict[str, Any] = {"claim": (self.name, 1), "engine": self.source}
        if isinstance(event.outcome, BaseException):
            status, told = _fault(work, event.outcome)
        else:
            status, told = WorkStatus.DONE, _results(work, event.task, event.outcome)
        return [_Change("move", (work.work_id, status, event.at), facts | told)]


def from_environment(source: str, value: str) -> Recorder:
    """The recorder that ``CONQURE_RECORD`` asks for: ``1`` for the user's own store, or the URL of one.

    Raises:
        StoreError: it cannot be opened; MissingPackage.
    """
    recorder = Recorder(_store("" if value.lower() in ("1", "true", "yes", "on") else value), getpass.getuser(), source)
    atexit.register(recorder.close)
    return recorder


@cache
def _store(url: str) -> Store:
    store = open_store(url or None)
    atexit.register(store.close)
    return store


def _do(store: Store, changes: Sequence[_Change]) -> None:
    """All of them; a store that commits together is asked for all at once. `StoreError` if one is not done."""
    later = getattr(store, "later", None)
    asked = [later(verb, *args, **facts) for verb, args, facts in changes] if later else []
    failed: StoreError | None = None
    for number, (verb, args, facts) in enumerate(changes):
        try:
            asked[number].result() if later else getattr(store, verb)(*args, **facts)
        except StoreError as error:
            failed = error
        except ConqureError as error:  # it was done before, or somebody else has ended this work
            log.debug("not recorded: %s", error)
    if failed is not None:
        raise failed


def _name(task: QuantumTask) -> str:
    """Of a function: its own."""
    name = str(task.program)[:200] if task.language == "python" else ""
    return name if name.isprintable() else ""


def _facts(task: QuantumTask) -> dict[str, Any]:
    try:
        return facts_of([task])
    except InvalidTask:  # its device says so too
        return {"n_rows": task.n_rows, "shots": task.shots}


def _fault(work: WorkRecord, error: BaseException) -> tuple[WorkStatus, dict[str, Any]]:
    if isinstance(error, CancelledError):
        return WorkStatus.CANCELED, {"error": "canceled by the program"}
    outcome = WorkOutcome.of_error(work, error)
    return WorkStatus.ERROR, {"error": outcome.message, "error_kind": outcome.kind}


def _results(work: WorkRecord, task: QuantumTask, outcome: Outcome) -> dict[str, Any]:
    """The results and what they tell. Of a function that gave something else, that it has ended."""
    with suppress(TypeError, ValueError):  # a driver may have put into its metadata what JSON does not have
        if isinstance(outcome, QuantumResult):
            return {"results": results_payload(WorkloadFormat.TASK, [outcome])} | _ran(work, [outcome])
        if isinstance(outcome, Sequence):
            payload = f"[{task.to_json()}]".encode()
            results = results_payload(WorkloadFormat.TASKS, outcome)
            return {"format": WorkloadFormat.TASKS, "workload": payload, "results": results} | _ran(work, outcome)
    return {"format": WorkloadFormat.OPAQUE, "results": b"", "n_rows": 0, "shots": 0}


def _ran(work: WorkRecord, results: Sequence[QuantumResult]) -> dict[str, Any]:
    """By the clock of the machine that ran them."""
    run_s = sum(result.run_s for result in results)
    return {
        "started_at": min(result.started_at for result in results),
        "ended_at": max(result.ended_at for result in results),
        "ran_on": results[0].device_id,
        "slurm_job_id": str(results[0].metadata.get("slurm_job_id", ""))[:64],
        "n_rows": sum(len(result.counts) for result in results),
        "shots": results[0].shots,
        "metadata": work.metadata | {"run_s": run_s},
    }
