"""Who holds which QPU and what it does next: the whole state of a `QPUExecutor`, free of I/O.

Every QPU has as many leases as slots, over all blocks together, and a worker holds one lease and runs one task at a
time: that is the exclusivity. A worker without a lease is a spare. Which task goes next is `TaskQueue`'s rule. Where
there are fewer workers than leases, an idle worker changes its QPU when the next task by the rule is for a QPU that
no worker holds.

A worker whose last task was short is sent its next one while it still runs the present one, so that its QPU does not
idle while a result and a task are on their way. A task that was sent ahead can't be cancelled any more, and a more
urgent one that comes later waits for it: that is why only short ones are.

Not thread-safe; the broker calls it under its lock and carries out the orders that come back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from qpu_executors import QPU, ConqureError, DeviceError, Entry, TaskQueue
from qpu_executors.draining import serving
from qpu_executors.errors import about_device

AHEAD_S = 0.1  # a task is short if it takes less
OPENING_TRIES = 3  # workers that die while they open a device, before we stop trying


@dataclass(slots=True)
class Call:
    """What an `Entry` carries here: the caller's future and the call as bytes."""

    future: Future[Any]
    packed: bytes
    started: bool = False

    def start(self) -> bool:
        """Whether the task is to be run: not if it was cancelled. The second time it comes back from a lost worker."""
        self.started = self.started or self.future.set_running_or_notify_cancel()
        return self.started


@dataclass(eq=False)
class Worker:
    """One worker process, as the broker sees it."""

    name: str
    block_id: str
    pid: int
    host: str
    send: Callable[[bytes], None] = lambda data: None
    may_hold: frozenset[str] | None = None  # the QPUs that its job was given; None for any
    qpu: QPU | None = None
    ready: bool = False
    entry: Entry | None = None
    ahead: Entry | None = None
    since: float = 0.0  # when it became idle, or began its task
    quick: bool = False  # whether its last task was short

    def may(self, qpu: QPU) -> bool:
        return self.may_hold is None or qpu.device_id in self.may_hold

    def describe(self) -> str:
        holds = f" that held {self.qpu.device_id!r}" if self.qpu else ""
        return f"the worker{holds} (process {self.pid} on {self.host}, block {self.block_id})"


@dataclass(frozen=True)
class Demand:
    """How many tasks wait for a QPU, and how many run on it."""

    waiting: int
    running: int


Order = tuple[Worker, QPU | Entry]  # open this QPU, or run this task


class Leases:
    """The QPUs of an executor, its workers and the tasks that wait."""

    def __init__(self, qpus: Iterable[QPU], aging_s: float) -> None:
        self.queue = TaskQueue(qpus, aging_s)
        self.workers: set[Worker] = set()
        self.broken: dict[str, ConqureError] = {}
        self.leaving: set[str] = set()  # blocks that finish what runs there and begin nothing more
        self._free = {device_id: qpu.slots for device_id, qpu in self.queue.qpus.items()}
        self._holders: dict[str, int] = dict.fromkeys(self._free, 0)
        self._deaths: dict[str, int] = dict.fromkeys(self._free, 0)

    # What the submitter does

    def submit(self, entry: Entry, now: float) -> list[Order]:
        """A new task; `UnknownDevice` or `DeviceDrained` if no QPU takes it, or why those that fit cannot be opened."""
        fitting = self.queue.accepts(entry)
        if self.broken and (why := self._why_broken(fitting)):
            raise why
        self.queue.push(entry, now)
        idle = self._idle()
        for worker in sorted(idle, key=lambda worker: worker.since):
            if worker.qpu in fitting and (orders := self._start(worker)):
                return orders
        return self._lend_idle(idle)

    def stranded(self) -> list[tuple[Entry, ConqureError]]:
        """Take out the tasks that wait for broken QPUs only."""
        found = []
        for entry in self.queue.waiting() if self.broken else ():
            if why := self._why_broken(self.queue.fits(entry.device_id)):
                self.queue.cancel(entry.entry_id)
                found.append((entry, why))
        return found

    def wake_idle(self) -> list[Order]:
        """Tasks for idle workers, after a session has let go of a QPU."""
        idle = self._idle()
        return [order for worker in idle for order in self._start(worker)]

    # What workers do

    def joined(self, worker: Worker) -> list[Order]:
        """A worker has started: it gets a lease, or becomes a spare."""
        self.workers.add(worker)
        return self._lend(worker)

    def opened(self, worker: Worker) -> list[Order]:
        """A worker has opened the QPU it was told to."""
        worker.ready = True
        self._deaths[worker.qpu.device_id] = 0  # type: ignore[union-attr]
        return self._next(worker)

    def failed(self, worker: Worker, error: ConqureError) -> list[Order]:
        """A worker cannot open its QPU, and no other one could either."""
        device_id = worker.qpu.device_id  # type: ignore[union-attr]
        self.broken[device_id] = error
        self._return_lease(worker)
        return self._lend(worker)

    def done(self, worker: Worker) -> tuple[Entry | None, list[Order]]:
        """A worker has finished its task; the task, and what the worker does next."""
        entry, worker.entry, worker.ahead = worker.entry, worker.ahead, None
        now = time.monotonic()
        worker.quick, worker.since = now - worker.since < AHEAD_S, now
        orders = [] if worker.entry else self._next(worker)
        if worker.entry is not None and worker.quick and not self._unheld(worker) and (ahead := self._pop(worker)):
            worker.ahead = ahead
            orders.append((worker, ahead))
        if self.queue.put_off:  # a QPU that was drained may be there again
            self.queue.put_off = False
            orders += self.wake_idle()
        return entry, orders

    def lost(self, worker: Worker, why: str) -> tuple[Entry | None, list[Order]]:
        """A worker is gone; the task it ran, if any, and which spares take over."""
        self.workers.discard(worker)
        if worker.ahead is not None:  # it had not begun
            self.queue.push_back(worker.ahead)
        if worker.qpu is not None:
            device_id = worker.qpu.device_id
            if not worker.ready:
                self._note_death(device_id, why)
            self._return_lease(worker)
        entry, worker.entry = worker.entry, None
        for spare in [spare for spare in self.workers if spare.qpu is None]:
            if orders := self._lend(spare):
                return entry, orders
        return entry, self.wake_idle()

    # Where workers come and go with jobs

    def demand(self, active: Mapping[str, int], most: int = 1000) -> dict[str, Demand]:
        """What waits and runs, by QPU; a task that fits several counts for one that workers hold or will hold.

        Args:
            active: by QPU, the slots of workers that there are or that have been asked for.
            most: look at no more waiting tasks than this, and take them for all.
        """
        running = Counter(worker.qpu.device_id for worker in self.workers if worker.qpu and worker.entry)
        waiting: Counter[str] = Counter()
        for entry in self.queue.sample(most):
            fitting = serving(self.queue.fits(entry.device_id))
            names = [qpu.device_id for qpu in fitting if qpu.device_id not in self.broken]
            if names:
                loads = [(running[name] + waiting[name], name) for name in names]
                _, chosen = min(loads, key=lambda each: (each[0] >= active.get(each[1], 0), each[0]))
                waiting[chosen] += 1
        share = max(1.0, len(self.queue) / most)
        return {name: Demand(round(waiting[name] * share), running[name]) for name in self.queue.qpus}

    def idle_blocks(self, idle_s: Callable[[str], float], now: float) -> list[str]:
        """Blocks whose workers all have had nothing to do for that long, each QPU's own time."""
        idle: dict[str, bool] = {}
        for worker in self.workers:
            if worker.qpu is not None:
                device_id, is_free = worker.qpu.device_id, worker.ready and worker.entry is None
                enough = 0.0 if worker.block_id in self.leaving else idle_s(device_id)
                rested = is_free and now - worker.since > enough and not self.queue.has_session(device_id)
                idle[worker.block_id] = idle.get(worker.block_id, True) and rested
        return [block_id for block_id, rested in idle.items() if rested]

    def all_broken(self) -> bool:
        return len(self.broken) == len(self.queue.qpus)

    # The rules

    def _idle(self) -> list[Worker]:
        """Workers that could begin a task."""
        return [each for each in self.workers if each.ready and each.entry is None and not self._leaves(each)]

    def _leaves(self, worker: Worker) -> bool:
        return worker.block_id in self.leaving

    def _pop(self, worker: Worker) -> Entry | None:
        """The next task for the QPU of this worker; cancelled ones are dropped."""
        if self._leaves(worker):
            return None
        while (entry := self.queue.pop(worker.qpu.device_id)) is not None:  # type: ignore[union-attr]
            if entry.item.start():
                return entry
        return None

    def _start(self, worker: Worker) -> list[Order]:
        """Let a worker that idles run the next task for its QPU, if there is one."""
        if (entry := self._pop(worker)) is None:
            return []
        worker.entry, worker.since = entry, time.monotonic()
        return [(worker, entry)]

    def _next(self, worker: Worker) -> list[Order]:
        if not self._leaves(worker) and (unheld := self._unheld(worker)):
            wanted = self._most_urgent([worker.qpu, *unheld])  # type: ignore[list-item]
            if wanted is not None and wanted is not worker.qpu:
                self._return_lease(worker)
                return [self._give(worker, wanted)]
        worker.since = time.monotonic()
        return self._start(worker)

    def _lend(self, worker: Worker) -> list[Order]:
        """A lease for a worker without one: the most wanted QPU that nobody holds, else the one with fewest holders."""
        free = [self.queue.qpus[d] for d, n in self._free.items() if n > 0 and d not in self.broken]
        free = [qpu for qpu in free if worker.may(qpu)]
        if not free or self._leaves(worker):
            return []
        wanted = self._most_urgent(self._unheld(worker)) or min(free, key=lambda qpu: self._holders[qpu.device_id])
        return [self._give(worker, wanted)]

    def _lend_idle(self, idle: list[Worker]) -> list[Order]:
        """A task came that no worker's QPU fits: the worker that has idled longest changes over, if one idles."""
        for worker in sorted(idle, key=lambda worker: worker.since):
            if wanted := self._most_urgent(self._unheld(worker)):
                break
        else:
            return []
        self._return_lease(worker)
        return [self._give(worker, wanted)]

    def _unheld(self, worker: Worker) -> list[QPU]:
        """QPUs that this worker may hold and nobody does: there are fewer workers than QPUs, or one has just died."""
        if all(self._holders.values()):
            return []
        unheld = [self.queue.qpus[d] for d, n in self._holders.items() if n == 0 and d not in self.broken]
        return [qpu for qpu in unheld if worker.may(qpu)]

    def _most_urgent(self, qpus: list[QPU]) -> QPU | None:
        """The QPU whose next task comes first by the rule of the queue; ``None`` if no task waits for any of them."""
        heads = []
        for qpu in qpus:
            if (entry := self.queue.pop(qpu.device_id)) is not None:
                heads.append((entry, qpu))
                self.queue.push_back(entry)
        return min(heads, key=lambda head: head[0].key)[1] if heads else None

    def _give(self, worker: Worker, qpu: QPU) -> Order:
        worker.qpu, worker.ready = qpu, False
        self._free[qpu.device_id] -= 1
        self._holders[qpu.device_id] += 1
        return worker, qpu

    def _return_lease(self, worker: Worker) -> None:
        device_id = worker.qpu.device_id  # type: ignore[union-attr]
        worker.qpu, worker.ready = None, False
        self._free[device_id] += 1
        self._holders[device_id] -= 1

    def _note_death(self, device_id: str, why: str) -> None:
        self._deaths[device_id] += 1
        if self._deaths[device_id] >= OPENING_TRIES:
            self.broken[device_id] = DeviceError(
                f"device {device_id!r} cannot be used: {OPENING_TRIES} workers in a row died while opening it. {why}"
            )

    def _why_broken(self, fitting: list[QPU]) -> ConqureError | None:
        errors = [self.broken.get(qpu.device_id) for qpu in fitting]
        if errors[0] is None or not all(errors):
            return None
        why = type(errors[0])(str(errors[0]))  # a new one each time: a raised error collects tracebacks
        return about_device(why, fitting[0].device_id, at_opening=True)
