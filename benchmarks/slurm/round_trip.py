"""One quantum task that does nothing, once the jobs run: what our way costs against the engine below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import parsl
from parsl.config import Config

import conqure
from qpu_executors import run

from ..harness import Measure, beside, in_turn, measure, ratios
from ..waist.circuit import task
from ..waist.users import nothing
from .cluster import cluster
from .stock import stock_dask, stock_executor

ROUNDS, REPEAT = 7, 30


def measures() -> Iterable[Measure]:
    with cluster() as here:
        site = here.site()
        config = Config(
            executors=[stock_executor("cpu", here, workers=1)],
            initialize_logging=False,
            run_dir=str(here.folder / "run"),
        )
        with parsl.dataflow.dflow.DataFlowKernel(config) as dfk, conqure.open_engine("parsl", site) as engine:
            call = parsl.python_app(nothing, data_flow_kernel=dfk)
            yield against(engine, "Parsl", "HTEX", call)
        with stock_dask(here) as client, conqure.open_engine("dask", site) as engine:
            yield against(engine, "Dask", "distributed", lambda: client.submit(nothing, pure=False))


def against(engine: conqure.Engine, name: str, stock: str, call: Callable[[], Any]) -> Measure:
    """A quantum task on our engine in turn with a no-op on what it stands on."""
    bare = f"bare {stock}"
    calls = {
        "quantum task": lambda: engine.qpus.submit(run, task()).result(),
        bare: lambda: call().result(),
    }
    times = in_turn(calls, ROUNDS, REPEAT)
    return measure(
        f"round trip of a quantum task, {name} on Slurm",
        ratios(times, "quantum task", bare),
        goal=("<=", 1.2),
        compared_with=f"a no-op on {bare} on Slurm",
        note=beside(times),
    )
