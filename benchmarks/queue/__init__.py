"""The cloud queue, beside the paper's stack: what it costs to hand in a work, to get results, and to be many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from ..harness import Measure

# part -> module in this folder; each has ``measures() -> Iterable[Measure]``
PARTS = ("create", "results", "clients", "embedded", "store", "policies", "drill")


def measures() -> dict[str, Callable[[], Iterable[Measure]]]:
    def part(name: str) -> Callable[[], Iterable[Measure]]:
        return lambda: import_module(f".{name}", __name__).measures()

    return {name: part(name) for name in PARTS}
