"""Memory of the submitting process: with 10,000 tasks pending, and after 100,000 tasks."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager

import psutil

from conqure_parsl import open_engine
from qpu_executors import QPU, QPUThreadPool, Site, run

from ..harness import Measure, measure
from .circuit import task

PENDING, MANY, PORTION = 10_000, 100_000, 2_000
QPUS = (QPU("fake0", "fake", 7), QPU("slow0", "fake", 7, options={"delay_s": 10.0}))


def kilobytes() -> float:
    """Resident memory, once what is free has gone back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 1024


@contextmanager
def _threads() -> Iterator[Executor]:
    pool = QPUThreadPool(QPUS)
    yield pool
    pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _parsl() -> Iterator[Executor]:
    with open_engine(Site("bench", QPUS, cpu_workers=1)) as (qpus, _):
        yield qpus


def _pending(pool: Executor) -> list[float]:
    """kB per task while tasks wait, for the first and the second half of 10,000."""
    per_task, futures = [], list[Future[object]]()
    for _ in range(2):
        before = kilobytes()
        futures += [pool.submit(run, task(device_id="slow0")) for _ in range(PENDING // 2)]
        per_task.append((kilobytes() - before) / (PENDING // 2))
    for future in futures:
        future.cancel()
    return per_task


def _growth(pool: Executor) -> float:
    """kB per task kept after 100,000 tasks, from a first 10,000 on."""
    before = 0.0
    for done in range(0, MANY, PORTION):
        if done == PENDING:
            before = kilobytes()
        for future in [pool.submit(run, task(device_id="fake0")) for _ in range(PORTION)]:
            future.result()
    return (kilobytes() - before) / (MANY - PENDING)


def measures() -> Iterable[Measure]:
    pools: dict[str, Callable[[], object]] = {"thread pool": _threads, "Parsl QPU executor": _parsl}
    for name, opened in pools.items():
        with opened() as pool:  # type: ignore[attr-defined]
            kept = _growth(pool)
            first, second = _pending(pool)
        yield measure(
            f"memory per pending task, {name}",
            [first, second],
            "kB",
            note=f"first 5,000: {first:.2f} kB each, second 5,000: {second:.2f} kB each; a task's text is shared",
        )
        yield measure(
            f"memory kept per finished task over 100,000, {name}",
            [kept],
            "kB",
            goal=("<=", 0.05),
            note=f"{kept * (MANY - PENDING) / 1024:.1f} MiB in all after the first 10,000",
        )
