"""`Dispatcher`: takes works from a store in their turn and runs them on a pool's QPUs.

It has no more works on their way to a QPU than that has slots, so the order stays honest up to the last moment.

**At least once.** A work is claimed for a while (a lease) that is renewed as long as this process lives. If the process
or the machine is lost, the work is given out again, and may then run a second time; after ``max_attempts`` it ends in
ERROR (``work_lost``). Results and the status DONE are kept in one step that only the holder of the claim can take, so a
work that is DONE is never run again and never DONE twice.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, StoreError, UnknownWork, WorkConflict

from .choosing import Chooser
from .flights import Ended, Flight
from .history import REMEMBERED, Charges, History
from .naming import DispatcherName
from .outcome import Outcome
from .policies import Policy, policy_named
from .redelivery import MAX_ATTEMPTS, Fault, after_fault, recover_expired, redeliver
from .store import Store, WorkQuery
from .work import WorkRecord, WorkStatus

log = logging.getLogger("conqure.queue")

LOOK_S = 0.25  # how often it looks for what other processes have changed
CANCEL_LOOK_S = 1.0  # the same for the works that run
_BACKOFF_S = (0.2, 10.0)  # while the store or the pool does not answer
_STORE_TRIES = 5  # of results that the store refuses while it takes everything else


class Dispatcher:
    """Runs the works of a store on the QPUs of a pool, from `start` to `stop`.

    Works wait in lines, one for each ``device_id`` text. A QPU serves the lines whose selector it fits; works for
    which no QPU here is meant are left to others. A work that is too large for a QPU is left to a larger one, if there
    is one here.

    Cancelling: a work that waits is ended by the store. One that was given to the pool is taken back if it has not
    begun; else it ends as it ends, but the further tasks of a list are not begun.

    Args:
        pool: any executor whose workers hold these QPUs. It is the caller's, and closed after the dispatcher.
        name: of its claims. By default another one each time; with a fixed one (of a service) a new process takes
            over at once what a crashed one had.
        engine: what the records shall say.
        policy: of `conqure.queue.policies`, or its name.
        batch: rows that works of one program may have together to run as one task; 0: each work is a task of its own.
        max_attempts: how often a work is given out, if its holder is lost or meets a passing fault.
        lease_s: how long a claim outlives this process.

    Raises:
        AlreadyThere: a dispatcher of this fixed name runs; InvalidSite: there is no such policy.

    >>> with QPUThreadPool(site.qpus) as pool, Dispatcher(store, pool, site.qpus):
    ...     wait_until_everything_is_done()
    """

    def __init__(
        self,
        store: Store,
        pool: Executor,
        qpus: Iterable[QPU],
        *,
        name: str = "",
        engine: str = "threads",
        policy: Policy | str = "fifo",
        batch: int = 0,
        max_attempts: int = MAX_ATTEMPTS,
        lease_s: float = 60.0,
        grace_s: float = 5.0,
        look_s: float = LOOK_S,
    ) -> None:
        self.store, self.pool, self.qpus = store, pool, list(qpus)
        self.engine, self.max_attempts = engine, max_attempts
        self.policy = policy_named(policy) if isinstance(policy, str) else policy
        self._lease_s, self._grace_s, self._look_s = lease_s, grace_s, look_s
        self._name = DispatcherName(name, store.url)
        self.name = self._name.text
        self.history = History()
        self._charges = Charges(self.history)
        self._chooser = Chooser(store, self.qpus, self.policy, self.history, batch, look_s)
        self._flights: list[Flight] = []
        self._landed: deque[tuple[Flight, Future[Any]]] = deque()
        self._ended: deque[Ended] = deque()
        self._refused: dict[str, int] = {}
        self._woken = threading.Event()
        self._stop_at: float | None = None
        self._renew_at = self._look_at = self._fill_at = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Dispatcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def in_flight(self) -> list[WorkRecord]:
        """The works that it has given to the pool."""
        return [work for flight in list(self._flights) for work in flight.works.values()]

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin, in a thread of its own; what an earlier process of this name had is given out again."""
        self.store.listeners.append(self._notice)
        self._thread = threading.Thread(target=self._go_on, name=f"dispatcher-{self.name}", daemon=True)
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._woken.set()

    def stop(self, grace_s: float | None = None) -> None:
        """Take no more works, wait so long for those that run, and let the rest be READY for others."""
        if self._thread is not None:
            self._stop_thread(self._grace_s if grace_s is None else grace_s)
        self._name.release()

    def _stop_thread(self, grace_s: float) -> None:
        assert self._thread is not None
        self._stop_at = time.monotonic() + grace_s
        self.wake()
        self._thread.join()
        self._thread = None
        with suppress(ValueError):
            self.store.listeners.remove(self._notice)

    # -- its thread --

    def _go_on(self) -> None:
        pause_s = 0.0
        with suppress(ConqureError):
            if self.policy.window > 1:  # it prefers one to another
                self.history.remember(self.store.find(WorkQuery(statuses=(WorkStatus.DONE,)), REMEMBERED))
        while not self._is_over():
            self._woken.wait(pause_s or self._look_s)
            self._woken.clear()
            try:
                self._turn()
                pause_s = 0.0
            except Exception as error:
                pause_s = min(max(_BACKOFF_S[0], 2 * pause_s), _BACKOFF_S[1])
                told = log.warning if isinstance(error, ConqureError) else log.exception
                told("dispatcher %s: %s; it tries again in %.1f s", self.name, error, pause_s)
        self._leave()

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        return not (self._flights or self._ended) or time.monotonic() >= self._stop_at

    def _turn(self) -> None:
        """Everything once, the most urgent first."""
        self._land()
        self._settle()
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew()
            self._renew_at = now + self._lease_s / 3
        if now >= self._look_at:
            self._look_for_cancels()
            self._look_at = now + CANCEL_LOOK_S
        while self._stop_at is None and now >= self._fill_at and self._fill():
            pass

    def _notice(self, work: WorkRecord) -> None:
        """What this process has changed in the store."""
        if work.cancel_requested and work.claimed_by == self.name:
            self._look_at = 0.0
        elif work.status is WorkStatus.READY:
            self._chooser.look_again()
        else:
            return
        self.wake()

    def _on_landing(self, flight: Flight, future: Future[Any]) -> None:
        """In the pool's thread."""
        self._landed.append((flight, future))
        self.wake()

    def _land(self) -> None:
        while self._landed:
            flight, future = self._landed.popleft()
            self._ended += flight.land(future)
            self._try(flight, flight.go_on)
        self._flights = [flight for flight in self._flights if not flight.is_over]

    def _try(self, flight: Flight, start: Any) -> None:
        """Let a flight start something; a pool that takes nothing (any more) is no fault of the works."""
        try:
            self._ended += start()
        except RuntimeError as error:
            log.warning("dispatcher %s: the pool takes no tasks: %s", self.name, error)
            self._fill_at = time.monotonic() + _BACKOFF_S[1]
            for work in flight.drop():
                self._give_back(work)

    def _settle(self) -> None:
        """Store what has ended. What the store does not take now waits here."""
        while self._ended:
            ended = self._ended[0]
            try:
                self._store(ended)
            except (WorkConflict, UnknownWork) as error:
                log.warning("dispatcher %s: the outcome of a work came too late: %s", self.name, error)
            except StoreError:
                self._ended[0] = self._unless_refused(ended)
                self._ended.rotate(-1)
                raise
            self._ended.popleft()
            self._refused.pop(ended.work.work_id, None)

    def _store(self, ended: Ended) -> None:
        work, outcome, now = ended.work, ended.outcome, time.time()
        self._charges.end(work, ended.run_s, now)
        claim = (self.name, work.attempts)
        facts: dict[str, Any] = {"ran_on": outcome.ran_on, "engine": self.engine, "slurm_job_id": outcome.slurm_job_id}
        if outcome.is_done:
            facts["metadata"] = work.metadata | {"run_s": ended.run_s}
            self.store.move(work.work_id, WorkStatus.DONE, now, claim=claim, results=ended.results, **facts)
            return
        fault = Fault(outcome.kind, outcome.message, outcome.transient, outcome.canceled)
        held = self.store.get(work.work_id)  # by now its owner may not want it any more
        status, said = after_fault(held, fault, self.max_attempts)
        self.store.move(work.work_id, status, now, claim=claim, **said, **(facts if status.is_final else {}))

    def _unless_refused(self, ended: Ended) -> Ended:
        """What the store does not take is tried again; results that it keeps refusing while it answers are an error."""
        work_id = ended.work.work_id
        with suppress(ConqureError):
            self.store.get(work_id)
            self._refused[work_id] = self._refused.get(work_id, 0) + 1
        if self._refused.get(work_id, 0) < _STORE_TRIES or not ended.results:
            return ended
        text = f"it ran, but the store does not take its results of {len(ended.results):,} bytes."
        refused = Outcome(work_id, ended.work.attempts, StoreError.kind, text, ran_on=ended.outcome.ran_on)
        return Ended(ended.work, refused, run_s=ended.run_s)

    def _renew(self) -> None:
        """Prolong the claims, and give out again what a process of this name or another one has left behind."""
        now = time.time()
        mine = {work.work_id for work in self.in_flight} | {ended.work.work_id for ended in self._ended}
        for work in self.store.renew(self.name, self._lease_s, now):
            if work.work_id not in mine:  # of the process before, or the answer to a claim was lost
                redeliver(self.store, work, now, self.max_attempts)
        recover_expired(self.store, now, self.max_attempts)

    def _look_for_cancels(self) -> None:
        for flight in self._flights:
            for work_id in list(flight.works):
                with suppress(UnknownWork):
                    if self.store.get(work_id).cancel_requested:
                        self._ended += flight.cancel(work_id)
        self._settle()

    def _fill(self) -> bool:
        """One work, or one batch, for each QPU that has a free slot; whether there may be more to do."""
        free = [qpu for qpu in self.qpus if sum(f.qpu is qpu for f in self._flights) < qpu.slots]
        if not free:
            return False
        now = time.time()
        chosen = self._chooser.choose(free, now)
        if not chosen:
            return False
        claimed = self.store.claim(list(chosen), self.name, self._lease_s, now)
        self._chooser.forget(chosen)
        if len(claimed) < len(chosen):  # others take works, too
            self._chooser.look_again()
        for qpu in free:
            if works := [work for work in claimed if chosen[work.work_id] is qpu]:
                self._launch(qpu, works, now)
        return True

    def _launch(self, qpu: QPU, works: Sequence[WorkRecord], now: float) -> None:
        flight, loaded = Flight(qpu, self.pool, self._on_landing), []
        for work in works:
            self._charges.start(work, qpu.device_id, now)
            try:
                loaded.append((work, self.store.payload(work.workload)))
            except UnknownWork as error:
                self._ended.append(Ended(work, Outcome.of_error(work, error)))
            except StoreError:
                self._give_back(work)
        self._flights.append(flight)
        self._try(flight, lambda: flight.load(loaded))
        if flight.is_over:
            self._flights.remove(flight)
        self._settle()

    def _give_back(self, work: WorkRecord) -> None:
        """Let others have it. If the store does not answer now, the lease ends by itself."""
        now = time.time()
        self._charges.drop(work, now)
        with suppress(ConqureError):
            held = self.store.get(work.work_id)  # by now its owner may not want it any more
            if (held.claimed_by, held.attempts) == (self.name, work.attempts):
                redeliver(self.store, held, now, sys.maxsize)

    def _leave(self) -> None:
        for flight in self._flights:
            flight.recall()
        with suppress(ConqureError):
            self._land()
            self._settle()
        for flight in self._flights:
            for work in flight.drop():
                self._give_back(work)
        self._flights = []
