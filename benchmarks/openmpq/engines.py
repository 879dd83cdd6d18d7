"""What the engines add to an offload, beside what they cost a Python program that uses the same pool."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial

import conqure
import openmpq_runtime
from qpu_executors import QPU, Site, run

from ..harness import Measure, beside, measure, milliseconds, ratios
from ..waist.circuit import N_QUBITS, task
from .program import Program, program

ROUNDS, OFFLOADS = 15, 40
SITE = Site("bench", (QPU("sv0", "statevector", N_QUBITS),), cpu_workers=1)
# name -> engine, options
ENGINES: dict[str, tuple[str, dict[str, str]]] = {
    "threads": ("threads", {}),
    "Parsl, in process": ("parsl", {"qpu_mode": "threads"}),
    "Parsl, workers": ("parsl", {"qpu_mode": "workers"}),
    "Parsl, HTEX": ("parsl", {"qpu_mode": "htex"}),
    "Dask": ("dask", {}),
}


def bare(pool: Executor) -> Callable[[], float]:
    """The median of some round trips of a Python program, ms."""
    return lambda: statistics.median(milliseconds(lambda: pool.submit(run, task()).result()) for _ in range(OFFLOADS))


def measures() -> Iterable[Measure]:
    for name, (engine, options) in ENGINES.items():
        yield from _one(name, engine, options)


def _one(name: str, engine: str, options: dict[str, str]) -> Iterable[Measure]:
    """One engine beside the thread pool, and no other: idle engines wake up now and then, too."""
    with ExitStack() as stack:
        pools = {
            kind: stack.enter_context(conqure.open_engine(kind, SITE, **chosen)).qpus
            for kind, chosen in {"threads": {}, engine: options}.items()
        }
        calls = {"Python": bare(pools[engine])}
        for kind, pool in pools.items():
            bridge = stack.enter_context(openmpq_runtime.serve(pool))
            offload = stack.enter_context(program("offload.cpp", environment=bridge.environment()))
            calls[f"C++, {kind}"] = partial(_milliseconds, offload)
        rounds = [{key: call() for key, call in calls.items()} for _ in range(ROUNDS + 1)][1:]  # one to warm up
    times = {key: [each[key] for each in rounds] for key in calls}
    yield measure(
        f"an offload from C++, {name}, as a multiple of a Python program's round trip",
        ratios(times, f"C++, {engine}", "Python"),
        compared_with="the same circuit from Python on the same pool",
        note=beside(times),
    )
    if engine != "threads":
        added = [a - b for a, b in zip(times[f"C++, {engine}"], times["C++, threads"], strict=True)]
        yield measure(
            f"what {name} adds to an offload over the thread pool",
            [a / bare for a, bare in zip(added, times["Python"], strict=True)],
            goal=("<=", 1.2),
            compared_with="a bare round trip of that engine from Python",
            note=f"{statistics.median(added):.2f} ms added",
        )


def _milliseconds(offload: Program) -> float:
    return statistics.median(offload.microseconds(OFFLOADS)) / 1e3
