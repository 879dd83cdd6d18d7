"""Tasks on QPUs that are borrowed from Dask: who waits, which leases are asked for, and when they are given back.

Dask places the leases, so the QPUs are shared with everybody else's Dask tasks. `TaskQueue` orders our own tasks, and a
task is bound to a QPU only at the moment it starts there.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from distributed import Client

from qpu_executors import QPU, ConqureError, DeviceLost, Entry, QuantumResult, QuantumTask, TaskQueue

from .leases import Lease, LeaseDesk, lost

LINGER_S = 30.0  # a QPU with nothing to do is kept this long; if somebody else wants it, not at all
TURN_S = 0.1  # a QPU with work of ours is kept this long while others wait for it


@dataclass(slots=True)
class _Call:
    task: QuantumTask
    future: Future[QuantumResult] = field(default_factory=Future)
    attempts: int = 1
    started: bool = False  # can't be cancelled any more

    def start(self) -> bool:
        self.started = self.started or self.future.set_running_or_notify_cancel()
        return self.started


class _Slot:
    """A lease, and the task it was given while it idled."""

    def __init__(self, lease: Lease) -> None:
        self.lease, self.device_id = lease, lease.device_id
        self.given: Entry | None = None
        self.turn_ends = time.monotonic() + TURN_S

    @property
    def turn_is_over(self) -> bool:
        return self.lease.wanted and time.monotonic() > self.turn_ends


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
        self._idle: dict[str, list[_Slot]] = {device_id: [] for device_id in self._queue.qpus}
        self._desk = LeaseDesk(client, self._serve, self._not_coming)

    def submit(self, task: QuantumTask) -> Future[QuantumResult]:
        """`UnknownDevice` at once if none of the QPUs fits."""
        entry = Entry(next(self._ids), task.device_id, task.priority, item=_Call(task))
        with self._changed:
            self._queue.push(entry, time.monotonic())
            slot = self._idle_slot(task.device_id)
            if slot is None:
                self._ask_for(entry)
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

    def _idle_slot(self, device_id: str) -> _Slot | None:
        """An idle slot that was given a task, now that one for ``device_id`` waits (lock held)."""
        for qpu in self._queue.fits(device_id):
            idle = self._idle[qpu.device_id]
            if idle and (entry := self._next(qpu.device_id)):
                slot = idle.pop()
                slot.given = entry
                return slot
        return None

    def _next(self, device_id: str) -> Entry | None:
        """The task that this QPU runs now; from here on it can't be cancelled (lock held)."""
        while (entry := self._queue.pop(device_id)) is not None:
            if entry.item.start():
                return entry
        return None

    def _ask_for(self, entry: Entry) -> None:
        """Ask Dask for one more QPU for this task, unless all that fit are ours or asked for (lock held)."""
        free = sum(qpu.slots - self._held[qpu.device_id] for qpu in self._queue.fits(entry.device_id))
        if free > sum(selector == entry.device_id for selector in self._asked.values()):
            lease = self._desk.ask(f"{self._device},{entry.device_id}", entry.priority)
            self._asked[lease] = entry.device_id

    def _serve(self, lease: Lease) -> None:
        """A QPU has come: its own thread, until it is given back."""
        slot = _Slot(lease)
        with self._changed:
            self._asked.pop(lease.lease, None)
            if slot.device_id not in self._held:  # its worker has joined since
                self._queue.add(lease.qpu)
                self._held[slot.device_id], self._idle[slot.device_id] = 0, []
            self._held[slot.device_id] += 1
        try:
            self._work(slot)
        finally:
            lease.close()
            self._desk.forget(lease.lease)
            with self._changed:
                self._held[slot.device_id] -= 1
                if (entry := self._queue.pop(slot.device_id)) is not None:
                    self._queue.push_back(entry)
                    self._ask_for(entry)
                self._end_if_over()
                self._changed.notify_all()

    def _work(self, slot: _Slot) -> None:
        """Task after task; the next is on its way before the last one's future and its callbacks are served."""
        settle: Callable[[], None] | None = None
        while True:
            with self._changed:
                entry = None if slot.turn_is_over else self._next(slot.device_id)
            sent = entry is not None and self._send(slot, entry)
            if settle is not None:
                settle()
            if entry is None:
                entry = self._wait(slot)
                sent = entry is not None and self._send(slot, entry)
            if entry is None or not sent:
                return
            settle = self._receive(slot, entry)
            if settle is None:
                return

    def _send(self, slot: _Slot, entry: Entry) -> bool:
        try:
            slot.lease.send(entry.item.task)
        except OSError:  # its worker is gone, and this task never reached it
            with self._changed:
                self._queue.push_back(entry)
            return False
        return True

    def _receive(self, slot: _Slot, entry: Entry) -> Callable[[], None] | None:
        """Wait for a task's outcome and return what settles its future; None if the worker is gone."""
        call: _Call = entry.item
        try:
            result = slot.lease.receive()
        except ConqureError as error:
            if not (error.transient and self._again(entry)):
                return _setter(call, error)
            return _nothing
        except OSError as error:
            if not self._again(entry):
                gone = lost(slot.lease, call.task)
                gone.__cause__ = error
                call.future.set_exception(gone)
            return None
        if call.attempts > 1:
            result = replace(result, metadata={**result.metadata, "attempts": call.attempts})
        return _setter(call, result)

    def _again(self, entry: Entry) -> bool:
        """Let a task wait for another attempt, at its old place, if it has one left."""
        call: _Call = entry.item
        if call.attempts > self._retries:
            return False
        call.attempts += 1
        with self._changed:
            self._queue.push_back(entry)
        return True

    def _wait(self, slot: _Slot) -> Entry | None:
        """Idle until there is a task; None if the QPU is to be given back."""
        channel = slot.lease.channel
        with self._changed:
            entry = None if slot.turn_is_over else self._next(slot.device_id)
            if entry is not None or slot.turn_is_over or slot.lease.wanted or self._ending():
                return entry
            self._idle[slot.device_id].append(slot)
        try:
            what = channel.wait(self._linger_s)
            gone = what == "frame" and slot.lease.listen()
        except OSError:
            gone = True
        with self._changed:
            entry, slot.given = slot.given, None
            if entry is None:
                self._idle[slot.device_id].remove(slot)
            elif gone:
                self._queue.push_back(entry)
                entry = None
        return entry

    def _ending(self) -> bool:
        """Whether nothing can come any more (lock held)."""
        return self._closed and not len(self._queue)

    def _is_over(self) -> bool:
        return self._ending() and not any(self._held.values())

    def _end_if_over(self) -> None:
        """After shutdown, when nothing waits: end the idle slots, and close the desk after the last (lock held)."""
        if self._ending():
            for slot in itertools.chain.from_iterable(self._idle.values()):
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
                entry.item.future.set_exception(
                    DeviceLost(f"no QPU came for {entry.device_id!r}: {type(error).__name__}: {error}")
                )


def _setter(call: _Call, outcome: QuantumResult | ConqureError) -> Callable[[], None]:
    set_ = call.future.set_exception if isinstance(outcome, ConqureError) else call.future.set_result
    return lambda: set_(outcome)  # type: ignore[arg-type]


def _nothing() -> None:
    """The task waits again."""
