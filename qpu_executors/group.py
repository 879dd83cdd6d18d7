"""A group of workers that Slurm starts: what each of its jobs asks for, as the site file says it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .device import QPU


@dataclass(frozen=True)
class Group:
    """Jobs of one kind. A group holds QPUs if QPUs of its site name it, else its workers are classical.

    Attributes:
        partition, account, qos, reservation, constraint, gres, licenses, exclusive: as `sbatch` means them.
        nodes: of a job. cores, memory, workers: of a node; 0 stands for one worker (a QPU
            has as many as slots, whatever is said here), one core for each, and Slurm's own default of memory.
        walltime: the longest a job runs, in Slurm's writing.
        jobs, min_jobs: at the same time, at most, and when there is nothing to do.
        idle_s: seconds without work after which a job is given back.
        mpi: its tasks are MPI programs.
        modules, environment, lines: what a job does before its workers start, in this order.
        directives: further options of sbatch, each beginning with a dash.
        interface: the network interface between the nodes.
        shared, scratch: folders; ``shared`` is seen by all nodes and by the submitting program.

    >>> Group("cpu", partition="cpu", walltime="00:10:00").minutes
    10.0
    """

    name: str
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    constraint: str = ""
    gres: str = ""
    licenses: tuple[str, ...] = ()
    exclusive: bool = False
    nodes: int = 1
    cores: int = 0
    memory: str = ""
    walltime: str = "00:30:00"
    workers: int = 0
    jobs: int = 1
    min_jobs: int = 0
    idle_s: int = 30
    mpi: bool = False
    modules: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    interface: str = ""
    shared: str = ""
    scratch: str = ""

    @classmethod
    def of(cls, name: str, table: Mapping[str, Any]) -> Group:
        """A group from its table in a site file, which has been checked."""
        known = {field.name for field in fields(cls)}
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
        return cls(name, **{key: value for key, value in plain.items() if key in known})

    @property
    def minutes(self) -> float:
        """The walltime in minutes."""
        days, _, clock = self.walltime.rpartition("-")
        parts = [int(part) for part in clock.split(":")]
        if days and len(parts) == 1:
            return int(days) * 1440 + parts[0] * 60.0
        hours, minutes, seconds = parts if len(parts) == 3 else (0, parts[0], 0)
        return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60

    @property
    def memory_mib(self) -> int | None:
        """The memory of a node in MiB, as Slurm counts it; None where the site says nothing."""
        found = re.fullmatch(r"([\d.]+)\s*([KMGT]?)(?:i?B)?", self.memory)
        if not found:
            return None
        return max(1, round(float(found[1]) * 1024 ** ("KMGT".index(found[2] or "M") - 1)))

    @property
    def shared_folder(self) -> Path:
        """Where files lie that jobs and the submitting program both read."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conqure"
        return Path(os.path.expandvars(self.shared)).expanduser() if self.shared else cache

    def workers_for(self, qpu: QPU | None = None) -> int:
        """Workers of one node of a job; a job for a licence holds one slot, any other job for a QPU all of them."""
        if qpu is None:
            return self.workers or 1
        return 1 if qpu.reach == "license" else qpu.slots

    def jobs_for(self, qpu: QPU | None = None) -> int:
        """The most jobs at the same time: for a QPU one, with licences one for each slot."""
        if qpu is None:
            return self.jobs
        return qpu.slots if qpu.reach == "license" else 1
