"""Parsl and Dask as they come, on the same cluster: what the figures are compared with."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed import Client
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher
from parsl.providers import SlurmProvider

from .cluster import Cluster

BIN = Path(sys.executable).parent


def stock_executor(kind: str, here: Cluster, workers: int, max_blocks: int = 1) -> HighThroughputExecutor:
    """`HighThroughputExecutor` on `SlurmProvider`, with all that one must say to make it start here."""
    provider = SlurmProvider(
        partition="quantum" if kind == "qpu" else "cpu",
        gres="qpu:ion:1" if kind == "qpu" else None,
        cores_per_node=workers,
        mem_per_node=1,
        init_blocks=max_blocks,
        max_blocks=max_blocks,
        walltime="00:20:00",
        exclusive=False,
        launcher=SingleNodeLauncher(),
        worker_init=f"export PATH={BIN}:$PATH PYTHONPATH={Path(__file__).parents[2]}",
    )
    return HighThroughputExecutor(
        label=kind,
        provider=provider,
        max_workers_per_node=workers,
        address="127.0.0.1",
        encrypted=False,
        interchange_launch_cmd=[str(BIN / "interchange.py")],
        launch_cmd=None,
    )


@contextlib.contextmanager
def stock_dask(here: Cluster) -> Iterator[Client]:
    """One worker in a job, by dask-jobqueue."""
    with (
        SLURMCluster(
            queue="cpu",
            cores=1,
            memory="500MB",
            walltime="00:20:00",
            interface="lo",
            log_directory=str(here.folder / "dask-logs"),
            python=sys.executable,
            scheduler_options={"dashboard_address": ":0"},
            job_script_prologue=[f"export PYTHONPATH={Path(__file__).parents[2]}"],
        ) as stock,
        Client(stock) as client,
    ):
        stock.scale(jobs=1)
        client.wait_for_workers(1, timeout=60)
        yield client
