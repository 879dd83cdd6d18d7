"""From submit to the first result when no block is up: our executors against Parsl with its default settings."""

from __future__ import annotations

import time
from collections.abc import Iterable

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

import conqure
from qpu_executors import run

from ..harness import Measure, beside, measure, ratios
from ..waist.circuit import task
from ..waist.users import nothing
from .cluster import Cluster, cluster
from .stock import BIN

ROUNDS = 5


def ours(engine: str, here: Cluster) -> float:
    with conqure.open_engine(engine, here.site()) as opened:
        began = time.perf_counter()
        opened.qpus.submit(run, task()).result()
        return 1000 * (time.perf_counter() - began)


def stock(here: Cluster) -> float:
    """What the documentation shows, with no more than is needed to start; the first block is asked for by the task."""
    provider = SlurmProvider(
        partition="quantum", init_blocks=0, exclusive=False, worker_init=f"export PATH={BIN}:$PATH"
    )
    executor = HighThroughputExecutor(provider=provider, interchange_launch_cmd=[str(BIN / "interchange.py")])
    config = Config(executors=[executor], initialize_logging=False, run_dir=str(here.folder / "run"))
    with parsl.dataflow.dflow.DataFlowKernel(config) as dfk:
        began = time.perf_counter()
        parsl.python_app(nothing, data_flow_kernel=dfk)().result()
        return 1000 * (time.perf_counter() - began)


def measures() -> Iterable[Measure]:
    with cluster() as here:
        times: dict[str, list[float]] = {"Parsl": [], "Dask": [], "stock": []}
        for _ in range(ROUNDS):
            times["Parsl"].append(ours("parsl", here))
            times["Dask"].append(ours("dask", here))
            times["stock"].append(stock(here))
    yield measure(
        "from submit to the first result, no block up, Parsl on Slurm",
        ratios(times, "Parsl", "stock"),
        goal=("<=", 0.5),
        compared_with="a no-op on Parsl with default settings",
        note=beside(times),
    )
    yield measure(
        "from submit to the first result, no block up, Dask on Slurm",
        ratios(times, "Dask", "stock"),
        compared_with="a no-op on Parsl with default settings",
        note=beside(times),
    )
