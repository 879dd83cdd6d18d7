"""What the timeline shows, as numbers: a lane for each QPU and each classical worker, and what was on it when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from .jobs import Span, union
from .ran import Circuit, Node, Step

N = TypeVar("N", bound=Node)


@dataclass
class Lane:
    """One row of the timeline.

    Attributes:
        nodes: what ran here. waits: when some of it could have run and waited.
        held: which job of Slurm had it from when to when, as far as the nodes show.
    """

    name: str
    nodes: Sequence[Node] = field(default_factory=list)
    waits: list[Span] = field(default_factory=list)
    held: list[tuple[str, Span]] = field(default_factory=list)


def quantum_lanes(circuits: Sequence[Circuit]) -> list[Lane]:
    """A lane for each QPU, by name."""
    of_qpu = _grouped((circuit.device_id, circuit) for circuit in circuits)
    return [Lane(name, ran, _waits(ran), list(_held(ran).items())) for name, ran in sorted(of_qpu.items())]


def classical_lanes(steps: Sequence[Step], wakes: Sequence[Step]) -> list[Lane]:
    """A lane for each worker, by group; a worker of a later job takes the lane of one whose job has ended.

    ``wakes`` are no steps, but they say when their jobs began and how long it took.
    """
    seen = [*steps, *(wake for wake in wakes if wake.job)]
    of_job, of_worker = _held(seen), _grouped((step.worker, step) for step in seen)
    counted = set(map(id, steps))
    lanes: dict[str, list[Lane]] = defaultdict(list)  # by group
    for worker in sorted(of_worker, key=lambda name: (of_job.get(of_worker[name][0].job, (0.0, 0.0)), name)):
        ran = of_worker[worker]
        job, group = ran[0].job, ran[0].group or "worker"
        span = of_job.get(job, (-inf, inf))
        lane = next((each for each in lanes[group] if each.held and each.held[-1][1][1] <= span[0]), None)
        if lane is None:
            lane = Lane(f"{group} {len(lanes[group])}")
            lanes[group].append(lane)
        lane.nodes = [*lane.nodes, *(step for step in ran if id(step) in counted)]
        lane.waits = union([*lane.waits, *_waits(ran)])
        lane.held += [(job, span)] if job else []
    return [lane for group in sorted(lanes) for lane in lanes[group]]


def _grouped(pairs: Iterable[tuple[str, N]]) -> dict[str, list[N]]:
    found: dict[str, list[N]] = defaultdict(list)
    for key, node in pairs:
        found[key].append(node)
    return found


def _waits(nodes: Iterable[Node]) -> list[Span]:
    return union((node.queued_at, node.started_at) for node in nodes if node.queued_at is not None)


def _held(nodes: Iterable[Node]) -> dict[str, Span]:
    """By job: from its first node to its last."""
    of_job = _grouped((node.job, node) for node in nodes if node.job)
    spans = {job: (min(n.started_at for n in ran), max(n.ended_at for n in ran)) for job, ran in of_job.items()}
    return dict(sorted(spans.items(), key=lambda item: item[1]))
