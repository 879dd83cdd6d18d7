"""Blocks as jobs of Slurm: what a site's groups mean for Parsl's own `SlurmProvider`."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from parsl.jobs.states import JobState, JobStatus
from parsl.launchers import SimpleLauncher, SrunLauncher
from parsl.providers import SlurmProvider
from parsl.providers.base import ExecutionProvider
from parsl.providers.errors import SubmitException
from parsl.utils import RepresentationMixin

from qpu_executors import QPU, Group, NoSlurm, Site, SlurmError, SlurmUnavailable
from qpu_executors.slurm import client
from qpu_executors.slurm.blame import blame
from qpu_executors.slurm.ledger import Ledger
from qpu_executors.slurm.options import directives, options, prologue
from qpu_executors.slurm.reasons import explain, is_hopeless

from . import launching

POLL_S = 2.0  # between two looks at the queue; one question for all jobs of the program
NEW_S = 10.0  # a job that the queue does not show was submitted after the last look
AVOID_S = 120.0
PATIENCE_S = 60  # for sbatch on a busy machine
_STATES = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "SUSPENDED": JobState.HELD,
    "COMPLETED": JobState.COMPLETED,
    "CANCELLED": JobState.CANCELLED,
    "FAILED": JobState.FAILED,
    "OUT_OF_MEMORY": JobState.FAILED,
    # These say nothing about the job itself: the next one may do better.
    **dict.fromkeys(["TIMEOUT", "DEADLINE", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED"], JobState.TIMEOUT),
}


class Queue:
    """The jobs of one program as Slurm sees them, and its ledger; shared by its providers.

    Args:
        site, site_file: for the ledger.
    """

    def __init__(self, site: str, site_file: Path | None) -> None:
        self.site, self.site_file = site, site_file
        self._users = 0
        self._ledger: Ledger | None = None
        self._looked = 0.0
        self._waiting: dict[str, int] = {}
        self.jobs: dict[str, client.Job] = {}

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger("parsl", self.site, self.site_file)
        return self._ledger

    def opened(self) -> None:
        """One more executor uses this queue."""
        self._users += 1

    def closed(self, names: Sequence[str]) -> None:
        """An executor has cancelled its jobs; the last one closes the ledger, unless Slurm did not answer."""
        self._users -= 1
        self.waiting(dict.fromkeys(names, 0))
        if self._users == 0 and self._ledger is not None and not self.leftovers():
            self._ledger.close()
            self._ledger = None

    def waiting(self, counts: Mapping[str, int]) -> None:
        self._waiting |= counts
        if self._ledger is not None:
            self._ledger.waiting(self._waiting)

    def look(self) -> None:
        """Ask Slurm, unless that was just done. `SlurmUnavailable` leaves everything as it was known."""
        if self._ledger is not None and time.monotonic() - self._looked > POLL_S / 2:
            self.jobs = client.jobs(self._ledger.comment)
            self._looked = time.monotonic()

    def leftovers(self) -> bool:
        """Whether jobs of ours may still be there; then our reaper sees to them after the program's end."""
        try:
            found = [job for job in client.jobs(self.ledger.comment).values() if not job.ended]
            client.cancel(job.job_id for job in found if job.state != "COMPLETING")
        except NoSlurm:
            return False
        except SlurmError:
            return True
        return False


class GroupProvider(SlurmProvider):
    """Parsl's `SlurmProvider` for a group of a site: the same facts, and answers that are true and come soon.

    It looks every two seconds instead of every minute, tells how a job ended, waits out a controller that does not
    answer, and says in Slurm's own words why a job is refused.

    Args:
        group: the kind of job. qpu: what each of its jobs holds, if anything.
        queue: the jobs of the program.

    >>> HighThroughputExecutor(provider=GroupProvider(site.group("cpu")))
    """

    scheduler_options: str  # Parsl's own; the comment and nodes to keep off are added to it

    def __init__(self, group: Group, qpu: QPU | None = None, queue: Queue | None = None) -> None:
        self.group, self.qpu = group, qpu
        self.queue = queue or Queue("", None)
        seconds = round(group.minutes * 60)
        super().__init__(
            nodes_per_block=1 if qpu else group.nodes,
            init_blocks=group.min_jobs,
            min_blocks=group.min_jobs,
            max_blocks=group.jobs_for(qpu),
            walltime=f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
            scheduler_options=directives(options(group, qpu)),
            worker_init="\n".join([*prologue(group), launching.own_paths()]),
            cmd_timeout=PATIENCE_S,
            exclusive=False,  # the options say it where the site does
            launcher=SrunLauncher() if group.nodes > 1 and not (qpu or group.mpi) else SimpleLauncher(),
        )
        self._submitted: dict[str, float] = {}
        self._avoided: dict[str, float] = {}
        self.hopeless: set[str] = set()  # jobs that Slurm would never have started

    @property
    def name(self) -> str:
        """What people call it: the QPU's name or the group's."""
        return self.qpu.device_id if self.qpu else self.group.name

    @property
    def status_polling_interval(self) -> float:
        return POLL_S

    @property
    def comment(self) -> str:
        """The mark by which the program's jobs are found."""
        return self.queue.ledger.comment

    def execute_wait(self, cmd: str, timeout: float | None = None) -> tuple[int, str, str]:
        if cmd.startswith("sacct"):  # asked at construction; squeue tells us all we need
            return 1, "", ""
        answer: tuple[int, str, str] = super().execute_wait(cmd, timeout)
        return answer

    def submit(self, command: str, tasks_per_node: int, job_name: str = "conqure") -> str:
        """Submit a block.

        Raises:
            SlurmUnavailable: not now; SlurmError: never, with Slurm's own words and the tables to change.
        """
        if "--comment=" not in self.scheduler_options:
            self.scheduler_options += f"#SBATCH --comment={self.comment}\n"
        usual = self.scheduler_options
        if avoided := ",".join(nodes for nodes, until in self._avoided.items() if until > time.monotonic()):
            try:
                self.scheduler_options += f"#SBATCH --exclude={avoided}\n"
                return self._submit(command, tasks_per_node, job_name)
            except SlurmUnavailable:
                raise
            except SlurmError:  # there are no other nodes
                pass
            finally:
                self.scheduler_options = usual
        return self._submit(command, tasks_per_node, job_name)

    def avoid(self, job_id: str, nodes: Collection[str]) -> None:
        """For a while, keep off the nodes of a job that went silent: Slurm may need minutes to see that one is dead."""
        job = self.queue.jobs.get(job_id)
        if job is None or not job.ended:
            self._avoided |= dict.fromkeys(nodes, time.monotonic() + AVOID_S)

    def _submit(self, command: str, tasks_per_node: int, job_name: str) -> str:
        try:
            job_id: str = super().submit(command, tasks_per_node, job_name)
        except SubmitException as error:
            refused = client.error_from("sbatch", error.stderr or error.stdout or "")
            if isinstance(refused, NoSlurm):
                raise refused from None
            raise type(refused)(f"{refused} {self.blame(str(refused))}") from None
        except subprocess.TimeoutExpired:
            raise SlurmUnavailable(f"sbatch did not answer within {PATIENCE_S} s.") from None
        self._submitted[job_id] = time.monotonic()
        return job_id

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        try:
            client.cancel(job_ids)
        except SlurmUnavailable:
            return [False] * len(job_ids)
        except SlurmError:  # it has forgotten them: they are over
            pass
        for job_id in job_ids:
            self.resources[job_id]["status"] = JobStatus(JobState.CANCELLED)
        return [True] * len(job_ids)

    def _write_submit_script(self, template: str, script_filename: str, job_name: str, configs: dict[str, Any]) -> None:
        """People see the name in the queue: without the time that Parsl adds for the file's sake."""
        super()._write_submit_script(template, script_filename, job_name.rsplit(".", 2)[0], configs)

    def _status(self) -> None:
        try:
            self.queue.look()
        except SlurmUnavailable:
            return
        for job_id, known in self.resources.items():
            if not known["status"].terminal:
                known["status"] = self._status_of(job_id, known)

    def _status_of(self, job_id: str, known: Mapping[str, Any]) -> JobStatus:
        job = self.queue.jobs.get(job_id)
        paths = {name: known[f"job_{name}"] for name in ("stdout_path", "stderr_path")}
        if job is None:  # just submitted, or over and forgotten by Slurm
            young = time.monotonic() - self._submitted[job_id] < NEW_S
            return known["status"] if young else JobStatus(JobState.COMPLETED, **paths)
        if is_hopeless(job):
            self.hopeless.add(job_id)
            with contextlib.suppress(SlurmError):
                client.cancel([job_id])
            return JobStatus(JobState.FAILED, f"{explain(job)} {self.blame(job.reason)}", **paths)
        state = _STATES.get(job.state, JobState.RUNNING)
        return JobStatus(state, f"Slurm job {job_id}: {job.state}", **paths)

    def blame(self, said: str) -> str:
        """Which lines of the site file decide what Slurm complains about."""
        return blame(said, self.group, self.qpu, self.queue.site_file)


class ProviderPerQPU(ExecutionProvider, RepresentationMixin):
    """Providers for several QPUs as one: a block is for one of them.

    Args:
        providers: one for each QPU.
    """

    def __init__(self, providers: Sequence[GroupProvider]) -> None:
        self.providers = list(providers)

    def of_job(self, job_id: str) -> GroupProvider:
        """Which of them submitted a job."""
        return next(provider for provider in self.providers if job_id in provider.resources)

    # Parsl's interface of all providers

    def submit(self, command: str, tasks_per_node: int, job_name: str = "conqure") -> str:
        return self.providers[0].submit(command, tasks_per_node, job_name)

    def status(self, job_ids: Sequence[str]) -> list[JobStatus]:
        for provider in self.providers:
            provider._status()
        return [self.of_job(job_id).resources[job_id]["status"] for job_id in job_ids]

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        return [self.of_job(job_id).cancel([job_id])[0] for job_id in job_ids]

    @property
    def label(self) -> str:
        return "slurm"

    @property
    def script_dir(self) -> str | None:
        return self.providers[0].script_dir

    @script_dir.setter
    def script_dir(self, folder: str) -> None:
        for provider in self.providers:
            provider.script_dir = folder

    @property
    def mem_per_node(self) -> float | None:
        return None

    @property
    def cores_per_node(self) -> int | None:
        return None

    @property
    def nodes_per_block(self) -> int:
        return 1

    @property
    def init_blocks(self) -> int:
        return self.min_blocks

    @property
    def min_blocks(self) -> int:
        return sum(provider.min_blocks for provider in self.providers)

    @property
    def max_blocks(self) -> int:
        return sum(provider.max_blocks for provider in self.providers)

    @property
    def parallelism(self) -> float:
        return 1.0

    @property
    def status_polling_interval(self) -> float:
        return POLL_S


def job_scripts(site: Site | str | Path | None = None) -> dict[str, str]:
    """The batch scripts that Parsl's executors would submit for a site, by group or QPU; submits nothing.

    The command's last arguments, which are known only to a running program, are left open. Slurm need not be there.

    >>> print(job_scripts("slurm_gres")["ion0"])
    """
    from .config import parsl_config

    scripts = {}
    for executor in parsl_config(site, run_dir="RUN_FOLDER").executors:
        provider = getattr(executor, "provider", None)
        each_of = provider.providers if isinstance(provider, ProviderPerQPU) else [provider]
        for each in each_of:
            if isinstance(each, GroupProvider):
                scripts[each.name] = _script(each)
    return scripts


def _script(provider: GroupProvider) -> str:
    with tempfile.TemporaryDirectory() as folder:
        dry = _DryProvider(provider.group, provider.qpu, provider.queue)
        dry.script_dir = folder
        command = shlex.join(launching.python_module("conqure_parsl.block"))
        dry.submit(f"{command} --folder RUN_FOLDER --block-id 0 …", 1, f"conqure-{provider.name}")
        text = next(Path(folder).iterdir()).read_text()
        return text.replace(folder, "RUN_FOLDER")


class _DryProvider(GroupProvider):
    """Writes the script and submits nothing."""

    def execute_wait(self, cmd: str, timeout: float | None = None) -> tuple[int, str, str]:
        return (0, "Submitted batch job 0", "") if cmd.startswith("sbatch") else (1, "", "")

    @property
    def comment(self) -> str:
        return "conqure-PROGRAM"
