"""Which task goes next: one rule for every pool, free of I/O so that it can be tested alone.

**The rule.** A task that waits has the effective rank ``priority.rank - age / aging_s``: HIGH before MEDIUM before LOW,
and ``aging_s`` seconds of waiting lift a task by one level, so nothing starves. Since all tasks age alike, the order of
two tasks never changes, and ``priority.rank * aging_s + submitted_at`` is a fixed sort key. Inside one level it is
first come, first served. A device that is free takes the first task it is allowed to run.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .device import QPU
from .draining import accepting, drained, serving
from .records import Priority
from .selector import Selector, select

AGING_S = 60.0  # waiting this long lifts a task by one priority level


@dataclass(slots=True)
class Entry:
    """A task that waits: who may run it, how urgent it is, and whatever the pool keeps with it."""

    entry_id: Hashable
    device_id: str = "any"
    priority: Priority = Priority.MEDIUM
    session: str | None = None
    item: Any = None
    key: tuple[float, int] = field(default=(0.0, 0))


class TaskQueue:
    """Tasks waiting for some QPUs.

    Not thread-safe: the pool that owns it has a lock or a single thread.

    A *session* keeps a loop on one device: the first task of a session binds it to the fitting device that has the
    fewest sessions, all later ones wait for that device. With ``hold=True`` the device takes nothing else meanwhile.

    >>> queue = TaskQueue([QPU("ion0", "statevector", 7)])
    >>> queue.push(Entry(1, priority=Priority.LOW), now=0.0); queue.push(Entry(2, priority=Priority.HIGH), now=1.0)
    >>> queue.pop("ion0").entry_id
    2
    """

    def __init__(self, qpus: Iterable[QPU], aging_s: float = AGING_S) -> None:
        self.qpus = {qpu.device_id: qpu for qpu in qpus}
        self.put_off = False  # a drained device has left something that waits to others: see again when it may
        self._aging_s = aging_s
        self._order = itertools.count()
        self._entries: dict[Hashable, Entry] = {}
        # One heap per device_id text (per session, where there is one). A device looks at the heads of the few heaps
        # that it may serve, so neither many tasks nor many devices make a pop slow.
        self._heaps: dict[str, list[tuple[tuple[float, int], Hashable]]] = {}
        self._served: dict[str, list[str]] = {device_id: [] for device_id in self.qpus}
        self._fitting: dict[str, list[QPU]] = {}
        self._sessions: dict[str, str] = {}
        self._holds: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, qpu: QPU) -> None:
        """A QPU has joined; it serves what already waits and fits, too."""
        self.qpus[qpu.device_id] = qpu
        self._fitting.clear()
        sessions = set(map(_session_place, self._sessions))
        self._served[qpu.device_id] = [
            place for place in self._heaps if place not in sessions and Selector.parse(place).matches(qpu)
        ]

    def push(self, entry: Entry, now: float) -> None:
        """Let a task wait; ``now`` is when it was submitted, seconds. `UnknownDevice` if no QPU here fits."""
        place = self._place(entry)
        entry.key = (entry.priority.rank * self._aging_s + now, next(self._order))
        self._entries[entry.entry_id] = entry
        heapq.heappush(self._heaps[place], (entry.key, entry.entry_id))

    def push_back(self, entry: Entry) -> None:
        """Put a popped task back to its old place, for example because its worker died before it started."""
        self._entries[entry.entry_id] = entry
        heapq.heappush(self._heaps[self._place(entry)], (entry.key, entry.entry_id))

    def pop(self, device_id: str, *, even_drained: bool = False) -> Entry | None:
        """Take the task that this device should run now, or ``None``.

        A drained device takes what was accepted before and fits no other one, and its sessions' tasks; with
        ``even_drained`` it is asked as if it were not.
        """
        held_by, closed = self._holds.get(device_id), not even_drained and self.is_drained(device_id)
        best: list[tuple[tuple[float, int], Hashable]] | None = None
        for place in self._served.get(device_id, ()):
            if held_by is not None and place != _session_place(held_by):
                continue
            heap = self._head(place)
            if heap and closed and not self._serves(device_id, place):
                self.put_off = True
                continue
            if heap and (best is None or heap[0] < best[0]):
                best = heap
        if best is None:
            return None
        entry = self._entries.pop(heapq.heappop(best)[1])
        if entry.session is not None and entry.session not in self._sessions:
            self._forget_if_empty(_session_place(entry.session))
        return entry

    def cancel(self, entry_id: Hashable) -> Entry | None:
        """Forget a task that waits; ``None`` if it does not wait (any more)."""
        return self._entries.pop(entry_id, None)

    def sample(self, most: int) -> list[Entry]:
        """Tasks that wait, no more than this, in the order in which they came."""
        return list(itertools.islice(self._entries.values(), most))

    def waiting(self) -> list[Entry]:
        """All tasks that wait, in the order of the rule."""
        return sorted(self._entries.values(), key=lambda entry: entry.key)

    def fits(self, device_id: str) -> list[QPU]:
        """The QPUs here that a task with this ``device_id`` may run on; `UnknownDevice` if none."""
        if device_id not in self._fitting:
            if len(self._fitting) > 1000:  # device_id texts come from users; keep no more than a site needs
                self._fitting.clear()
            self._fitting[device_id] = select(device_id, self.qpus.values())
        return self._fitting[device_id]

    def accepts(self, entry: Entry) -> list[QPU]:
        """The QPUs here for a new task; `UnknownDevice` if none fits, `DeviceDrained` if those that do are drained."""
        fitting = self.fits(entry.device_id)
        return fitting if entry.session in self._sessions else accepting(entry.device_id, fitting)

    def is_drained(self, device_id: str) -> bool:
        """Whether this device takes nothing new."""
        return device_id in self.qpus and drained(self.qpus[device_id]) is not None

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str:
        """Bind a session to the fitting device with the fewest sessions; returns that device's name."""
        if session not in self._sessions:
            accepting(device_id, self.fits(device_id))
        bound = self._bind(session, device_id)
        if hold:
            self._holds.setdefault(bound, session)
        return bound

    def _bind(self, session: str, device_id: str) -> str:
        if session not in self._sessions:
            load = dict.fromkeys(self.qpus, 0)
            for bound in self._sessions.values():
                load[bound] += 1
            fitting = serving(self.fits(device_id))
            chosen = min(fitting, key=lambda qpu: (qpu.device_id in self._holds, load[qpu.device_id]))
            self._sessions[session] = chosen.device_id
        return self._sessions[session]

    def has_session(self, device_id: str) -> bool:
        """Whether a session is bound to this device."""
        return device_id in self._sessions.values()

    def close_session(self, session: str) -> None:
        """Release the session's device; its tasks that still wait run there in their turn."""
        bound = self._sessions.pop(session, None)
        if bound is None:
            return
        if self._holds.get(bound) == session:
            del self._holds[bound]
        self._forget_if_empty(_session_place(session))

    def _serves(self, device_id: str, place: str) -> bool:
        """Whether a drained device runs what waits at a place."""
        return place.startswith(_SESSION) or any(qpu.device_id == device_id for qpu in serving(self.fits(place)))

    def _place(self, entry: Entry) -> str:
        if entry.session is not None:
            bound = self._bind(entry.session, entry.device_id)
            return self._heap_for(_session_place(entry.session), [bound])
        if entry.device_id not in self._heaps:
            self._heap_for(entry.device_id, [qpu.device_id for qpu in self.fits(entry.device_id)])
        return entry.device_id

    def _heap_for(self, place: str, device_ids: list[str]) -> str:
        if place not in self._heaps:
            self._heaps[place] = []
            for device_id in device_ids:
                self._served[device_id].append(place)
        return place

    def _head(self, place: str) -> list[tuple[tuple[float, int], Hashable]]:
        """The heap of a place, without cancelled tasks at its head."""
        heap = self._heaps[place]
        while heap and heap[0][1] not in self._entries:
            heapq.heappop(heap)
        return heap

    def _forget_if_empty(self, place: str) -> None:
        if place in self._heaps and not self._head(place):
            del self._heaps[place]
            for places in self._served.values():
                if place in places:
                    places.remove(place)


_SESSION = "session\0"  # can't begin a device_id


def _session_place(session: str) -> str:
    return f"{_SESSION}{session}"
