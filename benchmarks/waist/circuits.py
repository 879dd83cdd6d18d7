"""64 seven-qubit circuits on two emulated QPUs of 20 ms: milliseconds per circuit, ideal 10."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

import parsl
from distributed import Client, LocalCluster
from parsl.config import Config

import conqure
from qpu_executors import QPU, Site, run

from ..harness import Measure, beside, in_turn, measure
from .circuit import task
from .parsl_latency import stock_htex
from .users import by_hand

N_CIRCUITS, CALL_S = 64, 0.02
QPUS = tuple(QPU(f"ion{i}", "emulated", 7, options={"driver": "statevector", "job_s": CALL_S}) for i in range(2))


def by_hand_20ms(angle: float) -> Any:
    """A hand-written QPU: run the circuit, then wait until 20 ms are over."""
    started = time.perf_counter()
    counts = by_hand(angle)
    time.sleep(max(0.0, CALL_S - (time.perf_counter() - started)))
    return counts


def _ours(pool: Executor) -> Callable[[], object]:
    return lambda: [f.result() for f in [pool.submit(run, task()) for _ in range(N_CIRCUITS)]]


def _dask_by_hand(stack: ExitStack) -> Callable[[], object]:
    """Two worker processes with one thread and a resource each, as the Dask documentation does it."""
    local = stack.enter_context(
        LocalCluster(n_workers=2, threads_per_worker=1, resources={"QPU": 1}, dashboard_address=None)
    )
    client = stack.enter_context(Client(local))

    def call() -> object:
        futures = [client.submit(by_hand_20ms, 0.3, pure=False, resources={"QPU": 1}) for _ in range(N_CIRCUITS)]
        return client.gather(futures)

    return call


def measures() -> Iterable[Measure]:
    site = Site("bench", QPUS, cpu_workers=1)
    with ExitStack() as stack:
        calls = {}
        for engine, options in (("threads", {}), ("parsl", {}), ("dask", {})):
            opened = stack.enter_context(conqure.open_engine(engine, site, **options))
            calls[engine] = _ours(opened.qpus)
        calls["Dask by hand"] = _dask_by_hand(stack)
        htex = stock_htex()
        htex.max_workers_per_node = 2
        dfk = stack.enter_context(
            parsl.dataflow.dflow.DataFlowKernel(Config(executors=[htex], initialize_logging=False))
        )
        app = parsl.python_app(executors=["htex"], data_flow_kernel=dfk)(by_hand_20ms)
        calls["HTEX by hand"] = lambda: [f.result() for f in [app(0.3) for _ in range(N_CIRCUITS)]]
        times = in_turn(calls, rounds=7)
    per_circuit = {name: [ms / N_CIRCUITS for ms in values] for name, values in times.items()}
    for name in ("threads", "parsl", "dask"):
        yield measure(
            f"per circuit, 64 circuits on two QPUs of 20 ms, {name}",
            per_circuit[name],
            "ms",
            goal=("<=", 11.0),
            compared_with="Dask and HTEX written by hand",
            note=beside(per_circuit),
        )
