"""The waist and its two engines: what our layers add to the engines and to the devices below them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from ..harness import Measure

# part -> module in this folder; each has ``measures() -> Iterable[Measure]``
PARTS = (
    "simulators",
    "iteration",
    "throughput",
    "parsl_latency",
    "dask_latency",
    "starts",
    "circuits",
    "memory",
    "quality",
    "startup",
)


def measures() -> dict[str, Callable[[], Iterable[Measure]]]:
    def part(name: str) -> Callable[[], Iterable[Measure]]:
        return lambda: import_module(f".{name}", __name__).measures()

    return {name: part(name) for name in PARTS}
