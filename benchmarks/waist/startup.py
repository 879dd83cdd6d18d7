"""From nothing to the first result: our engines against the engines below them, and the front door's import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import parsl
from distributed import Client, LocalCluster
from parsl.config import Config

import conqure
from qpu_executors import QPU, Site, run

from ..harness import Measure, beside, in_turn, measure
from .circuit import task
from .parsl_latency import stock_htex
from .users import nothing

SITE = Site("bench", (QPU("sv0", "statevector", 7),), cpu_workers=1)


def _ours(engine: str, **options: str) -> None:
    with conqure.open_engine(engine, SITE, **options) as opened:
        opened.qpus.submit(run, task()).result()


def _htex() -> None:
    config = Config(executors=[stock_htex()], initialize_logging=False)
    with parsl.dataflow.dflow.DataFlowKernel(config) as dfk:
        parsl.python_app(nothing, data_flow_kernel=dfk)().result()


def _local_cluster() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(nothing).result()


def _import(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def measures() -> Iterable[Measure]:
    calls = {
        "threads": lambda: _ours("threads"),
        "Parsl, in process": lambda: _ours("parsl", qpu_mode="threads"),
        "Parsl, workers": lambda: _ours("parsl", qpu_mode="workers"),
        "stock HTEX": _htex,
        "Dask": lambda: _ours("dask"),
        "LocalCluster": _local_cluster,
    }
    times = in_turn(calls, rounds=3)
    for name in ("threads", "Parsl, in process", "Parsl, workers", "Dask"):
        yield measure(
            f"open, one circuit, close: {name}",
            times[name],
            "ms",
            compared_with="stock HTEX and LocalCluster with a no-op",
            note=beside(times),
        )
    times = in_turn({"import conqure": lambda: _import("conqure"), "python alone": lambda: _import("sys")}, rounds=15)
    added = [a - b for a, b in zip(times["import conqure"], times["python alone"], strict=True)]
    yield measure(
        "import conqure", added, "ms", goal=("<=", 100.0), compared_with="an interpreter that imports nothing"
    )
