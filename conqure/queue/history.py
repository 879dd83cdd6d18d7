"""What has run lately, as far as the order of the next works depends on it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from .work import WorkRecord, WorkStatus

HALF_LIFE_S = 3600.0  # after this, what somebody has used counts half
REMEMBERED = 1000  # works that were done before a process started, for policies that look back
_MOST_OWNERS = 10_000
_MOST_CHARGES = 100_000
_RUNNING = (WorkStatus.EXECUTING, WorkStatus.UPLOADING)


class History:
    """Seconds of QPUs that each owner has used, decaying, and what was last on each QPU.

    In memory, and of one dispatcher or service: several on one store each keep their own. Any thread may use it.
    """

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._half_life_s = half_life_s
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # owner: seconds, and when they were right
        self._qubits: dict[str, int] = {}
        self._mean_s = 1.0
        self._charging = threading.Lock()

    def used_s(self, owner: str, now: float) -> float:
        seconds, at = self._used.get(owner, (0.0, now))
        return seconds * 0.5 ** (max(0.0, now - at) / self._half_life_s)

    def qubits_on(self, device_id: str) -> int | None:
        """Qubits of the circuit that ran last, or runs, on this QPU; None if nobody knows."""
        return self._qubits.get(device_id)

    def start(self, owner: str, device_id: str, n_qubits: int, now: float) -> float:
        """A work starts; it is charged what one takes on average. Returns that, for `end` or `drop`."""
        if n_qubits:
            self._qubits[device_id] = n_qubits
        charged_s = self._mean_s
        self._charge(owner, charged_s, now)
        return charged_s

    def end(self, owner: str, charged_s: float, run_s: float, now: float) -> None:
        """It has ended; what it took instead is charged."""
        self._charge(owner, run_s - charged_s, now)
        self._mean_s += 0.05 * (run_s - self._mean_s)

    def drop(self, owner: str, charged_s: float, now: float) -> None:
        """It was lost or given back, and nobody knows whether it ran: nothing is charged, and the average stays."""
        self._charge(owner, -charged_s, now)

    def remember(self, works: Iterable[WorkRecord]) -> None:
        """Works that were done before."""
        for work in sorted(works, key=lambda work: work.ended_at or 0.0):
            if isinstance(run_s := work.metadata.get("run_s"), (int, float)) and work.source == "queue":
                self._charge(work.owner, run_s, work.ended_at or 0.0)
                self._qubits[work.ran_on] = work.n_qubits

    def _charge(self, owner: str, seconds: float, now: float) -> None:
        with self._charging:
            self._used[owner] = max(0.0, self.used_s(owner, now) + seconds), now
            self._used.move_to_end(owner)
            if len(self._used) > _MOST_OWNERS:
                self._used.popitem(last=False)


class Charges:
    """What attempts that run were charged when they started, until it shows what they took. Any thread may use it.

    An attempt counts the seconds that a QPU is known to have run it, whatever came of it. One whose holder is lost, or
    that is given back, counts nothing.

    >>> charges.start(work, "ion0", time.time()); charges.end(work, 2.5, time.time())
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._open: OrderedDict[tuple[str, int], float] = OrderedDict()  # by work_id and attempt: seconds

    def start(self, work: WorkRecord, device_id: str, now: float) -> None:
        self._open[work.work_id, work.attempts] = self._history.start(work.owner, device_id, work.n_qubits, now)
        if len(self._open) > _MOST_CHARGES:
            self._open.popitem(last=False)

    def end(self, work: WorkRecord, run_s: float, now: float) -> None:
        """The attempt has run for so long; once more the same changes nothing."""
        if (charged_s := self._open.pop((work.work_id, work.attempts), None)) is not None:
            self._history.end(work.owner, charged_s, run_s, now)

    def heard(self, work: WorkRecord) -> None:
        """For the listeners of a store: a work that is given out again or has ended, whoever did that, is charged for
        nothing but what `end` was told before."""
        if work.status not in _RUNNING:
            self.drop(work, time.time())

    def drop(self, work: WorkRecord, now: float) -> None:
        """The attempt is over, and nobody has said that it ran."""
        if (charged_s := self._open.pop((work.work_id, work.attempts), None)) is not None:
            self._history.drop(work.owner, charged_s, now)
