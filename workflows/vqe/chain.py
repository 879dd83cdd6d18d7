"""One start as the client sees it: where its chain of links is."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from qpu_executors import QuantumResult, QuantumTask

from .nodes import Stepped
from .pauli import Floats, Group
from .result import Start
from .search import Search


@dataclass(eq=False)
class Chain:
    """Where one start is.

    Attributes:
        points: of the present link; number: the link's, from 0; evaluations: points measured in the links before.
        inputs: the present link's circuits: futures, or results that the log had.
        submitted_at: when the step of this link was submitted, seconds since the epoch.
        unseen: circuits of this link whose end this process has not seen.
        failed: why the step failed, kept until all circuits have been seen.
    """

    start: int
    search: Search
    points: Floats
    number: int = 0
    evaluations: int = 0
    last: bool = False
    done: bool = False
    tasks: list[QuantumTask] = field(default_factory=list)
    inputs: list[Future[QuantumResult] | QuantumResult] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)  # number of a task, -1 for the step -> times submitted
    submitted_at: float = 0.0
    unseen: int = 0
    node: Future[Stepped] | None = None
    failed: BaseException | None = None
    history: list[tuple[int, float, float]] = field(default_factory=list)

    def results(self) -> list[QuantumResult]:
        """What the circuits of the present link gave; they are over."""
        return [each.result() if isinstance(each, Future) else each for each in self.inputs]

    def advance(self, stepped: Stepped) -> None:
        """Take in what the step of the present link gave: go to the next link, or to the end."""
        self.search, self.done = stepped.search, self.last
        self.evaluations += len(self.points)
        seen = (stepped.energies[0], stepped.errors[0]) if self.last else (self.search.energy, self.search.error)
        self.history.append((self.evaluations, float(seen[0]), float(seen[1])))
        self.number += 1
        self.last = not len(stepped.asked)
        self.points = self.search.point[None] if self.last else stepped.asked

    def finished(self, results: Sequence[QuantumResult], groups: Sequence[Group]) -> Start:
        """What the start came to; ``results`` are those of the last link, which measured the final state."""
        _, energy, error = self.history[-1]
        in_z = [r.counts[0] for r, group in zip(results, groups, strict=True) if set(group.basis) <= {"Z", "I"}]
        counts = in_z[0] if in_z else {}
        mode = max(counts, key=lambda bits: (counts[bits], bits)) if counts else None
        return Start(
            self.start,
            tuple(self.history),
            self.search.parameters,
            energy,
            error,
            bitstring=mode,
            share=counts[mode] / sum(counts.values()) if mode else None,
            counts=counts,
        )
