"""`Dispatcher`: takes works from a store and gives them to a pool.

It keeps no more works in flight on a QPU than that has slots: all others wait in the store, where a policy orders them
and where what comes later and matters more can still go first.

**What is promised.** A work runs at least once, and no more than ``max_attempts`` times: when a dispatcher is lost,
what it had is given out again once its lease is over, though the QPU may have run it. A work that is final never runs
again, and a late answer from somebody who was given up changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from qpu_executors.device import QPU
from qpu_executors.errors import (
    ConqureError,
    DeviceError,
    InvalidTask,
    InvalidWork,
    StoreError,
    UnknownWork,
    WorkConflict,
)
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.running import run
from qpu_executors.selector import Selector

from .batching import BATCH_ROWS, batch, merge, split
from .policies import WINDOW, Fifo, Policy
from .redelivery import MAX_ATTEMPTS, again_or_error, redeliver
from .store import Store
from .work import WorkRecord, WorkStatus
from .workloads import read_tasks, results_payload

log = logging.getLogger("conqure.queue")

LEASE_S = 60.0
LOOK_S = 0.25  # how often it looks for what other processes have put into the store
CANCEL_LOOK_S = 1.0  # how often it looks whether other processes want a running work to end
BACK_OFF_S = (0.1, 10.0)  # when the store does not answer: the first pause, and the longest


@dataclass(eq=False)
class _Held:
    """A work that is claimed, and what it asks of the pool."""

    work: WorkRecord
    payload: bytes
    tasks: list[QuantumTask]


@dataclass(eq=False)
class _Flight:
    """Works that share a slot of a QPU: one, or a batch."""

    qpu: QPU
    held: list[_Held]
    futures: list[Future[QuantumResult]] = field(default_factory=list)
    left: int = 0


class Dispatcher:
    """Runs the works of a store on the QPUs of a pool, from ``start`` (or ``with``) to ``stop``.

    Args:
        store, pool: where works wait, and an executor whose workers hold ``qpus``.
        name: who claims; by default made up. With a name that stays the same, as a service has, a restart gives out
            again at once what it had before; two dispatchers that live at the same time must differ.
        engine: what the records say ran them.
        policy: the order; first come, first served inside a priority by default.
        max_attempts: after so many claims a work that is lost again ends in ERROR.
        lease_s: how long others leave works alone that a dispatcher has and does not ask about any more.
        batch_rows: rows that small works of one program may share a call with; 1 takes each work alone.
        grace_s: how long `stop` waits for what runs; the rest goes back to READY.

    >>> with Dispatcher(store, engine.qpus, site.qpus):
    ...     client.wait_until_done(work_id)
    """

    def __init__(
        self,
        store: Store,
        pool: Executor,
        qpus: Iterable[QPU],
        *,
        name: str | None = None,
        engine: str = "threads",
        policy: Policy | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        lease_s: float = LEASE_S,
        batch_rows: int = BATCH_ROWS,
        grace_s: float = 5.0,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.qpus = {qpu.device_id: qpu for qpu in qpus}
        self._store, self._pool, self._engine = store, pool, engine
        self._policy: Policy = policy or Fifo()
        self._max_attempts, self._lease_s, self._batch_rows = max_attempts, lease_s, batch_rows
        self._grace_s = grace_s
        self._flights: dict[str, list[_Flight]] = {device_id: [] for device_id in self.qpus}
        self._ended: deque[_Flight] = deque()  # flights whose futures are all done; filled by the pool's threads
        self._to_cancel: deque[str] = deque()
        self._next_renewal = self._next_cancel_look = 0.0
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- for its owner --

    def start(self) -> Self:
        self._store.listeners.append(self._notice)
        self._thread = threading.Thread(target=self._serve, name="conqure-dispatcher", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take nothing more, wait for what runs no longer than ``grace_s``, give the rest back."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with contextlib.suppress(ValueError):
            self._store.listeners.remove(self._notice)

    def wake(self) -> None:
        """Look at the store now."""
        self._wake.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def in_flight(self) -> int:
        """Works that it has claimed and not yet finished."""
        return sum(len(flight.held) for flights in self._flights.values() for flight in list(flights))

    # -- its thread --

    def _serve(self) -> None:
        pause = BACK_OFF_S[0]
        recovered = False
        while not self._stopping:
            try:
                if not recovered:
                    self._recover()
                    recovered = True
                self._turn()
                pause = BACK_OFF_S[0]
                self._wake.wait(LOOK_S)
            except StoreError as error:  # results that could not be kept stay in self._ended
                log.warning("the store does not answer, trying again in %.1f s: %s", pause, error)
                self._wake.wait(pause) if self._stopping else time.sleep(pause)
                pause = min(2 * pause, BACK_OFF_S[1])
            except Exception:  # a mistake in here must not end the queue
                log.exception("the dispatcher met an error and goes on")
                time.sleep(pause)
            self._wake.clear()
        self._finish()

    def _turn(self) -> None:
        self._fill()  # first: a QPU that has become free should not wait for what it gave to be written
        self._keep_ended()
        self._cancel()
        now = time.time()
        if now >= self._next_renewal:
            self._renew(now)

    def _recover(self) -> None:
        """What this name had before a crash is given out again."""
        now = time.time()
        for work in self._store.renew(self.name, self._lease_s, now):
            redeliver(self._store, work, now, self._max_attempts)

    def _renew(self, now: float) -> None:
        if any(self._flights.values()) or self._ended:
            self._store.renew(self.name, self._lease_s, now)
        for work in self._store.expired(now):
            redeliver(self._store, work, now, self._max_attempts)
        self._next_renewal = now + self._lease_s / 3

    # -- from the store to the pool --

    def _fill(self) -> None:
        if not any(self._free(qpu) for qpu in self.qpus.values()):
            return
        lines = self._store.lines()
        for qpu in self.qpus.values():
            mine = [line for line in lines if _fits(line, qpu)]
            while mine and self._free(qpu) and not self._stopping:
                if not self._take(qpu, mine):
                    break

    def _free(self, qpu: QPU) -> int:
        return qpu.slots - len(self._flights[qpu.device_id])

    def _take(self, qpu: QPU, lines: Sequence[str]) -> bool:
        """Claim what this QPU should run next; whether there was something."""
        now = time.time()
        window = max(self._policy.window, min(self._batch_rows, WINDOW))
        waiting = self._store.waiting(lines, window)
        fitting = [work for work in waiting if self._is_for(work, qpu)]
        if not fitting and len(waiting) >= window < WINDOW:  # what this QPU can run stands behind what it cannot
            fitting = [work for work in self._store.waiting(lines, WINDOW) if self._is_for(work, qpu)]
        if not fitting:
            return False
        chosen = batch(self._policy.order(fitting, qpu, now), self._batch_rows)
        if len(chosen) > 1 and any(self._has_seed(work) for work in chosen):
            chosen = chosen[:1]  # whose counts shall repeat must run alone
        claimed = self._store.claim([work.work_id for work in chosen], self.name, self._lease_s, now)
        held = [found for work in claimed if (found := self._read(work, qpu)) is not None]
        if held:
            self._submit(_Flight(qpu, held))
        return True

    def _is_for(self, work: WorkRecord, qpu: QPU) -> bool:
        """A work that leaves a choice goes to a QPU that is large enough; a name means that one, come what may."""
        return work.n_qubits <= qpu.n_qubits or work.device_id == qpu.device_id

    def _read(self, work: WorkRecord, qpu: QPU) -> _Held | None:
        try:
            payload = self._store.payload(work.workload)
            return _Held(work, payload, _tasks(work, payload, qpu.device_id))
        except StoreError:
            raise
        except ConqureError as error:
            self._fail(work, error)
            return None

    def _has_seed(self, work: WorkRecord) -> bool:
        with contextlib.suppress(InvalidTask, InvalidWork):
            return any(task.seed is not None for task in _tasks(work, self._store.payload(work.workload), "any"))
        return True  # it will say so itself

    def _submit(self, flight: _Flight) -> None:
        self._flights[flight.qpu.device_id].append(flight)
        tasks = [merge([held.tasks[0] for held in flight.held])] if len(flight.held) > 1 else flight.held[0].tasks
        flight.left = len(tasks)
        for task in tasks:
            future = self._submitted(task)
            flight.futures.append(future)
        for future in list(flight.futures):
            future.add_done_callback(partial(self._one_ended, flight))

    def _submitted(self, task: QuantumTask) -> Future[QuantumResult]:
        try:
            return self._pool.submit(run, task)
        except Exception as error:
            failed: Future[QuantumResult] = Future()
            failed.set_exception(error)
            return failed

    # -- from the pool to the store --

    def _one_ended(self, flight: _Flight, _: Future[Any]) -> None:
        """Called by the pool's threads."""
        with _COUNTING:
            flight.left -= 1
            if flight.left:
                return
        self._flights[flight.qpu.device_id].remove(flight)
        self._ended.append(flight)
        self._wake.set()

    def _keep_ended(self) -> None:
        while self._ended:
            self._keep(self._ended[0])  # a StoreError leaves it there, for the next turn
            self._ended.popleft()

    def _keep(self, flight: _Flight) -> None:
        failure = next((error for future in flight.futures if (error := _error(future)) is not None), None)
        if failure is not None and len(flight.held) > 1:  # whose fault it is shows when each runs alone
            flight, together = _Flight(flight.qpu, []), flight.held
            for held in together:
                self._submit(_Flight(flight.qpu, [held]))
            return
        if failure is not None:
            return self._fail(flight.held[0].work, failure)
        results = [future.result() for future in flight.futures]
        if len(flight.held) > 1:
            parts = split(results[0], [held.tasks[0] for held in flight.held])
            for held, part in zip(flight.held, parts, strict=True):
                self._done(held, [part])
        else:
            self._done(flight.held[0], results)

    def _done(self, held: _Held, results: Sequence[QuantumResult]) -> None:
        work = held.work
        try:
            payload = results_payload(work.format, results, held.payload)
        except ConqureError as error:
            return self._fail(work, error)
        job = str(results[0].metadata.get("slurm_job_id", ""))
        facts = {"ran_on": results[0].device_id, "engine": self._engine, "slurm_job_id": job}
        self._policy.ran(work, self.qpus[results[0].device_id], sum(r.run_s for r in results), time.time())
        self._move(work, WorkStatus.DONE, results=payload, **facts)

    def _fail(self, work: WorkRecord, error: BaseException) -> None:
        if isinstance(error, _Canceled):
            return self._move(work, WorkStatus.CANCELED, error="canceled by its owner while it ran")
        if not isinstance(error, ConqureError):
            error = DeviceError(f"{type(error).__name__}: {error}")
        status = again_or_error(work, error, self._max_attempts)
        self._move(work, status, error=str(error), error_kind=error.kind, engine=self._engine)

    def _move(self, work: WorkRecord, status: WorkStatus, **facts: Any) -> None:
        try:
            self._store.move(work.work_id, status, time.time(), claim=(self.name, work.attempts), **facts)
        except (WorkConflict, UnknownWork) as error:  # it was given to somebody else meanwhile, or purged
            log.warning("work %s: an outcome comes too late: %s", work.work_id, error)

    # -- what its owner no longer wants --

    def _notice(self, work: WorkRecord) -> None:
        """Called by whoever changes something in this process's store."""
        if work.cancel_requested and work.claimed_by == self.name and not work.status.is_final:
            self._to_cancel.append(work.work_id)
            self._wake.set()
        elif work.status is WorkStatus.READY:
            self._wake.set()

    def _cancel(self) -> None:
        now = time.time()
        running = {held.work.work_id: flight for flight in self._all_flights() for held in flight.held}
        wanted = set(self._to_cancel)
        self._to_cancel.clear()
        if running and now >= self._next_cancel_look:
            self._next_cancel_look = now + CANCEL_LOOK_S
            wanted |= {work_id for work_id in running if self._wants_end(work_id)}
        for flight in {id(running[w]): running[w] for w in wanted if w in running}.values():
            if len(flight.held) == 1:  # in a batch the others go on
                for future in flight.futures:
                    future.cancel()

    def _wants_end(self, work_id: str) -> bool:
        with contextlib.suppress(UnknownWork):
            return self._store.get(work_id).cancel_requested
        return False

    def _all_flights(self) -> list[_Flight]:
        return [flight for flights in self._flights.values() for flight in list(flights)]

    # -- the end --

    def _finish(self) -> None:
        deadline = time.monotonic() + self._grace_s
        while self._all_flights() and time.monotonic() < deadline:
            self._wake.wait(max(0.01, deadline - time.monotonic()))
            self._wake.clear()
            self._try(self._keep_ended)
        self._try(self._keep_ended)
        for flight in self._all_flights():
            for future in flight.futures:
                future.cancel()
            for held in flight.held:  # not an attempt that failed: this one does not count
                self._try(self._move, held.work, WorkStatus.READY, attempts=held.work.attempts - 1)

    def _try(self, call: Any, *args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except StoreError as error:
            log.warning("the store does not answer at the end; others will give the works out again: %s", error)


class _Canceled(Exception):
    """The pool had not begun, and its future could be cancelled."""


_COUNTING = threading.Lock()


def _tasks(work: WorkRecord, payload: bytes, device_id: str) -> list[QuantumTask]:
    return read_tasks(work.format, payload, device_id=device_id, priority=work.priority, work_id=work.work_id)


def _error(future: Future[Any]) -> BaseException | None:
    return _Canceled() if future.cancelled() else future.exception()


def _fits(line: str, qpu: QPU) -> bool:
    try:
        return Selector.parse(line).matches(qpu)
    except InvalidTask:  # a store is open to others; what nobody can read waits for nobody here
        return False
