"""`QPUThreadPool`: a standard-library executor whose threads hold QPUs.

For QPUs that this process reaches itself: a fast local simulator, or hardware behind the network. It is the engine
``threads``, and what Parsl's in-process executor is made of.

Handing a call to another thread and its result back costs two switches of threads, 0.05 to 0.2 ms, as much as a small
circuit. So who waits for a result lends its thread: if the call has a slot and that slot's thread has not begun yet,
``future.result()`` runs it on the spot, as the slot. While a loop goes on like this, the slot's thread is not woken for
each call; it looks every 5 ms whether one was left to it.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from .device import QPU
from .futures import settle, when_ready
from .observing import Observer, follow, outcome
from .records import Priority, QuantumResult, QuantumTask
from .running import HeldDevice, hold, run
from .task_queue import AGING_S, Entry, TaskQueue

LOOK_S, LOOKS = 0.005, 10  # how often, and how many times in vain, an idle thread looks whether a call was left to it


class QPUThreadPool(Executor):
    """Runs tasks on QPUs, one thread per slot; who goes next is `TaskQueue`'s rule.

    ``submit(run, task)`` goes to a QPU that ``task.device_id`` selects, by ``task.priority``; any other call goes to
    any QPU. Futures given as arguments, also inside lists, are waited for and replaced by their results. A waiting
    task can be cancelled. Devices are opened on first use, once, and closed by `shutdown`. ``observers`` are told of
    every task that is submitted.

    >>> with QPUThreadPool([QPU("sv0", "statevector", 14)]) as pool:
    ...     pool.submit(run, task).result().counts
    """

    def __init__(self, qpus: Iterable[QPU], aging_s: float = AGING_S, observers: Sequence[Observer] = ()) -> None:
        self._queue = TaskQueue(qpus, aging_s)
        self._observers = observers
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._closed = False
        self._unready = 0  # calls that wait for futures among their arguments
        self._idle: dict[str, list[_Slot]] = {device_id: [] for device_id in self._queue.qpus}
        self._slots = [_Slot(self, _Opener(qpu)) for qpu in self._queue.qpus.values()]
        self._slots += [_Slot(self, s.opener) for s in list(self._slots) for _ in range(s.opener.qpu.slots - 1)]
        for slot in self._slots:
            self.release(slot)

    @property
    def qpus(self) -> list[QPU]:
        return list(self._queue.qpus.values())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`; `UnknownDevice` or `DeviceDrained` at once if no QPU takes it."""
        future = self.submit_to(fn, args, kwargs)
        if self._observers and fn is run and args and isinstance(args[0], QuantumTask):
            follow(self._observers, args[0], future, outcome)
        return future

    def submit_to(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        device_id: str | None = None,
        priority: Priority | None = None,
        session: str | None = None,
    ) -> Future[Any]:
        """`submit` with the device, priority or session given apart from the task."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        task = args[0] if fn is run and args and isinstance(args[0], QuantumTask) else None
        entry = Entry(
            next(self._ids),
            device_id or (task.device_id if task else "any"),
            priority or (task.priority if task else Priority.MEDIUM),
            session,
        )
        self._queue.accepts(entry)
        future = _LendingFuture()
        if task is not None:  # the hot path: a task holds no futures
            self._enqueue(entry, _Call(future, fn, args, kwargs))
        else:
            with self._lock:
                self._unready += 1
            when_ready(args, kwargs, lambda a, k, error: self._ready(entry, _Call(future, fn, a, k), error))
        return future

    @contextlib.contextmanager
    def session(self, device_id: str = "any", *, hold: bool = False) -> Iterator[QPUSession]:
        """Keep a loop on one QPU; with ``hold`` nobody else's tasks run there meanwhile."""
        name = f"session-{next(self._ids)}"
        bound = self.open_session(name, device_id, hold)
        try:
            yield QPUSession(self, name, bound)
        finally:
            self.close_session(name)

    def open_session(self, name: str, device_id: str = "any", hold: bool = False) -> str:
        """Bind the session of this name, for `submit_to`; returns its QPU's name."""
        with self._lock:
            return self._queue.open_session(name, device_id, hold)

    def close_session(self, name: str) -> None:
        with self._lock:
            self._queue.close_session(name)
            woken = [pair for device_id in self._idle for pair in self._refill(device_id)]
        for slot, entry in woken:
            slot.give(entry)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library: waiting tasks still run, unless ``cancel_futures``."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                for entry in self._queue.waiting():
                    self._queue.cancel(entry.entry_id)
                    entry.item.future.cancel()
            ended = self._end_idle()
        for slot in ended:
            slot.end()
        if wait:
            for slot in self._slots:
                slot.join()

    def _enqueue(self, entry: Entry, call: _Call) -> None:
        entry.item = call
        with self._lock:
            self._queue.push(entry, time.monotonic())
            slot, next_ = self._match(entry)
        if slot is not None and next_ is not None:
            slot.give(next_)

    def _ready(self, entry: Entry, call: _Call, error: BaseException | None) -> None:
        """The futures among a call's arguments are done; ``error`` is what the first failed one raised."""
        if error is None:
            self._enqueue(entry, call)
        elif call.future.set_running_or_notify_cancel():
            call.future.set_exception(error)
        with self._lock:
            self._unready -= 1
            ended = self._end_idle()
        for slot in ended:
            slot.end()

    def _end_idle(self) -> list[_Slot]:
        """After shutdown, when nothing can come any more: the idle slots, to be told so (lock held)."""
        if not self._closed or self._unready:
            return []
        idle = [slot for slots in self._idle.values() for slot in slots]
        for slots in self._idle.values():
            slots.clear()
        return idle

    def _match(self, entry: Entry) -> tuple[_Slot | None, Entry | None]:
        """A slot that idles and the task it should run now that ``entry`` has come (lock held)."""
        for qpu in self._queue.fits(entry.device_id):
            if self._idle[qpu.device_id] and (next_ := self._queue.pop(qpu.device_id)):
                return self._idle[qpu.device_id].pop(), next_
        return None, None

    def _refill(self, device_id: str) -> list[tuple[_Slot, Entry]]:
        """Tasks for the idle slots of a device that other tasks may use again (lock held)."""
        woken = []
        while self._idle[device_id] and (entry := self._queue.pop(device_id)):
            woken.append((self._idle[device_id].pop(), entry))
        return woken

    def release(self, slot: _Slot) -> None:
        """A slot is free: it gets the next task, or idles; after shutdown, when nothing can come, it ends."""
        woken = []
        with self._lock:
            entry = self._queue.pop(slot.device_id)
            ended = entry is None and self._closed and not self._unready
            if entry is None and not ended:
                self._idle[slot.device_id].append(slot)
            if self._queue.put_off:  # a QPU that was drained may be there again
                self._queue.put_off = False
                woken = [pair for device_id in self._idle for pair in self._refill(device_id)]
        for idle, next_ in woken:
            idle.give(next_)
        if entry is not None:
            slot.give(entry)
        elif ended:
            slot.end()


class QPUSession:
    """A loop's hold on one QPU of a `QPUThreadPool`."""

    def __init__(self, pool: QPUThreadPool, name: str, device_id: str) -> None:
        self._pool, self._name, self.device_id = pool, name, device_id

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._pool.submit_to(fn, args, kwargs, device_id=self.device_id, session=self._name)

    def run(self, task: QuantumTask) -> QuantumResult:
        result: QuantumResult = self.submit(run, task).result()
        return result


class _Opener:
    """Opens a QPU when its first task comes; the slots of a QPU share the open device."""

    def __init__(self, qpu: QPU) -> None:
        self.qpu = qpu
        self._lock = threading.Lock()
        self._held: HeldDevice | None = None
        self._users = 0

    def open(self) -> HeldDevice:
        with self._lock:
            self._held = self._held or HeldDevice(self.qpu)
            self._users += 1
            return self._held

    def close(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._held is not None:
                self._held.close()
                self._held = None


@dataclass(slots=True)
class _Call:
    """A call and its future. Whoever takes ``claim`` runs it: its slot's thread, or one that waits for it."""

    future: _LendingFuture
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    claim: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Run it and settle its future, unless it was cancelled."""
        self.future.borrower = None
        settle(self.future, self.fn, self.args, self.kwargs)


class _LendingFuture(Future[Any]):
    """A future that runs its call in the thread that waits for it, if that has a slot and has not begun."""

    borrower: tuple[_Slot, _Call] | None = None  # set when the call gets a slot

    def result(self, timeout: float | None = None) -> Any:
        if timeout is None:
            self.lend()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if timeout is None:
            self.lend()
        return super().exception(timeout)

    def lend(self) -> None:
        """Run the call in this thread if it has a slot and has not begun; else do nothing."""
        if (borrower := self.borrower) is not None:
            borrower[0].serve_here(borrower[1])


class _Slot(threading.Thread):
    """One thread: takes tasks for one QPU, one after the other."""

    def __init__(self, pool: QPUThreadPool, opener: _Opener) -> None:
        super().__init__(name=f"qpu-{opener.qpu.device_id}", daemon=True)
        self.pool, self.opener = pool, opener
        self.device_id = opener.qpu.device_id
        self._calls: deque[_Call | None] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._asleep = False  # until it is woken, not only until its next look
        self._state = threading.Lock()  # of the two: a call must not be left to a thread that is about to fall asleep
        self._looks = 0  # how often it still looks before it falls asleep; renewed by every call that is lent
        self._held: HeldDevice | None = None
        self.start()

    def give(self, entry: Entry) -> None:
        """The slot's next call; the pool gives one at a time."""
        call: _Call = entry.item
        call.future.borrower = self, call
        self._put(call)

    def end(self) -> None:
        """No call comes any more."""
        self._put(None)

    def serve_here(self, call: _Call) -> None:
        """Run a call of this slot in the present thread, if nobody has begun it and the device is open."""
        if self._held is not None and call.claim.acquire(blocking=False):
            self._looks = LOOKS
            with hold(self._held):
                call.run()
            self.pool.release(self)

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            while (call := self._take()) is not None:
                if call.claim.acquire(blocking=False):
                    self._looks = 0
                    if self._open(stack, call):
                        call.run()
                    self.pool.release(self)
                del call  # an idle thread must not keep the last task alive

    def _put(self, call: _Call | None) -> None:
        with self._state:
            self._calls.append(call)
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._wake.put(None)

    def _take(self) -> _Call | None:
        """The next call; looks for one every now and then while calls are lent, then sleeps until it is woken."""
        while True:
            with self._state:
                if self._calls:
                    return self._calls.popleft()
                self._asleep = asleep = self._looks <= 0
            self._looks -= 1
            with contextlib.suppress(Empty):
                self._wake.get(timeout=None if asleep else LOOK_S)

    def _open(self, stack: contextlib.ExitStack, call: _Call) -> bool:
        """Whether the device is open; if it does not open, the call gets the error, and the next one tries again."""
        if self._held is None:
            try:
                held = self.opener.open()
            except BaseException as error:
                if call.future.set_running_or_notify_cancel():
                    call.future.set_exception(error)
                return False
            stack.callback(self.opener.close)
            stack.enter_context(hold(held))
            self._held = held
        return True
