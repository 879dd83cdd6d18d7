"""The front ends: what the way through another framework adds to a pool call, and a vendor-sized machine in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from ..harness import Measure

# part -> module in this folder; each has ``measures() -> Iterable[Measure]``
PARTS = ("front_ends", "large_machine")


def measures() -> dict[str, Callable[[], Iterable[Measure]]]:
    def part(name: str) -> Callable[[], Iterable[Measure]]:
        return lambda: import_module(f".{name}", __name__).measures()

    return {name: part(name) for name in PARTS}
