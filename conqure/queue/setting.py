"""What `UserClient` stands on: the same few verbs in each of its three settings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from qpu_executors.records import Priority

from .packing import Packed
from .store import WorkQuery
from .work import WorkloadFormat, WorkRecord, new_work_id

Conventions = AbstractContextManager[Any, bool | None]


@dataclass(frozen=True, slots=True)
class Order:
    """A work that a user wants, before there is a record of it."""

    packed: Packed
    priority: Priority
    name: str = ""
    loop: str = ""
    convergence: float | None = None
    work_id: str = field(default_factory=new_work_id)


@dataclass(frozen=True, slots=True)
class Sight:
    """A work as it is now; ``position``: how many are before it in its line, None where that is not known."""

    work: WorkRecord
    position: int | None = None


class Setting(Protocol):
    """Where works go, and how.

    Attributes:
        name: ``embedded``, ``remote`` or ``sideqick``.
        where: the store or the address, for people.
        device_id: the device that is meant when nobody names one; None for any.
        conventions: what errors of the public methods become: a context manager that may swallow them.
    """

    name: str
    where: str
    device_id: str | None
    conventions: Conventions

    def create(self, order: Order) -> WorkRecord: ...

    def look(self, work_id: str, wait: float = 0.0, seen: str = "") -> Sight:
        """The work; with ``wait`` (seconds) not before its status is another than ``seen``, or the time is over."""
        ...

    def describe(self, work_id: str) -> Any:
        """What `get_work` gives."""
        ...

    def find(self, query: WorkQuery, limit: int, everybody: bool) -> list[WorkRecord]: ...

    def cancel(self, work_id: str, reason: str) -> WorkRecord: ...

    def results(self, work_id: str) -> tuple[bytes, WorkloadFormat | None]:
        """The bytes, and the format of the workload where it is known; `WorkNotDone` before it is DONE."""
        ...

    def add_user(self, email: str, fullname: str) -> Any: ...

    def add_device(self, device_name: str, refresh_timeout: int) -> Any: ...

    def devices(self) -> list[dict[str, Any]]: ...

    def configuration(self, device_id: str | None) -> Any: ...

    def close(self) -> None: ...
