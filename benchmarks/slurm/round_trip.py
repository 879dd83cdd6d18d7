"""One quantum task that does nothing, once the jobs run: what our way costs against the engine below it."""

from __future__ import annotations

from collections.abc import Iterable

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
            bare = parsl.python_app(nothing, data_flow_kernel=dfk)
            calls = {
                "quantum task": lambda: engine.qpus.submit(run, task()).result(),
                "bare HTEX": lambda: bare().result(),
            }
            times = in_turn(calls, ROUNDS, REPEAT)
        yield measure(
            "round trip of a quantum task, Parsl on Slurm",
            ratios(times, "quantum task", "bare HTEX"),
            goal=("<=", 1.2),
            compared_with="a no-op on bare HTEX on Slurm",
            note=beside(times),
        )
        with stock_dask(here) as client, conqure.open_engine("dask", site) as engine:
            calls = {
                "quantum task": lambda: engine.qpus.submit(run, task()).result(),
                "bare distributed": lambda: client.submit(nothing, pure=False).result(),
            }
            times = in_turn(calls, ROUNDS, REPEAT)
        yield measure(
            "round trip of a quantum task, Dask on Slurm",
            ratios(times, "quantum task", "bare distributed"),
            goal=("<=", 1.2),
            compared_with="a no-op on bare distributed on Slurm",
            note=beside(times),
        )
