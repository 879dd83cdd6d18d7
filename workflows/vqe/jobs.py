"""The jobs of Slurm that a run used: which job held which QPU from when to when, as far as the records show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .ran import Circuit, Node, Step

Span = tuple[float, float]


@dataclass(frozen=True)
class JobUse:
    """One job of Slurm. It was longer than this: what it did before its first node and after its last is not known.

    Attributes:
        device_id: the QPU that it held, or empty. group: the group of a classical job.
        started_at, ended_at: of the first and the last node that ran in it, seconds since the epoch.
        nodes: circuits or steps. busy_s: seconds in which at least one of them ran.
    """

    job: str
    device_id: str
    group: str
    started_at: float
    ended_at: float
    nodes: int
    busy_s: float

    @property
    def held_s(self) -> float:
        return self.ended_at - self.started_at

    @property
    def name(self) -> str:
        """What people call it: the QPU's name or the group's."""
        return self.device_id or self.group

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def job_uses(nodes: Iterable[Node]) -> list[JobUse]:
    """What the nodes say about their jobs, in the order these began; nodes without a job say nothing."""
    found: dict[tuple[str, str, str], list[Node]] = {}
    for node in nodes:
        if node.job:
            device_id = node.device_id if isinstance(node, Circuit) else ""
            group = node.group if isinstance(node, Step) else ""
            found.setdefault((node.job, device_id, group), []).append(node)
    return sorted((_use(key, ran) for key, ran in found.items()), key=lambda use: use.started_at)


def _use(key: tuple[str, str, str], ran: Sequence[Node]) -> JobUse:
    spans = union((node.started_at, node.ended_at) for node in ran)
    return JobUse(*key, spans[0][0], spans[-1][1], len(ran), sum(end - begin for begin, end in spans))


def union(spans: Iterable[Span]) -> list[Span]:
    """The same times without overlaps, in order.

    >>> union([(3, 4), (0, 2), (1, 3)])
    [(0, 4)]
    """
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged
