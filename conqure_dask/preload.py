"""For workers started by command line or job script; on one machine `cluster` does all this.

``dask worker ADDRESS --nthreads 1 --resources "QPU=1,QPU:ion0=1,…" --preload conqure_dask.preload --qpu JSON``, where
`worker_arguments` writes everything after the address.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import click
from distributed import Worker, proctitle

from qpu_executors import QPU

from .ending import end_on_sigterm
from .resources import offered
from .worker import HoldQPU, QuickWorker, qpu_as_json, qpu_from_json

NODE = "slurm-node"  # what a worker tells the scheduler about itself when it joins


def worker_arguments(qpu: QPU | None, name: str, nthreads: int = 1) -> list[str]:
    """What to write after ``dask worker ADDRESS`` for a worker that holds this QPU, or for a classical one.

    >>> worker_arguments(None, "cpu0", 4)[:6]
    ['--name', 'cpu0', '--nthreads', '4', '--resources', 'CPU=4']
    """
    resources = offered(qpu) if qpu else {"CPU": nthreads}
    text = ",".join(f"{resource}={amount:g}" for resource, amount in resources.items())
    arguments = ["--name", name, "--nthreads", str(1 if qpu else nthreads), "--resources", text]
    arguments += ["--preload", "conqure_dask.preload"]
    return arguments + (["--qpu", qpu_as_json(qpu)] if qpu else [])


@click.command()
@click.option("--qpu", default=None, help="the QPU this worker holds, as JSON")
async def dask_setup(worker: Worker, qpu: str | None) -> None:
    """Dask calls this when the worker starts. One whose QPU does not open ends, with its driver's message."""
    os.environ["CONQURE_WORKER"] = "dask"
    if "SLURM_JOB_ID" in os.environ:
        _keep_a_plain_name()
        worker.startup_information[NODE] = lambda _: os.environ.get("SLURMD_NODENAME")
    plugin = HoldQPU(qpu_from_json(qpu)) if qpu else QuickWorker()
    end_on_sigterm(worker, plugin)
    # Not `plugin_add`: Dask only logs what is raised here, and the worker would join without its QPU.
    worker._pending_plugins = (*worker._pending_plugins, plugin)


def _keep_a_plain_name() -> None:
    """Slurm without cgroups does not find a process with a space in its name, to end it; Dask would give it one."""
    proctitle.setproctitle_mod = None
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("dask-worker")
