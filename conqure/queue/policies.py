"""Which work goes next: small rules that a site chooses by name.

A store gives the works that wait for a QPU, of each line and priority those that became ready first; a policy orders
them, and the dispatcher takes them in that order. Whatever a policy prefers, nobody waits for ever: the **rule against
starvation** is that a work which has waited for ``aging_s`` counts as one priority higher, and after ``patience_s`` no
preference but the priority puts another one before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qpu_executors.device import QPU
from qpu_executors.errors import InvalidSite

from .work import WorkRecord

AGING_S = 3600.0
PATIENCE_S = 600.0
WINDOW = 256  # how many works of a line and priority a policy looks at


class Policy(Protocol):
    """Puts works into the order in which one QPU should run them.

    Attributes:
        window: how many works of each line and priority it wants to see.
    """

    window: int

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float) -> list[WorkRecord]: ...

    def ran(self, work: WorkRecord, qpu: QPU, seconds: float, now: float) -> None:
        """A work has ended on this QPU after so many seconds there."""
        ...


@dataclass
class Fifo:
    """Strict priority with aging; first come, first served inside one level, by the time of READY.

    The order of two works never changes while they wait: all age alike, so ``rank * aging_s + ready_at`` is a fixed
    key.

    Attributes:
        aging_s: waiting this long lifts a work by one priority; ``inf`` makes the priorities strict for ever.
    """

    aging_s: float = AGING_S
    window: int = 1

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float) -> list[WorkRecord]:
        return sorted(works, key=self.key)

    def key(self, work: WorkRecord) -> tuple[float, float, str]:
        ready_at = work.ready_at or 0.0
        if math.isinf(self.aging_s):
            return (work.priority.rank, ready_at, work.work_id)
        return (work.priority.rank * self.aging_s + ready_at, 0.0, work.work_id)

    def level(self, work: WorkRecord, now: float) -> int:
        """The priority's rank, lowered by whole levels of waiting."""
        waited = max(0.0, now - (work.ready_at or now))
        return work.priority.rank - (0 if math.isinf(self.aging_s) else int(waited // self.aging_s))

    def ran(self, work: WorkRecord, qpu: QPU, seconds: float, now: float) -> None:
        pass


@dataclass
class FairShare(Fifo):
    """Inside one level, whoever has used the QPUs least goes first.

    Attributes:
        half_life_s: after this time what somebody used counts half.
    """

    half_life_s: float = 3600.0
    window: int = WINDOW
    _used: dict[str, tuple[float, float]] = field(default_factory=dict)  # owner -> (seconds, when that was so)

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float) -> list[WorkRecord]:
        used = {owner: self.used(owner, now) for owner in {work.owner for work in works}}
        return sorted(works, key=lambda work: (self.level(work, now), used[work.owner], self.key(work)))

    def used(self, owner: str, now: float) -> float:
        """Seconds on QPUs, faded with time."""
        seconds, then = self._used.get(owner, (0.0, now))
        return float(seconds * 0.5 ** ((now - then) / self.half_life_s))

    def ran(self, work: WorkRecord, qpu: QPU, seconds: float, now: float) -> None:
        self._used[work.owner] = (self.used(work.owner, now) + seconds, now)
        if len(self._used) > 10_000:  # those who used least are as good as new
            self._used = {name: kept for name, kept in self._used.items() if self.used(name, now) > 1e-3}


@dataclass
class SameQubits(Fifo):
    """Works with the number of qubits of the one before first: a trapped-ion machine then need not reload its ions.

    The paper, III.D.1. Inside one level, and not past works that have waited for ``patience_s``.
    """

    patience_s: float = PATIENCE_S
    window: int = WINDOW
    _loaded: dict[str, int] = field(default_factory=dict)  # device_id -> the number of qubits it has loaded

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float) -> list[WorkRecord]:
        loaded = self._loaded.get(qpu.device_id, 0)
        return sorted(works, key=lambda work: (self.level(work, now), self._rank(work, loaded, now), self.key(work)))

    def _rank(self, work: WorkRecord, loaded: int, now: float) -> tuple[int, int]:
        if now - (work.ready_at or now) >= self.patience_s:
            return (0, 0)
        # All of one number together, whichever comes first; the loaded one before the others.
        return (1, 0) if work.n_qubits == loaded else (2, work.n_qubits)

    def ran(self, work: WorkRecord, qpu: QPU, seconds: float, now: float) -> None:
        self._loaded[qpu.device_id] = work.n_qubits


@dataclass
class NearConvergence(Fifo):
    """Iterative runs close to their end first, since drift of the device hurts them most (the paper, III.D.1).

    Reads what owners say of their works: ``convergence`` from 0 to 1; a work without counts as 0. Inside one level, and
    not past works that have waited for ``patience_s``.
    """

    patience_s: float = PATIENCE_S
    window: int = WINDOW

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float) -> list[WorkRecord]:
        return sorted(works, key=lambda work: (self.level(work, now), self._rank(work, now), self.key(work)))

    def _rank(self, work: WorkRecord, now: float) -> tuple[int, float]:
        if now - (work.ready_at or now) >= self.patience_s:
            return (0, 0.0)
        return (1, -(work.convergence or 0.0))


POLICIES: dict[str, type[Fifo]] = {
    "fifo": Fifo,
    "fair_share": FairShare,
    "same_qubits": SameQubits,
    "near_convergence": NearConvergence,
}


def policy(name: str = "fifo", aging_s: float = AGING_S) -> Policy:
    """A policy by name; `InvalidSite` lists those there are."""
    if name not in POLICIES:
        raise InvalidSite(f"[queue] policy is {name!r}. Policies: {', '.join(POLICIES)}.")
    return POLICIES[name](aging_s=aging_s)
