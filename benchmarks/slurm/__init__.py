"""Sites on Slurm: what co-scheduling QPUs and CPUs gains, what it costs, and how it lives through faults.

Every part starts a cluster of its own with ``tools/slurm-sim``, on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from ..harness import Measure

# part -> module in this folder; each has ``measures() -> Iterable[Measure]``
PARTS = ("loops", "round_trip", "first_result", "co_allocation", "drill")


def measures() -> dict[str, Callable[[], Iterable[Measure]]]:
    def part(name: str) -> Callable[[], Iterable[Measure]]:
        return lambda: import_module(f".{name}", __name__).measures()

    return {name: part(name) for name in PARTS}
