"""In which order the works of a QPU's lines are run: small classes that a site chooses by name.

All of them keep the priorities: a work's *level* is its priority's rank, less one for every ``aging_s`` seconds that
it has waited, so that nothing starves. Inside a level a policy has its preference; a work that has waited for longer
than ``patience_s`` is no longer put off for one. What is left is first come, first served, by the time READY.

A policy sees the head of the lines: of each line and priority the first ``window`` works.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from qpu_executors.device import QPU
from qpu_executors.errors import InvalidSite

from .history import History
from .work import WorkRecord

WINDOW = 256
AGING_S = 3600.0
PATIENCE_S = 600.0


class Policy(Protocol):
    """Who goes next on a QPU.

    Attributes:
        window: how many works of each line and priority it wants to see; 1 where the first come is enough.
    """

    @property
    def window(self) -> int: ...

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float, history: History) -> Sequence[WorkRecord]:
        """The same works, the one that shall run next first."""
        ...


@dataclass(frozen=True)
class FirstCome:
    """``fifo``: by priority, then by the time READY.

    The effective rank is ``rank - wait / aging_s``. All works age alike, so the order of two never changes, and
    ``rank * aging_s + ready_at`` is a fixed key. With ``aging_s=math.inf`` a HIGH work always goes before a LOW one.
    """

    aging_s: float = AGING_S
    window: int = 1

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float, history: History) -> Sequence[WorkRecord]:
        if math.isinf(self.aging_s):
            return sorted(works, key=lambda work: (work.priority.rank, *_first_come(work)))
        return sorted(works, key=lambda work: (work.priority.rank * self.aging_s + _ready_at(work), work.work_id))


class Preference(Protocol):
    """What a policy prefers inside a level."""

    def rank(self, work: WorkRecord, qpu: QPU, now: float, history: History) -> float:
        """The lower goes first."""
        ...


class FairShare:
    """``fair_share``: the user who has used the QPUs least goes first; what was used long ago counts less."""

    def rank(self, work: WorkRecord, qpu: QPU, now: float, history: History) -> float:
        return history.used_s(work.owner, now)


class SameQubits:
    """``same_qubits``: works with as many qubits as the one before, to save a trapped-ion machine its reloading."""

    def rank(self, work: WorkRecord, qpu: QPU, now: float, history: History) -> float:
        return float(work.n_qubits != history.qubits_on(qpu.device_id))


class NearConvergence:
    """``near_convergence``: iterative runs that are close to their end, as their owners say, so that they get there."""

    def rank(self, work: WorkRecord, qpu: QPU, now: float, history: History) -> float:
        return -(work.convergence or 0.0) if work.loop else 0.0


@dataclass(frozen=True)
class Preferring:
    """One preference or several, the first before the second, inside the levels of priority and waiting.

    >>> Preferring((SameQubits(), NearConvergence()), patience_s=60).order(works, qpu, now, history)
    """

    preferences: tuple[Preference, ...]
    aging_s: float = AGING_S
    patience_s: float = PATIENCE_S
    window: ClassVar[int] = WINDOW

    def order(self, works: Sequence[WorkRecord], qpu: QPU, now: float, history: History) -> Sequence[WorkRecord]:
        def key(work: WorkRecord) -> tuple[float, ...]:
            waited_s = now - _ready_at(work)
            level = work.priority.rank - max(0.0, waited_s) // self.aging_s
            if waited_s > self.patience_s:
                return level, 0.0
            return level, 1.0, *(preference.rank(work, qpu, now, history) for preference in self.preferences)

        return sorted(works, key=lambda work: (key(work), *_first_come(work)))


_PREFERENCES: dict[str, type[Preference]] = {
    "fair_share": FairShare,
    "same_qubits": SameQubits,
    "near_convergence": NearConvergence,
}
POLICIES = ("fifo", *_PREFERENCES)


def policy_named(name: str, aging_s: float = AGING_S, patience_s: float = PATIENCE_S) -> Policy:
    """A policy by the name that a site file has for it; several preferences are joined by ``+``.

    Raises:
        InvalidSite: there is no such policy.

    >>> policy_named("same_qubits+near_convergence", patience_s=60)
    """
    if name in ("", "fifo"):
        return FirstCome(aging_s)
    words = [word.strip() for word in name.split("+")]
    if unknown := [word for word in words if word not in _PREFERENCES]:
        raise InvalidSite(
            f"no policy {unknown[0]!r} for the queue. Choose one of {', '.join(POLICIES)}; "
            "several but fifo may be joined by '+', the first goes before the second."
        )
    return Preferring(tuple(_PREFERENCES[word]() for word in words), aging_s, patience_s)


def _ready_at(work: WorkRecord) -> float:
    return work.ready_at or work.created_at


def _first_come(work: WorkRecord) -> tuple[float, str]:
    return _ready_at(work), work.work_id
