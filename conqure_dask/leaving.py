"""How a worker of a job leaves: with nothing running, and with no result that is only there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from distributed.core import Status

from .jobs import WorkersJob
from .results import is_safe
from .scheduler import DaskQPUs
from .worker import LEAVE

ROOM = 2**28  # bytes of classical results that this program takes when no other classical worker is left
MARGIN_S, MARGIN = 60.0, 0.1  # so long before its walltime ends a job takes no new work, or that part of it if less


def time_is_up(job: WorkersJob, now: float) -> bool:
    """Whether a job's walltime is nearly over."""
    seconds = job.kind.group.minutes * 60
    return job.connected_at is not None and now > job.connected_at + seconds - min(MARGIN_S, MARGIN * seconds)


def is_idle(workers: Sequence[Any]) -> bool:
    return not any(worker.processing for worker in workers)


def may_end(job: WorkersJob, workers: Sequence[Any], scheduler: Any) -> bool:
    """Whether what a job's idle workers hold is elsewhere, or can be taken elsewhere."""
    if job.kind.qpu is not None:
        return all(is_safe(task) for worker in workers for task in worker.has_what)
    others = [each for each in scheduler.running if "CPU" in each.resources and each not in workers]
    only_here = (task for worker in workers for task in worker.has_what if len(task.who_has or ()) == 1)
    return bool(others) or sum(task.nbytes for task in only_here) <= ROOM


async def end_worker(scheduler: Any, workers: Sequence[Any]) -> bool:
    """Retire workers; False if one holds what nobody else can take."""
    names = [worker.address for worker in workers]
    retired = await scheduler.retire_workers(workers=names, close_workers=True, stimulus_id="conqure-give-back")
    return all(name in retired or name not in scheduler.workers for name in names)


async def leave(scheduler: Any, workers: Sequence[Any], plugin: DaskQPUs) -> None:
    """Give these workers no more tasks, ask for QPUs that they have lent, and wait until nothing runs there."""
    stimulus, began = "conqure-leave", time.time()
    for worker in workers:
        scheduler.handle_worker_status_change(Status.closing_gracefully, worker, stimulus)
        stream = scheduler.stream_comms[worker.address]
        stream.send({"op": "worker-status-change", "status": "closing_gracefully", "stimulus_id": stimulus})
        if "QPU" in worker.resources:
            stream.send({"op": LEAVE})
    while any(each.address in scheduler.workers and _runs(each, began) for each in workers):
        await asyncio.sleep(0.1)
    plugin.never_ran(task.key for worker in workers for task in worker.processing)


def _runs(worker: Any, since: float) -> bool:
    """Whether a worker says that it runs something, in a report that is newer than our request."""
    return bool(worker.processing) and (bool(worker.executing) or worker.last_seen < since + 1.0)
