"""Slurm's own view of a program's jobs, asked for as long as there is something to be learnt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from distributed.core import Status

from qpu_executors import SlurmError
from qpu_executors.slurm import client
from qpu_executors.slurm.client import Job

from .jobs import WorkersJob

CLOSE_TRIES = 4  # a controller that does not answer when the cluster closes; then the reaper cancels the jobs


class Queue:
    """The jobs that carry a mark.

    Args:
        jobs: those that the cluster counts on. All others with its mark are cancelled: jobs that it let go of, and
            those of an sbatch that seemed to fail.
    """

    def __init__(self, comment: str, jobs: Callable[[], Sequence[WorkersJob]]) -> None:
        self._comment, self._jobs = comment, jobs
        self._told: dict[str, Job] = {}
        self._looked_at = 0.0
        self._dropped: set[str] = set()  # perhaps not over yet

    def about(self, job: WorkersJob) -> Job | None:
        """What Slurm said last of a job."""
        return self._told.get(job.job_id or "")

    def is_over(self, job: WorkersJob) -> bool:
        """Whether Slurm says, after it has taken the job, that it is over."""
        return job.job_id is not None and self._looked_at > job.submitted_at and over(self.about(job))

    def drop(self, job: WorkersJob) -> None:
        if job.job_id:
            self._dropped.add(job.job_id)

    async def look(self, there: Iterable[str]) -> None:
        """Ask Slurm, unless all workers are there and nothing was let go of."""
        names = set(there)
        if not self._dropped and all(names.issuperset(job.worker_names) for job in self._jobs()):
            return
        began = time.monotonic()
        try:
            told = await asyncio.to_thread(client.jobs, self._comment)
            if all(job.job_id or job.error for job in self._jobs()):  # none is being submitted
                mine = {job.job_id for job in self._jobs()}
                strays = [job_id for job_id, job in told.items() if job_id not in mine and not over(job)]
                await asyncio.to_thread(client.cancel, strays)
                self._dropped = set(strays)
        except SlurmError:
            return  # it will answer again
        self._told, self._looked_at = told, began

    async def cancel_all(self) -> bool:
        """Cancel every job with the mark; whether Slurm has taken note."""
        for attempt in range(CLOSE_TRIES):
            try:
                told = await asyncio.to_thread(client.jobs, self._comment)
                await asyncio.to_thread(client.cancel, [job_id for job_id, job in told.items() if not over(job)])
            except SlurmError:
                await asyncio.sleep(attempt)
                continue
            for job in self._jobs():
                if job.job_id in told:
                    job.status = Status.closed
            return True
        return False


def over(job: Job | None) -> bool:
    """Whether a job that Slurm has known is over; Slurm forgets those that ended some minutes ago."""
    return job is None or job.ended or job.state == "COMPLETING"
