"""Six loops of twelve steps that share one QPU: all at once against one after the other, and how busy the QPU is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import parsl
from parsl.config import Config

import conqure
from qpu_executors import QuantumResult, QuantumTask, run

from ..harness import Measure, figure, measure
from ..waist.circuit import task
from .cluster import Cluster, cluster
from .stock import stock_executor

STARTS, STEPS, ROUNDS = 6, 12, 3
CLASSICAL_S = 0.3
# With circuits of 0.1 s no scheduler could be more than 3.9 times faster than one loop after the other; at 0.08 s it is
# 72 * 0.38 / (72 * 0.08 + 0.3) = 4.5.
CIRCUIT_S = 0.08


def classical(result: QuantumResult | None) -> QuantumTask:
    """The classical node: its time, and the next circuit."""
    import time

    time.sleep(CLASSICAL_S)
    return task()


def loop(qpus: Any, cpus: Any, steps: int) -> list[Future[QuantumResult]]:
    """One loop as a chain of futures; nothing is waited for."""
    circuits: list[Future[QuantumResult]] = [qpus.submit(run, task())]
    for _ in range(steps - 1):
        circuits.append(qpus.submit(run, cpus.submit(classical, circuits[-1])))
    return circuits


def together(qpus: Any, cpus: Any) -> tuple[float, float]:
    """All starts at once: seconds, and the share of them in which the QPU was busy."""
    began = time.perf_counter()
    circuits = [circuit for _ in range(STARTS) for circuit in loop(qpus, cpus, STEPS)]
    results = [circuit.result() for circuit in circuits]
    wall = time.perf_counter() - began
    held = max(r.ended_at for r in results) - min(r.started_at for r in results)
    return wall, 100 * sum(r.run_s for r in results) / held


def one_by_one(qpus: Any, cpus: Any) -> float:
    began = time.perf_counter()
    for _ in range(STARTS):
        loop(qpus, cpus, STEPS)[-1].result()
    return time.perf_counter() - began


def warm_up(qpus: Any, cpus: Any) -> None:
    """Until all jobs run and all workers have imported what they need."""
    for future in [cpus.submit(classical, None) for _ in range(24)] + [qpus.submit(run, task()) for _ in range(3)]:
        future.result()


def stock_graph(here: Cluster) -> tuple[float, float]:
    """The same graph as somebody writes it on Parsl's own executors: seconds, and the QPU's busy share."""
    executors = [stock_executor("cpu", here, workers=2, max_blocks=3), stock_executor("qpu", here, workers=1)]
    config = Config(executors=executors, strategy_period=1, initialize_logging=False, run_dir=str(here.folder / "run"))
    with parsl.dataflow.dflow.DataFlowKernel(config) as dfk:
        step = parsl.python_app(stock_step, data_flow_kernel=dfk, executors=["cpu"])
        circuit = parsl.python_app(stock_circuit, data_flow_kernel=dfk, executors=["qpu"])
        for future in [step(None) for _ in range(24)] + [circuit(None)]:
            future.result()
        began = time.perf_counter()
        futures = []
        for _ in range(STARTS):
            state = None
            for _ in range(STEPS):
                futures.append(circuit(state))
                state = step(futures[-1])
        spans = [future.result() for future in futures]
        wall = time.perf_counter() - began
    return wall, 100 * STARTS * STEPS * CIRCUIT_S / (max(e for _, e in spans) - min(b for b, _ in spans))


def stock_step(_: Any, seconds: float = CLASSICAL_S) -> None:
    import time

    time.sleep(seconds)


def stock_circuit(_: Any, seconds: float = CIRCUIT_S) -> tuple[float, float]:
    import time

    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def measures() -> Iterable[Measure]:
    with cluster() as here:
        site = here.site(CIRCUIT_S)
        gains, shares = [], []
        with conqure.open_engine("parsl", site) as engine:
            warm_up(engine.qpus, engine.cpus)
            for _ in range(ROUNDS):
                alone = one_by_one(engine.qpus, engine.cpus)
                wall, busy = together(engine.qpus, engine.cpus)
                gains.append(alone / wall)
                shares.append(busy)
        stock_wall, stock_busy = stock_graph(here)
        note = f"one by one {figure(alone)} s, at once {figure(wall)} s; by hand on HTEX {figure(stock_wall)} s"
        yield measure(
            "six starts at once, Parsl on Slurm",
            gains,
            goal=(">=", 4.4),
            compared_with="one start at a time",
            note=note,
        )
        yield measure(
            "QPU busy, six starts at once, Parsl on Slurm",
            shares,
            "%",
            goal=(">=", 90.0),
            compared_with=f"the same graph by hand on stock HTEX: {figure(stock_busy)} %",
        )
        with conqure.open_engine("dask", site) as engine:
            warm_up(engine.qpus, engine.cpus)
            runs = [together(engine.qpus, engine.cpus) for _ in range(ROUNDS)]
        yield measure(
            "QPU busy, six starts at once, Dask on Slurm",
            [busy for _, busy in runs],
            "%",
            goal=(">=", 85.0),
            compared_with="a hand-written graph on distributed: 66 %",
            note=f"at once {figure(runs[-1][0])} s",
        )
