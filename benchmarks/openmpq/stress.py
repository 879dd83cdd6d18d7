"""64 client threads, 100,000 offloads: no error, and memory that does not grow on either side."""

from __future__ import annotations

import time
from collections.abc import Iterable

import openmpq_runtime
from qpu_executors import QPU, QPUThreadPool

from ..harness import Measure, measure
from ..waist.circuit import N_QUBITS
from ..waist.memory import kilobytes
from .program import program

THREADS, PORTIONS, OFFLOADS = 64, 10, 156  # 64 x 156 x 10 is just under 100,000; one portion goes before
MANY = THREADS * OFFLOADS * PORTIONS


def measures() -> Iterable[Measure]:
    pool = QPUThreadPool([QPU(f"fake{i}", "fake", N_QUBITS) for i in range(6)])
    with (
        pool,
        openmpq_runtime.serve(pool) as bridge,
        program("offload.cpp", environment=bridge.environment()) as offload,
    ):
        before = offload.ask(f"{OFFLOADS} {THREADS} 0")
        bridge_before, errors = kilobytes(), before["errors"]
        started = time.perf_counter()
        for _ in range(PORTIONS):
            after = offload.ask(f"{OFFLOADS} {THREADS} 0")
            errors += after["errors"]
        seconds = time.perf_counter() - started
        bridge_kb = kilobytes() - bridge_before
    yield measure(f"errors in {MANY + MANY // PORTIONS:,} offloads of 64 threads", [errors], "", goal=("<=", 0.0))
    yield measure(
        "memory kept per offload, C++ program",
        [(after["resident_kb"] - before["resident_kb"]) / MANY],
        "kB",
        goal=("<=", 0.05),
        note=f"{after['resident_kb'] / 1024:.1f} MiB at the end",
    )
    yield measure("memory kept per offload, bridge and pool", [bridge_kb / MANY], "kB", goal=("<=", 0.05))
    yield measure("throughput, 64 threads, a device that takes no time", [MANY / seconds], "offloads a second")
