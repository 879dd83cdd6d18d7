"""Nodes of the task graph as they ran: what waited how long, and which worker or QPU had it from when to when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True)
class Node(ABC):
    """One node of the task graph as it ran.

    Attributes:
        start, link: where it stands: the start, and the link of its chain, counted from 0.
        started_at, ended_at: seconds since the epoch, by the clock of the machine it ran on.
        session: 0, and one more each time the run was resumed.
        queued_at: when it could have run: a circuit when it was submitted, a step when its last input was there. None
            in the logs of older versions.
        job: number of the job of Slurm that it ran in, or empty.
    """

    start: int
    link: int
    started_at: float
    ended_at: float
    session: int
    queued_at: float | None = field(default=None, kw_only=True)
    job: str = field(default="", kw_only=True)

    @property
    def queue_s(self) -> float:
        """Seconds that it waited; 0 where that is not known."""
        return 0.0 if self.queued_at is None else max(0.0, self.started_at - self.queued_at)

    @property
    @abstractmethod
    def lane(self) -> str:
        """What ran it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, in this version or an older one."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})


@dataclass(frozen=True)
class Circuit(Node):
    """A quantum node.

    Attributes:
        task: its number within the link. device_id: the QPU.
        attempts: how often it was tried; above 1 where a worker was lost or a device had a passing fault.
    """

    task: int
    device_id: str
    attempts: int = field(default=1, kw_only=True)

    @property
    def lane(self) -> str:
        return self.device_id


@dataclass(frozen=True)
class Step(Node):
    """A classical node. ``worker``: host, process and thread it ran in; ``group``: of the site, where it has groups."""

    worker: str
    group: str = field(default="", kw_only=True)

    @property
    def lane(self) -> str:
        return self.worker
