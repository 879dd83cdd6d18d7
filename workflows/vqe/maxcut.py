"""Max-Cut: split the vertices of a graph in two so that the edges between the parts weigh most.

Qubit i stands for vertex i, its value for the part. The energy is minus the expected weight of the cut:
``H = Σ w/2 (Z Z - 1)`` over the edges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InvalidProblem
from .graph_files import read_graph
from .pauli import Bits, Floats, PauliSum, read_counts

EXACT_VERTICES = 24  # enumeration: 2**23 partitions, a few seconds
MAX_VERTICES = 2000


@dataclass(frozen=True)
class MaxCut:
    """A weighted undirected graph whose maximum cut is wanted.

    Attributes:
        vertices: names, in the order of the qubits.
        edges: (i, j, weight), i < j as positions in ``vertices``, each pair once.

    >>> MaxCut.of("triangle", [(0, 1), (1, 2), (0, 2)]).exact_cut()
    2.0
    """

    name: str
    vertices: tuple[str, ...]
    edges: tuple[tuple[int, int, float], ...]

    unit = "cut weight"
    ansatz = "listing2"

    @classmethod
    def of(cls, name: str, edges: Iterable[Any], vertices: Iterable[Any] = ()) -> MaxCut:
        """From edges ``(u, v)`` or ``(u, v, weight)``; vertices without an edge must be named.

        Raises:
            InvalidProblem: an edge twice, from a vertex to itself, or with a weight that is no finite number.
        """
        found = [_edge(name, edge) for edge in edges]
        labels = [str(v) for v in vertices] + sorted({v for u, w, _ in found for v in (u, w)}, key=_natural)
        place = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        weights: dict[tuple[int, int], float] = {}
        for u, v, weight in found:
            pair = (min(place[u], place[v]), max(place[u], place[v]))
            if pair in weights:
                raise InvalidProblem(
                    f"{name}: edge {u}-{v} is there twice. Give each edge once, with its total weight."
                )
            weights[pair] = weight
        if not weights or len(place) > MAX_VERTICES:
            raise InvalidProblem(
                f"{name} has {len(place)} vertices and {len(weights)} edges; "
                f"it needs at least one edge and at most {MAX_VERTICES} vertices."
            )
        return cls(name, tuple(place), tuple((i, j, w) for (i, j), w in weights.items()))

    @classmethod
    def read(cls, source: str | Path) -> MaxCut:
        """A shipped graph by name, or a file: lines ``u v [weight]``, or networkx's JSON (node-link or adjacency).

        >>> len(MaxCut.read("maxcut7").edges)
        11
        """
        return cls.of(*read_graph(source))

    @classmethod
    def random(cls, seed: int, vertices: int = 7, chance: float = 0.5, weighted: bool = False) -> MaxCut:
        """A connected random graph: each edge there with a chance; weights uniform from 0.1 to 1, or all 1."""
        rng = np.random.default_rng(seed)
        i, j = np.triu_indices(vertices, 1)
        while True:
            present = rng.random(len(i)) < chance
            weights = rng.uniform(0.1, 1.0, len(i)).round(3) if weighted else np.ones(len(i))
            edges = [(int(a), int(b), float(w)) for a, b, w, here in zip(i, j, weights, present, strict=True) if here]
            if _is_connected(vertices, edges):
                return cls.of(f"random{vertices}-{seed}", edges, range(vertices))

    @cached_property
    def hamiltonian(self) -> PauliSum:
        n, terms = len(self.vertices), []
        for i, j, weight in self.edges:
            terms.append(("".join("Z" if q in (i, j) else "I" for q in range(n)), weight / 2))
        return PauliSum(n, tuple(terms), -sum(weight for _, _, weight in self.edges) / 2)

    def cut(self, bits: Bits) -> Floats:
        """Weight of the cut for partitions of shape (n, n_vertices)."""
        total = np.zeros(len(bits))
        for i, j, weight in self.edges:
            total += weight * (bits[:, i] ^ bits[:, j])
        return total

    @cached_property
    def _exact(self) -> float | None:
        return None if len(self.vertices) > EXACT_VERTICES else max(float(c.max()) for c in self._all_cuts())

    def exact_cut(self) -> float | None:
        """The maximum cut, by enumeration of all partitions; None above 24 vertices."""
        return self._exact

    def exact_energy(self) -> float | None:
        return None if self._exact is None else -self._exact

    def is_maximum(self, bits: Bits) -> NDArrayBool | None:
        """Which partitions, shape (n, n_vertices), are maximum cuts; None where the maximum is not known."""
        if self._exact is None:
            return None
        scale = sum(abs(weight) for _, _, weight in self.edges)
        return self.cut(bits) >= self._exact - 1e-9 * scale

    def mass_on_optimum(self, counts: Mapping[str, int]) -> float | None:
        if not counts:
            return None
        bits, numbers = read_counts(counts)
        optimal = self.is_maximum(bits)
        return None if optimal is None else float(numbers[optimal].sum() / numbers.sum())

    def describe(self, bitstring: str, exact: float | None = None) -> str:
        bits = read_counts({bitstring: 1})[0]
        sides = [[v for v, bit in zip(self.vertices, bits[0], strict=True) if bit == side] for side in (0, 1)]
        most = "" if exact is None else f" of at most {-exact:g}"
        return f"cut {self.cut(bits)[0]:g}{most}: {' | '.join(' '.join(side) for side in sides)}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "maxcut",
            "name": self.name,
            "vertices": list(self.vertices),
            "edges": [list(edge) for edge in self.edges],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MaxCut:
        return cls(values["name"], tuple(values["vertices"]), tuple((i, j, w) for i, j, w in values["edges"]))

    def _all_cuts(self, at_a_time: int = 2**18) -> Iterator[Floats]:
        """Cuts of all partitions with the last vertex in part 0 (the others are mirror images), in portions."""
        n = len(self.vertices)
        for first in range(0, 1 << (n - 1), at_a_time):
            index = np.arange(first, min(first + at_a_time, 1 << (n - 1)))
            yield self.cut((index[:, None] >> np.arange(n) & 1).astype(np.uint8))


NDArrayBool = np.ndarray[Any, np.dtype[np.bool_]]


def _edge(name: str, edge: Any) -> tuple[str, str, float]:
    u, v, *rest = edge
    if str(u) == str(v):
        raise InvalidProblem(f"{name}: edge {u}-{v} joins a vertex to itself, which no cut can separate. Remove it.")
    weight = rest[0] if rest else 1.0
    if isinstance(weight, Mapping):  # networkx: G.edges(data=True), and what write_edgelist writes
        weight = weight.get("weight", 1.0)
    try:
        number = float(weight)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidProblem(f"{name}: edge {u}-{v} has the weight {weight!r}; it must be a finite number.")
    return str(u), str(v), number


def _natural(label: str) -> tuple[bool, int, str]:
    """Numbers by value, before words."""
    return (False, int(label), label) if label.isdecimal() else (True, 0, label)


def _is_connected(n: int, edges: list[tuple[int, int, float]]) -> bool:
    part = list(range(n))
    for i, j, _ in edges:
        part = [part[i] if p == part[j] else p for p in part]
    return len(set(part)) == 1
