"""For workers started by command line or job script; on one machine `cluster` does all this.

``dask worker ADDRESS --nthreads 1 --resources "QPU=1,QPU:ion0=1,…" --preload conqure_dask.preload --qpu JSON``, where
`worker_arguments` writes everything after the address.
"""

from __future__ import annotations

import os

import click
from distributed import Worker

from qpu_executors import QPU, ConqureError

from .resources import offered
from .worker import HoldQPU, QuickWorker, qpu_as_json, qpu_from_json


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
    """Dask calls this when the worker has started. A worker whose QPU does not open ends."""
    os.environ["CONQURE_WORKER"] = "dask"
    if qpu is None:
        await worker.plugin_add(QuickWorker(), catch_errors=False)
        return
    try:
        await worker.plugin_add(HoldQPU(qpu_from_json(qpu)), catch_errors=False)
    except ConqureError as error:
        await worker.close(nanny=True, reason=str(error))
        raise
