"""Tasks on QPUs that are borrowed from Dask: who waits, which leases are asked for, and when they are given back.

Dask places the leases, so the QPUs are shared with everybody else's Dask tasks. `TaskQueue` orders our own tasks, and a
task is bound to a QPU only at the moment it starts there.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from distributed import Client

from qpu_executors import QPU, ConqureError, DeviceLost, Entry, QuantumResult, QuantumTask, TaskQueue
from qpu_executors.draining import serving

from .leases import Lease, LeaseDesk, lost

LINGER_S = 30.0  # a QPU with nothing to do is kept this long; if somebody else wants it, not at all
LINGER_IN_JOBS_S = 2.0  # where a job that stands idle is given back to people who do not use Dask
TURN_S = 0.1  # a QPU with work of ours is kept this long while others wait for it
QUICK_S = 0.25  # where circuits take less, the next one is sent while one runs: the QPU does not wait for us


@dataclass(slots=True)
class _Call:
    task: QuantumTask
    future: Future[QuantumResult] = field(default_factory=Future)
    attempts: int = 1
    started: bool = False  # can't be cancelled any more

    def start(self) -> bool:
        self.started = self.started or self.future.set_running_or_notify_cancel()
        return self.started

    def end(self, outcome: QuantumResult | ConqureError) -> None:
        if isinstance(outcome, ConqureError):
            self.future.set_exception(outcome)
        elif self.attempts > 1:
            self.future.set_result(replace(outcome, metadata={**outcome.metadata, "attempts": self.attempts}))
        else:
            self.future.set_result(outcome)


class _Slot:
    """A lease and the tasks that it was given, the first of which runs."""

    def __init__(self, lease: Lease) -> None:
        self.lease, self.device_id = lease, lease.device_id
        self.given: deque[Entry] = deque()
        self.room = 1
        self.claimed = False  # was idle and is being woken for a task
        self.ended: list[tuple[_Call, QuantumResult | ConqureError]] = []  # futures to be served
        self._turn_ends = time.monotonic() + TURN_S

    @property
    def turn_is_over(self) -> bool:
        return self.lease.wanted and time.monotonic() > self._turn_ends

    @property
    def is_idle(self) -> bool:
        return not self.given and not self.claimed

    @property
    def has_room(self) -> bool:
        return len(self.given) < self.room and not self.turn_is_over

    def serve(self) -> None:
        for call, outcome in self.ended:
            call.end(outcome)
        self.ended.clear()


class BorrowedQPUs:
    """Runs tasks on QPUs borrowed from Dask.

    Args:
        device: what all leases are for, a name or a selector. qpus: those that it fits now.
        retries: how often a task is tried again when its worker was lost or its device had a transient fault.
        linger_s: how long a QPU is kept when there is nothing to do.
    """

    def __init__(self, client: Client, device: str, qpus: Iterable[QPU], retries: int, linger_s: float) -> None:
        self._device, self._queue = device, TaskQueue(qpus)
        self._retries, self._linger_s = retries, linger_s
        self._ids = itertools.count()
        self._changed = threading.Condition()  # guards everything below, and the queue
        self._closed = False
        self._asked: dict[str, str] = {}  # leases that have not come yet: id to selector
        self._held = dict.fromkeys(self._queue.qpus, 0)  # leases that have: how many of each QPU
        self._slots: dict[str, list[_Slot]] = {device_id: [] for device_id in self._queue.qpus}
        self._desk = LeaseDesk(client, self._serve, self._not_coming)

    def submit(self, task: QuantumTask) -> Future[QuantumResult]:
        """`UnknownDevice` or `DeviceDrained` at once if none of the QPUs takes the task."""
        entry = Entry(next(self._ids), task.device_id, task.priority, item=_Call(task))
        with self._changed:
            self._queue.accepts(entry)
            self._queue.push(entry, time.monotonic())
            fitting = self._fitting_slots(entry)
            slot = next((slot for slot in fitting if slot.is_idle), None)
            if slot is not None:
                slot.claimed = True
            else:
                self._ask_for(entry)
                slot = next((slot for slot in fitting if slot.has_room), None)
        if slot is not None:
            slot.lease.channel.wake()
        future: Future[QuantumResult] = entry.item.future
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waiting tasks still run, unless ``cancel_futures``; then the leases end."""
        with self._changed:
            self._closed = True
            cancelled = self._queue.waiting() if cancel_futures else []
            for entry in cancelled:
                self._queue.cancel(entry.entry_id)
            self._end_if_over()
            if wait:
                self._changed.wait_for(self._is_over)
        for entry in cancelled:
            entry.item.future.cancel()
            entry.item.start()  # tells those who wait

    def _fitting_slots(self, entry: Entry) -> list[_Slot]:
        return [slot for qpu in self._queue.fits(entry.device_id) for slot in self._slots[qpu.device_id]]

    def _ask_for(self, entry: Entry) -> None:
        """Ask Dask for one more QPU for this task, unless all that fit are ours or asked for (lock held)."""
        fitting = self._queue.fits(entry.device_id)
        open_to = serving(fitting)
        free = {qpu.device_id: qpu.slots - self._held[qpu.device_id] for qpu in open_to}
        if sum(free.values()) > sum(selector == entry.device_id for selector in self._asked.values()):
            # Dask knows nothing of drained QPUs: where there are some it is asked for another one by name.
            wanted = entry.device_id if len(open_to) == len(fitting) else max(free, key=lambda name: free[name])
            lease = self._desk.ask(f"{self._device},{wanted}", entry.priority)
            self._asked[lease] = entry.device_id

    def _serve(self, lease: Lease) -> None:
        """A QPU has come: its own thread, until it is given back."""
        slot = _Slot(lease)
        with self._changed:
            self._asked.pop(lease.lease, None)
            if slot.device_id not in self._held:  # its worker has joined since
                self._queue.add(lease.qpu)
                self._held[slot.device_id], self._slots[slot.device_id] = 0, []
            self._held[slot.device_id] += 1
            self._slots[slot.device_id].append(slot)
        try:
            self._work(slot)
        except OSError as error:
            self._lose(slot, error)
        finally:
            lease.close()
            self._desk.forget(lease.lease)
            slot.serve()
            self._gone(slot)

    def _work(self, slot: _Slot) -> None:
        """Task after task, until the QPU is to be given back; `OSError` if its worker is gone."""
        rested = False
        while True:
            self._fill(slot)  # before the callbacks of what has ended are served: the QPU does not wait for them
            slot.serve()
            if not slot.given and self._leaves(slot, rested):
                return
            what = slot.lease.channel.wait(None if slot.given else self._linger_s)
            if what == "frame":
                self._read(slot)
            rested = what == "timeout"

    def _fill(self, slot: _Slot) -> None:
        while slot.has_room:
            with self._changed:
                entry = self._next(slot)
            if entry is None:
                return
            try:
                slot.lease.send(entry.item.task)
            except OSError:  # the worker is gone, and this task never reached it
                with self._changed:
                    self._queue.push_back(entry)
                raise
            slot.given.append(entry)

    def _next(self, slot: _Slot) -> Entry | None:
        """The task that a slot takes now; from here on it can't be cancelled (lock held)."""
        slot.claimed = False
        while (entry := self._queue.pop(slot.device_id)) is not None:
            if slot.given and (self._asked or any(other.is_idle for other in self._fitting_slots(entry))):
                self._queue.push_back(entry)  # it need not wait behind the one that runs here
                return None
            if entry.item.start():
                return entry
        return None

    def _read(self, slot: _Slot) -> None:
        outcome = slot.lease.read()
        if outcome is None:
            return
        entry = slot.given.popleft()
        call: _Call = entry.item
        if isinstance(outcome, QuantumResult):
            slot.room = 2 if outcome.run_s < QUICK_S else 1
        elif outcome.transient and self._again(entry):
            return
        slot.ended.append((call, outcome))

    def _lose(self, slot: _Slot, error: OSError) -> None:
        """Nobody knows whether the tasks that were given to the lost worker ran."""
        for entry in slot.given:
            if not self._again(entry):
                gone = lost(slot.lease, entry.item.task)
                gone.__cause__ = error
                slot.ended.append((entry.item, gone))

    def _again(self, entry: Entry) -> bool:
        """Let a task wait for another attempt, at its old place, if it has one left."""
        call: _Call = entry.item
        if call.attempts > self._retries:
            return False
        call.attempts += 1
        with self._changed:
            self._queue.push_back(entry)
        return True

    def _leaves(self, slot: _Slot, rested: bool) -> bool:
        """Whether an idle slot gives its QPU back; from then on nobody counts on it."""
        with self._changed:
            if not slot.turn_is_over and self._waits_for(slot.device_id) is not None:
                return False
            drained = self._queue.is_drained(slot.device_id)
            if not (rested or slot.lease.wanted or drained or self._ending()):
                return False
            self._slots[slot.device_id].remove(slot)
            return True

    def _waits_for(self, device_id: str, even_drained: bool = False) -> Entry | None:
        """The task that this QPU would run next (lock held)."""
        while (entry := self._queue.pop(device_id, even_drained=even_drained)) is not None:
            if not entry.item.future.cancelled():
                self._queue.push_back(entry)
                return entry
            entry.item.start()  # tells those who wait
        return None

    def _gone(self, slot: _Slot) -> None:
        with self._changed:
            if slot in self._slots[slot.device_id]:
                self._slots[slot.device_id].remove(slot)
            self._held[slot.device_id] -= 1
            if (entry := self._waits_for(slot.device_id, even_drained=True)) is not None:
                self._ask_for(entry)
            self._end_if_over()
            self._changed.notify_all()

    def _ending(self) -> bool:
        """Whether nothing can come any more (lock held)."""
        return self._closed and not len(self._queue)

    def _is_over(self) -> bool:
        return self._ending() and not any(self._held.values())

    def _end_if_over(self) -> None:
        """After shutdown, when nothing waits: end the idle slots, and close the desk after the last (lock held)."""
        if self._ending():
            for slot in itertools.chain.from_iterable(self._slots.values()):
                slot.lease.channel.wake()
        if self._is_over():
            self._desk.close()

    def _not_coming(self, lease: str, error: BaseException) -> None:
        """Dask has given up on a lease; tasks that no QPU of ours can serve would wait for ever."""
        with self._changed:
            self._asked.pop(lease, None)
            hopeless = [
                entry
                for entry in self._queue.waiting()
                if not any(self._held[qpu.device_id] for qpu in self._queue.fits(entry.device_id))
            ]
            for entry in hopeless:
                self._queue.cancel(entry.entry_id)
            self._end_if_over()
            self._changed.notify_all()
        for entry in hopeless:
            if entry.item.start():
                entry.item.future.set_exception(_not_had(entry, error))


def _not_had(entry: Entry, error: BaseException) -> ConqureError:
    """Why a task gets no QPU: what was refused for good as it was said, anything else as a loss that may pass."""
    if isinstance(error, ConqureError) and not error.transient:
        return type(error)(str(error))
    return DeviceLost(f"no QPU came for {entry.device_id!r}: {type(error).__name__}: {error}")
