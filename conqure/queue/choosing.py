"""Which works the free slots of some QPUs get next: the lines that a QPU serves, and the policy's order in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from qpu_executors.device import QPU
from qpu_executors.draining import drained
from qpu_executors.errors import InvalidTask
from qpu_executors.selector import Selector

from .batching import joinable
from .history import History
from .policies import WINDOW, Policy
from .store import Store
from .work import WorkRecord


class Chooser:
    """Chooses among the works that wait in a store.

    A policy that wants to see many works is shown those that were read up to ``look_s`` ago, unless this process knows
    that something has changed (`look_again`); reading hundreds for every single one would cost tens of milliseconds.

    Args:
        batch: as in `Dispatcher`.
    """

    def __init__(
        self, store: Store, qpus: Sequence[QPU], policy: Policy, history: History, batch: int, look_s: float
    ) -> None:
        self._store, self._qpus, self._policy, self._history = store, qpus, policy, history
        self._batch, self._look_s = batch, look_s
        self._read: dict[tuple[str, ...], list[WorkRecord]] = {}
        self._read_until = 0.0

    def choose(self, free: Iterable[QPU], now: float) -> dict[str, QPU]:
        """One work, or one batch, for each of these QPUs, as far as there are any: work_id to QPU."""
        chosen: dict[str, QPU] = {}
        lines = self._store.lines()
        for qpu in (qpu for qpu in free if drained(qpu) is None):
            for work in self._choose_for(qpu, [line for line in lines if fits(line, qpu)], chosen, now):
                chosen[work.work_id] = qpu
        return chosen

    def look_again(self) -> None:
        """What waits is different from what was read."""
        self._read_until = 0.0

    def forget(self, taken: Iterable[str]) -> None:
        """These works do not wait any more."""
        gone = set(taken)
        self._read = {
            lines: [work for work in heads if work.work_id not in gone] for lines, heads in self._read.items()
        }

    def _choose_for(self, qpu: QPU, lines: Sequence[str], taken: dict[str, QPU], now: float) -> list[WorkRecord]:
        if not lines:
            return []
        most = max(self._policy.window, self._batch)
        while True:
            heads = self._heads(lines, most + len(taken))
            works = [work for work in heads if work.work_id not in taken and self._has_room(work, qpu)]
            if works:
                ordered = self._policy.order(works, qpu, now, self._history)
                return joinable(ordered, self._batch) if self._batch else [ordered[0]]
            if most >= WINDOW or not heads:
                return []
            most = WINDOW  # perhaps those at the head are for a larger QPU

    def _heads(self, lines: Sequence[str], most: int) -> list[WorkRecord]:
        if most < WINDOW:
            return self._store.waiting(lines, most)
        now = time.monotonic()
        if now >= self._read_until:
            self._read, self._read_until = {}, now + self._look_s
        key = tuple(lines)
        if not self._read.get(key):
            self._read[key] = self._store.waiting(lines, WINDOW)
        return self._read[key]

    def _has_room(self, work: WorkRecord, qpu: QPU) -> bool:
        """Whether this QPU shall run it: if none here is large enough, any one may say so."""
        if work.n_qubits <= qpu.n_qubits:
            return True
        return all(work.n_qubits > other.n_qubits for other in self._qpus if fits(work.device_id, other))


def fits(line: str, qpu: QPU) -> bool:
    """Whether this QPU serves the line."""
    try:
        return Selector.parse(line).matches(qpu)
    except InvalidTask:  # nobody can serve it
        return False
