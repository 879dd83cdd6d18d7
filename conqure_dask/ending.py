"""How a worker in a job ends when Slurm tells it to: soon, but with its results delivered and its QPU closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import Any

from distributed import Worker
from distributed.core import Status

GRACE_S = 4.0  # for what runs; Slurm kills 30 s after its signal, and others may wait for the QPU
RETIRE_S = 2.0  # for results to be copied elsewhere
PATIENCE_S = 12.0  # then the process ends without order


def end_on_sigterm(worker: Worker, plugin: Any) -> None:
    """From now on SIGTERM means: no more tasks, finish what runs if that is soon, hand over the results, end.

    `dask worker` alone would drop results, or wait 30 s for a task whose result nobody will have.
    """
    if worker.nanny is not None or threading.current_thread() is not threading.main_thread():
        return
    loop, ends = asyncio.get_running_loop(), []

    def told(*_: Any) -> None:
        loop.call_soon_threadsafe(lambda: ends.append(loop.create_task(_end(worker, plugin))))

    signal.signal(signal.SIGTERM, told)


async def _end(worker: Worker, plugin: Any) -> None:
    if worker.status != Status.running:
        return
    threading.Thread(target=_exit_later, daemon=True).start()
    worker.status = Status.closing_gracefully
    if hasattr(plugin, "leave"):
        plugin.leave()
    deadline = asyncio.get_running_loop().time() + GRACE_S
    while worker.state.executing and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(worker.scheduler.retire_workers(workers=[worker.address], close_workers=False), RETIRE_S)
    await worker.close(executor_wait=False, reason="SIGTERM")


def _exit_later() -> None:
    threading.Event().wait(PATIENCE_S)
    os._exit(1)
