"""How good the answers are: many random graphs, each judged by the final state of its best start.

"The best cut ever sampled" says nothing on seven vertices, where a hundred random bit strings contain a maximum cut
nine times out of ten. So a run is judged by its final state: whether the most frequent bit string is a maximum
cut, the share of the shots that are one, and the measured cut over the maximum. The best start is the one with the
lowest measured energy; the exact solution takes no part in choosing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median
from typing import Any

from .maxcut import MaxCut
from .pauli import read_counts
from .solve import solve

FIRST_SEED = 1000  # of the fixed set of random graphs


@dataclass(frozen=True)
class Judgement:
    """One graph's best start. ``solved``: its mode is a maximum cut; ``ratio``: measured cut over the maximum."""

    graph: str
    solved: bool
    ratio: float
    mass: float
    evaluations: int


def random_graphs(number: int = 50, vertices: int = 7, weighted: bool = False) -> Iterator[MaxCut]:
    """A fixed set of connected random graphs, each edge there with probability one half."""
    return (MaxCut.random(FIRST_SEED + i, vertices, weighted=weighted) for i in range(number))


def judge(graphs: Iterable[MaxCut], qpus: Executor, cpus: Executor, **settings: Any) -> Iterator[Judgement]:
    """Solve each graph with `solve` and judge it; ``settings`` are those of `solve`, the seed is each graph's number.

    >>> found = list(judge(random_graphs(50), engine.qpus, engine.cpus, starts=6, shots=100))
    >>> summary(found)["solved"]
    """
    for number, graph in enumerate(graphs):
        result = solve(graph, qpus=qpus, cpus=cpus, **{"seed": number, **settings})
        best, maximum = result.best, graph.exact_cut()
        if maximum is None or best.bitstring is None or best.mass is None:
            raise ValueError(f"{graph.name} is too large to be judged: its maximum cut is not known.")
        optimal = graph.is_maximum(read_counts({best.bitstring: 1})[0])
        solved = optimal is not None and bool(optimal[0])
        yield Judgement(graph.name, solved, -best.energy / maximum, best.mass, best.evaluations)


def summary(found: Iterable[Judgement]) -> dict[str, float]:
    """Graphs solved, of how many, the medians of ratio and mass, and the most evaluations a start took."""
    judged = list(found)
    return {
        "graphs": len(judged),
        "solved": sum(one.solved for one in judged),
        "median_ratio": median(one.ratio for one in judged),
        "median_mass": median(one.mass for one in judged),
        "evaluations": max(one.evaluations for one in judged),
    }
