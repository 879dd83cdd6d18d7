"""OpenMP-Q: what a quantum region of a C++ program costs, and what it gains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from ..harness import Measure

# part -> module in this folder; each has ``measures() -> Iterable[Measure]``
PARTS = ("path", "paper", "engines", "scaling", "figure7", "stress")


def measures() -> dict[str, Callable[[], Iterable[Measure]]]:
    def part(name: str) -> Callable[[], Iterable[Measure]]:
        return lambda: import_module(f".{name}", __name__).measures()

    return {name: part(name) for name in PARTS}
