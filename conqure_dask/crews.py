"""A crew: the jobs of one kind that there are, how many there should be, and why there can be none for now."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from qpu_executors import NoSlurm, SlurmError, SlurmUnavailable
from qpu_executors.slurm.blame import blame, where
from qpu_executors.slurm.client import Job
from qpu_executors.slurm.reasons import explain, is_hopeless

from .jobs import Kind, WorkersJob

MOST_FAILURES = (
    3  # jobs in a row that ended before they had a worker; then tasks fail, with the end of the last one's log
)
REFUSED_S = 10.0  # after Slurm's no, this long nobody asks again; tasks that come meanwhile get the same answer
PAUSES_S = (1.0, 2.0, 5.0, 10.0)  # between two attempts while Slurm does not answer
AVOID_S = 120.0  # Slurm may need minutes to see that a node is dead
AWAY_S = 6.0  # all workers of a job may be away for so long, where a nanny starts them again
NOT_ITS_FAULT = {"CANCELLED", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"}  # the next job may do better


@dataclass
class Crew:
    """See the module.

    Attributes:
        least, most: jobs, as the site file or the program says.
        refusal: what tasks fail with that only this crew could run; until ``refused_until`` (monotonic).
    """

    kind: Kind
    site_file: Path | None = None
    least: int = 0
    most: int = 0
    jobs: dict[str, WorkersJob] = field(default_factory=dict)
    refusal: SlurmError | None = None
    refused_until: float = -math.inf
    trouble: str | None = None
    _avoided: dict[str, float] = field(default_factory=dict)
    _number: int = 0
    _failures: int = 0
    _unanswered: int = 0
    _asks_again: float = -math.inf

    def __post_init__(self) -> None:
        self.least, self.most = self.kind.least, self.kind.most

    @property
    def staying(self) -> list[WorkersJob]:
        return [job for job in self.jobs.values() if not job.leaves]

    def limit(self, least: int | None, most: int | None) -> None:
        """Set the range; `ValueError` if the site file does not allow it."""
        least, most = self.least if least is None else least, self.most if most is None else most
        if not 0 <= least <= most <= self.kind.most:
            who = "a QPU has" if self.kind.qpu else f"'jobs' of [group.{self.kind.name}] says"
            raise ValueError(f"{self.kind.name!r} cannot have {least} to {most} jobs: {who} {self.kind.most} at most.")
        self.least, self.most = least, most

    def wanted(self, needed: int) -> int:
        """How many jobs there should be when so many would have something to do."""
        return min(max(needed, 0 if self.refusal else self.least), self.most)

    def may_ask(self, now: float) -> bool:
        """Whether to ask Slurm for a job now; after a refusal a task that has waited for its end is a new reason."""
        if now < max(self.refused_until, self._asks_again):
            return False
        self.refusal = None
        return True

    def next_name(self) -> str:
        self._number += 1
        return f"{self.kind.name}:{self._number}"

    def submitted(self, job: WorkersJob, now: float) -> bool:
        """Take note of how sbatch went; whether there is a job now."""
        if job.error is None:
            if job.job_id:
                self._unanswered, self.trouble = 0, None
            return True
        self.trouble = str(job.error)
        if isinstance(job.error, SlurmUnavailable):
            self._asks_again = now + PAUSES_S[min(self._unanswered, len(PAUSES_S) - 1)]
            self._unanswered += 1
        elif isinstance(job.error, NoSlurm):
            self.refuse(str(job.error), now)
        else:
            self.refuse(f"no job for {self.kind.name!r}: {job.error} {self._blame(str(job.error))}", now)
        return False

    def connected(self) -> None:
        self._failures, self.refusal, self.trouble = 0, None, None

    def avoid(self, job: WorkersJob, now: float) -> None:
        """For a while, keep off the nodes of a job that went silent."""
        self._avoided.update(dict.fromkeys(job.nodes, now + AVOID_S))

    def avoided(self, now: float) -> list[str]:
        return sorted(node for node, until in self._avoided.items() if now < until)

    def refuse(self, text: str, now: float) -> None:
        self.refusal, self.refused_until, self.trouble = SlurmError(text), now + REFUSED_S, text

    def failed(self, job: WorkersJob, state: str, now: float) -> None:
        """A job has ended before it had a worker."""
        if state in NOT_ITS_FAULT:
            return
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._failures = 0
            place = where(self.site_file, self.kind.group, "lines", "modules", "environment", qpu=self.kind.qpu)
            self.refuse(
                f"the last {MOST_FAILURES} jobs for {self.kind.name!r} ended before their worker had started. "
                f"See {place}. {job.end_of_log()}",
                now,
            )

    def hopeless(self, seen: Job, now: float) -> bool:
        """Whether a waiting job will never start."""
        if is_hopeless(seen):
            self.refuse(f"no job for {self.kind.name!r}: {explain(seen)} {self._blame(seen.reason)}", now)
        return is_hopeless(seen)

    def _blame(self, said: str) -> str:
        """The lines of the site file that decide what Slurm complains about."""
        return blame(said, self.kind.group, self.kind.qpu, self.site_file)


def lost(job: WorkersJob, workers_there: int, job_is_over: bool) -> bool:
    """Whether a job that had workers has none any more, for good."""
    now = time.monotonic()
    if workers_there:
        job.seen_at = now
        return False
    return job.kind.processes == 1 or job_is_over or now - job.seen_at > AWAY_S
