"""What has run lately, as far as the order of the next works depends on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .work import WorkRecord

HALF_LIFE_S = 3600.0  # after this, what somebody has used counts half
_MOST_OWNERS = 10_000


class History:
    """Seconds of QPUs that each owner has used, decaying, and what was last on each QPU.

    In memory, and of one dispatcher: several dispatchers on one store each keep their own.
    """

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._half_life_s = half_life_s
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # owner: seconds, and when they were right
        self._qubits: dict[str, int] = {}
        self._mean_s = 1.0

    def used_s(self, owner: str, now: float) -> float:
        seconds, at = self._used.get(owner, (0.0, now))
        return seconds * 0.5 ** (max(0.0, now - at) / self._half_life_s)

    def qubits_on(self, device_id: str) -> int | None:
        """Qubits of the circuit that ran last, or runs, on this QPU; None if nobody knows."""
        return self._qubits.get(device_id)

    def start(self, owner: str, device_id: str, n_qubits: int, now: float) -> float:
        """A work starts; it is charged what one takes on average. Returns that, for `end`."""
        if n_qubits:
            self._qubits[device_id] = n_qubits
        self._charge(owner, self._mean_s, now)
        return self._mean_s

    def end(self, owner: str, charged_s: float, run_s: float, now: float) -> None:
        """It has ended; what it took instead is charged."""
        self._charge(owner, run_s - charged_s, now)
        self._mean_s += 0.05 * (run_s - self._mean_s)

    def remember(self, works: Iterable[WorkRecord]) -> None:
        """Works that were done before."""
        for work in sorted(works, key=lambda work: work.ended_at or 0.0):
            if isinstance(run_s := work.metadata.get("run_s"), (int, float)) and work.source == "queue":
                self._charge(work.owner, run_s, work.ended_at or 0.0)
                self._qubits[work.ran_on] = work.n_qubits

    def _charge(self, owner: str, seconds: float, now: float) -> None:
        self._used[owner] = max(0.0, self.used_s(owner, now) + seconds), now
        self._used.move_to_end(owner)
        if len(self._used) > _MOST_OWNERS:
            self._used.popitem(last=False)
