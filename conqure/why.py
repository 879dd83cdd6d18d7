"""Why tasks wait: what my programs have told their ledgers, what Slurm says of their jobs, and what to do next."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qpu_executors.errors import ConqureError, SlurmError
from qpu_executors.site import Site, read_site
from qpu_executors.slurm import client
from qpu_executors.slurm.blame import where
from qpu_executors.slurm.client import Job
from qpu_executors.slurm.ledger import ledgers
from qpu_executors.slurm.reasons import explain

from .cluster import read_cluster

NEW_S = 20.0  # a program younger than this has perhaps not submitted its first job yet


@dataclass(frozen=True)
class Wait:
    """What waits for one QPU or group of a program.

    Attributes:
        name: of the QPU or the group. tasks: how many wait.
        reasons: why, in sentences; never empty.
        next_step: what to type or to change; ``""`` where only time helps.
    """

    name: str
    tasks: int
    reasons: tuple[str, ...]
    next_step: str = ""

    @property
    def sentence(self) -> str:
        tasks = "1 task waits" if self.tasks == 1 else f"{self.tasks} tasks wait"
        return f"{tasks} for {self.name!r}: {' '.join(self.reasons)}"


@dataclass(frozen=True)
class Program:
    """A program of mine that uses Slurm and runs on this machine."""

    pid: int
    command: str
    engine: str
    site: str
    running_s: float
    jobs: tuple[Job, ...]
    waits: tuple[Wait, ...]

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def why() -> list[Program]:
    """Each of my programs on this machine with what waits in it, the oldest first.

    A controller that does not answer is one of the reasons, not an error.
    """
    return [_program(told) for told in ledgers()]


def why_here() -> list[str]:
    """Why tasks of this process wait, in sentences; empty where nothing waits for Slurm.

    >>> conqure.why_here()
    ["6 tasks wait for 'ion0': Job 17 waits: what it asks for is used by other jobs (Resources). …"]
    """
    mine = [_program(told) for told in ledgers() if told["pid"] == os.getpid()]
    return [wait.sentence for program in mine for wait in program.waits if wait.tasks]


def why_job(job_id: str) -> str:
    """Why one job of mine is where it is.

    Raises:
        SlurmError: it is none of mine, or Slurm has forgotten it; SlurmUnavailable.
    """
    jobs = client.jobs()
    found = [job for name, job in jobs.items() if name == job_id or name.split("+")[0].split("_")[0] == job_id]
    if not found:
        known = ", ".join(name for name, job in jobs.items() if not job.ended) or "none"
        raise SlurmError(
            f"Slurm knows no job {job_id!r} of yours. Those that have not ended: {known}. "
            f"It forgets a job some minutes after its end; where it keeps accounts: sacct --jobs={job_id}"
        )
    return " ".join(_explained(job) for job in found)


def _program(told: Mapping[str, Any]) -> Program:
    try:
        jobs, silence = list(client.jobs(told["comment"]).values()), ""
    except SlurmError as error:
        jobs, silence = [], str(error)
    names = dict.fromkeys([*told["waiting"], *told["trouble"]])
    age = time.time() - told["started_at"]
    return Program(
        pid=told["pid"],
        command=shlex.join(told["command"]),
        engine=told["engine"],
        site=told["site"],
        running_s=round(age, 1),
        jobs=tuple(job for job in jobs if not job.ended),
        waits=tuple(_wait(name, told, jobs, silence, age) for name in names),
    )


def _wait(name: str, told: Mapping[str, Any], jobs: list[Job], silence: str, age: float) -> Wait:
    tasks = told["waiting"].get(name, 0)
    its = [job for job in jobs if job.name == f"conqure-{name}" or job.name.endswith(f"-{name}")]
    open_ = [job for job in its if not job.ended]
    reasons = [*filter(None, [told["trouble"].get(name), silence]), *(_explained(job) for job in open_)]
    if any(job.state == "PENDING" for job in open_) or told["trouble"].get(name) or silence:
        return Wait(name, tasks, tuple(reasons))
    if open_:
        reasons.append("Its workers are busy with other tasks, or are starting.")
        return Wait(name, tasks, tuple(reasons), _more(name, told))
    if its:
        last = max(its, key=lambda job: job.job_id)
        reasons = [f"No job holds it now: {_explained(last)}", "A new one is submitted within seconds."]
        step = f"If jobs end at once, try one: conqure sites check {told['site_file'] or told['site']} --probe"
        return Wait(name, tasks, tuple(reasons), step)
    said = "No job has been submitted for it yet"
    if age < NEW_S:
        return Wait(name, tasks, (f"{said}: the program has just begun.",))
    step = f"See whether Slurm would take one: conqure sites check {told['site_file'] or told['site']}"
    return Wait(name, tasks, (f"{said}.",), step)


def _explained(job: Job) -> str:
    """The reason; and of a job that waits for nodes, which of them are drained and why."""
    text = explain(job)
    if job.state == "PENDING" and ("Avail" in job.reason or "DRAINED" in job.reason or job.reason == "Resources"):
        text += "".join(f" {sentence}." for sentence in _out_of_service(job))
    return text[0].upper() + text[1:]


def _out_of_service(job: Job) -> Iterator[str]:
    try:
        cluster = read_cluster()
    except SlurmError:
        return
    nodes = cluster.nodes_of(cluster.named(job.partition))
    yield from list(dict.fromkeys(f"Node {node.describe()}" for node in nodes if not node.usable))[:4]


def _more(name: str, told: Mapping[str, Any]) -> str:
    """What would let more run at once: more jobs of a group. A QPU runs what it can."""
    site = _site_of(told)
    group = next((each for each in site.groups if each.name == name), None) if site else None
    if group is None:
        return ""
    place = where(Path(told["site_file"]), group, "jobs", "workers")
    return f"For more at the same time, raise 'jobs' ({group.jobs}) or 'workers' ({group.workers_for()}): {place}"


def _site_of(told: Mapping[str, Any]) -> Site | None:
    try:
        return read_site(Path(told["site_file"])) if told["site_file"] else None
    except ConqureError:
        return None
