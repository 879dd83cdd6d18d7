"""Jobs of Slurm that start Dask workers: what a site's groups mean for dask-jobqueue's own `SLURMJob`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status

from qpu_executors import QPU, Group, Site, SlurmError, SlurmUnavailable
from qpu_executors.slurm import client
from qpu_executors.slurm.options import directives, options, prologue

from .preload import worker_arguments
from .resources import Resources, offered

_BOILERPLATE = ("Traceback (most", "The above exception", "During handling")
DEATH_S = 30  # a worker that finds no scheduler for this long ends, and its job with it
# What a worker sets differently from Dask; see `clusters.CONFIG`, which workers of this machine get with their start.
SETTINGS = {
    "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",  # pages that everybody on the node could read
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    "CONQURE_WORKER": "dask",
}


@dataclass(frozen=True)
class Kind:
    """Jobs of one kind: those that hold one QPU of a site, or the classical ones of a group.

    Attributes:
        threads: of each classical worker.
    """

    group: Group
    qpu: QPU | None = None
    threads: int = 1

    @property
    def name(self) -> str:
        return self.qpu.device_id if self.qpu else self.group.name

    @property
    def offer(self) -> Resources:
        """What each of its workers offers."""
        return offered(self.qpu) if self.qpu else {"CPU": self.threads}

    @property
    def nodes(self) -> int:
        """Nodes of a job that have workers; of one for MPI only the first, since its tasks span the others."""
        return 1 if self.qpu or self.group.mpi else self.group.nodes

    @property
    def processes(self) -> int:
        """Workers on each of them."""
        return self.group.workers_for(self.qpu)

    @property
    def capacity(self) -> int:
        """Tasks that a job runs at the same time."""
        return self.nodes * self.processes * (1 if self.qpu else self.threads)

    @property
    def most(self) -> int:
        return self.group.jobs_for(self.qpu)

    @property
    def least(self) -> int:
        return min(self.group.min_jobs, self.most)

    def workers_of(self, job: str) -> list[str]:
        """The names of the workers of a job, as `dask worker` makes them."""
        nodes = [f"{job}.{node}" for node in range(self.nodes)] if self.nodes > 1 else [job]
        return nodes if self.processes == 1 else [f"{n}-{i}" for n in nodes for i in range(self.processes)]


def kinds_of(site: Site, threads: int = 1) -> list[Kind]:
    """The jobs that a site's groups stand for: one kind for each QPU in a group, one for each classical group."""
    quantum = [Kind(site.group(qpu.group), qpu) for qpu in site.qpus if qpu.group]
    return quantum + [Kind(group, threads=threads) for group in site.classical_groups]


class WorkersJob(SLURMJob):
    """A job whose workers hold a QPU, or run classical tasks. It never raises; ``error`` says what sbatch refused.

    Args:
        folder: on the shared file system, for the job's output. comment: the mark of the program's jobs.
        avoid: nodes to keep off, if there are others.
        keys: how workers prove who they are, as options of `dask worker`.
    """

    def __init__(
        self,
        kind: Kind,
        scheduler: str,
        name: str,
        *,
        folder: Path,
        comment: str,
        keys: Mapping[str, str],
        avoid: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        memory = (kind.group.memory_mib or 0) if kind.qpu is None else 0  # 0: Slurm is the one who limits
        super().__init__(
            scheduler,
            name,
            queue="",
            account="",
            walltime=kind.group.walltime,
            cores=kind.processes * kind.threads,
            processes=kind.processes,
            memory=f"{memory}MiB",
            job_mem="",  # of what `SLURMJob` makes for the head of the script nothing is used; see `_header`
            nanny=kind.processes > 1,  # `dask worker` needs it for that; a job of one worker ends with it
            protocol=scheduler.partition("://")[0],
            interface=kind.group.interface or None,
            death_timeout=DEATH_S,
            python=f"{shlex.quote(sys.executable)} -P",
            job_name=f"conqure-{kind.name}",
            job_script_prologue=[*_settings(kind), *prologue(kind.group)],
            worker_extra_args=[*map(shlex.quote, _arguments(kind, keys))],
            job_extra_directives=[],
            job_directives_skip=[],
            local_directory='"${TMPDIR:-/tmp}"',
        )
        self.log = folder / f"{name.replace(':', '-')}.%j.log"
        self.worker_names = kind.workers_of(name)
        self.job_header = directives(_header(kind, self.log, comment))
        self._command_template = _launch(kind, name, self._command_template)
        self._avoid = [f"--exclude={','.join(avoid)}"] if avoid else []
        self.nodes: set[str] = set()  # where its workers are
        self.error: SlurmError | None = None
        self.submitted_at = time.monotonic()  # when Slurm took it, once there is a job_id
        self.connected_at: float | None = None
        self.seen_at = self.submitted_at  # when it last had a worker
        self.wanted_at = self.submitted_at  # when it last had something to do
        self.leaves = False  # takes no more tasks

    async def start(self) -> None:
        try:
            with self.job_file() as script:
                said = await asyncio.to_thread(_submit, script, self._avoid)
            self.job_id = said.split(";")[0].strip()  # after it the name of the cluster, where there are several
        except SlurmError as error:
            self.error = error
        self.submitted_at = time.monotonic()
        self.status = Status.running

    async def close(self) -> None:
        """Cancel it. If Slurm does not answer, the cluster finds the job when it looks at the queue next."""
        if self.status != Status.closed and self.job_id:
            with contextlib.suppress(SlurmError):
                await asyncio.to_thread(client.cancel, [self.job_id])
        self.status = Status.closed

    def end_of_log(self, lines: int = 8) -> str:
        """What the job's output says at its end, and where it is; of Python's tracebacks only the messages."""
        path = Path(str(self.log).replace("%j", str(self.job_id)))
        try:
            text = path.read_text(errors="replace")
        except OSError:
            return f"It has written nothing to {path}."
        said = [line for line in text.splitlines() if line.strip() and not line.startswith((" ", *_BOILERPLATE))]
        return f"The end of its output, {path}:\n" + "\n".join(said[-lines:])


def _submit(script: str, avoid: Sequence[str]) -> str:
    try:
        return client.ask("sbatch", "--parsable", *avoid, script)
    except SlurmUnavailable:
        raise
    except SlurmError:
        if not avoid:
            raise
        return client.ask("sbatch", "--parsable", script)  # there are no other nodes


def job_scripts(site: Site, threads: int = 1) -> dict[str, str]:
    """The batch script of each kind of job of a site, by the name of its QPU or group; needs no Slurm.

    >>> print(job_scripts(Site.load("slurm_gres"))["ion0"])
    """
    scripts = {}
    for kind in kinds_of(site, threads):
        folder = kind.group.shared_folder / "conqure-PROGRAM"
        keys = tls_options(folder)
        job = WorkersJob(
            kind, "tls://SCHEDULER:PORT", f"{kind.name}:1", folder=folder, comment="conqure-PROGRAM", keys=keys
        )
        scripts[kind.name] = job.job_script()
    return scripts


def tls_options(folder: Path) -> dict[str, str]:
    """The files of a program's keys, by the option of `dask worker` that names each."""
    return {f"tls-{role}": str(folder / f"tls-{role}.pem") for role in ("ca-file", "cert", "key")}


def _header(kind: Kind, log: Path, comment: str) -> list[str]:
    size = [f"--nodes={kind.group.nodes}", "--ntasks-per-node=1", f"--time={kind.group.walltime}"]
    names = [f"--job-name=conqure-{kind.name}", f"--output={log}"]
    return [*names, *size, *options(kind.group, kind.qpu), f"--comment={comment}"]


def _settings(kind: Kind) -> list[str]:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in SETTINGS.items()]
    if kind.qpu is None and kind.group.cores:  # a nanny would set 1, and a bare worker takes the whole node
        lines.append(f"export OMP_NUM_THREADS={max(1, kind.group.cores // (kind.processes * kind.threads))}")
    folders = own_folders()
    return lines + ([f"export PYTHONPATH={shlex.quote(':'.join(folders))}:$PYTHONPATH"] if folders else [])


def own_folders() -> list[str]:
    """Where this program imports from, besides the environment of its Python: workers must find the same."""
    found = dict.fromkeys(map(os.path.abspath, sys.path))
    return [each for each in found if os.path.isdir(each) and not each.startswith((sys.prefix, sys.base_prefix))]


def _arguments(kind: Kind, keys: Mapping[str, str]) -> list[str]:
    """What `dask worker` gets besides what `SLURMJob` writes itself, which is the name and the threads."""
    own = worker_arguments(kind.qpu, "", kind.threads)
    own = own[own.index("--resources") :]
    where = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    return [*(word for option, value in keys.items() for word in (f"--{option}", value)), *where, *own]


def _launch(kind: Kind, name: str, command: str) -> str:
    """On one node the worker takes the place of the script, so Slurm's signals reach it; on several srun starts it."""
    if kind.nodes == 1:
        return f"exec {command}"
    each = command.replace(f"--name {name} ", f"--name {name}.$SLURM_NODEID ", 1)
    cores = kind.group.cores or kind.processes * kind.threads
    return (
        f"exec srun --nodes={kind.nodes} --ntasks-per-node=1 --cpus-per-task={cores} --mem=0 --kill-on-bad-exit=1 "
        f"bash -c {shlex.quote('exec ' + each)}"
    )
