"""Many circuits, few tasks: rows of the same program go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qpu_executors.device import Counts
from qpu_executors.records import MAX_VALUES, Priority, QuantumResult, QuantumTask

from .circuits import Ready

FEWEST_ROWS = 16  # of a program before several QPUs share them: a task costs about as much as that many rows
_STRIDE = 1_000_003  # between the seeds of two tasks

Row = tuple[float, ...]
Key = tuple[str | bytes, str, int, int]  # program, language, shots, and which run of neighbours


@dataclass(frozen=True)
class Share:
    """Rows ``first`` to ``last`` (exclusive) of a program in a batch; ``key`` is None if nothing is to be run."""

    key: Key | None
    first: int
    last: int
    shots: int


@dataclass
class Batch:
    """Collects rows, makes tasks of them, and hands the counts back to whoever added the rows.

    Attributes:
        device_id: a name or a selector.
        seed: of the first task; the others get seeds of their own made from it. None draws afresh.
        n_qpus: how many QPUs may share the rows of one program.
        in_order: keep the order of the rows, so that only neighbours go together.

    >>> batch = Batch("sv0")
    >>> share = batch.add(ready(circuit), [(0.1,), (0.2,)], shots=100)
    >>> [task.n_rows for task in batch.tasks()]
    [2]
    """

    device_id: str = "any"
    seed: int | None = None
    priority: Priority | str = Priority.MEDIUM
    n_qpus: int = 1
    in_order: bool = False
    _rows: dict[Key, list[Row]] = field(default_factory=dict)
    _n_qubits: dict[str | bytes, int] = field(default_factory=dict)
    _last: Key | None = None

    def add(self, ready: Ready, rows: Sequence[Row], shots: int) -> Share:
        """Rows of one program; the share says where their counts will be."""
        if not ready.program or not rows:
            return Share(None, 0, len(rows), shots)
        key = (ready.program, ready.language, shots, 0)
        if self.in_order and self._last is not None:
            key = (*key[:3], self._last[3] + (self._last[:3] != key[:3]))
        self._last = key
        together = self._rows.setdefault(key, [])
        first = len(together)
        together += rows
        self._n_qubits[ready.program] = ready.n_qubits
        return Share(key, first, len(together), shots)

    def tasks(self) -> list[QuantumTask]:
        """The tasks, in the order in which `counts` expects their results."""
        made: list[QuantumTask] = []
        for (program, language, shots, _), rows in self._rows.items():
            for part in self._parts(rows):
                seed = None if self.seed is None else (self.seed + len(made) * _STRIDE) % 2**63
                device_id = _large_enough(self.device_id, self._n_qubits[program])
                made.append(QuantumTask(program, language, device_id, shots, part, seed, self.priority))
        return made

    def counts(self, results: Sequence[QuantumResult]) -> Answers:
        """The counts of every share."""
        at = iter(results)
        found: dict[Key, list[Counts]] = {}
        for key, rows in self._rows.items():
            found[key] = [counts for _ in self._parts(rows) for counts in next(at).counts]
        return Answers(found)

    def _parts(self, rows: list[Row]) -> Iterator[list[Row]]:
        n_parts = max(1, min(self.n_qpus, len(rows) // FEWEST_ROWS), -(-len(rows) * len(rows[0]) // MAX_VALUES))
        size = -(-len(rows) // n_parts)
        return (rows[first : first + size] for first in range(0, len(rows), size))


@dataclass(frozen=True)
class Answers:
    """Counts by share."""

    _counts: dict[Key, list[Counts]]

    def of(self, share: Share) -> list[Counts]:
        """One dict for each row that was added; what measures nothing leaves all bits 0."""
        if share.key is None:
            return [{"0": share.shots}] * (share.last - share.first)
        return self._counts[share.key][share.first : share.last]


def _large_enough(device_id: str, n_qubits: int) -> str:
    """A selector also asks for the size of the circuit; a name is a name."""
    if re.fullmatch(r"any|.*[:=,].*", device_id):
        return f"{device_id},qubits>={n_qubits}"
    return device_id
