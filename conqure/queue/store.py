"""What every store of works does: a handful of verbs with one contract (`conqure.queue.testing.StoreContract`).

A store is used by several threads at once, and several stores may be open on the same records, also in different
processes and, for a database, on different machines. What a verb has changed is durable when it returns: it survives
`kill -9` and loss of power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qpu_executors.records import Priority

from .work import FINAL, WorkRecord, WorkStatus

Listener = Callable[[WorkRecord], None]


@dataclass(frozen=True, slots=True)
class WorkQuery:
    """Which works; what is left at its default does not matter.

    Attributes:
        statuses: in one of these.
        since: created at this time or later.
        before: the cursor: only works that come after this (created_at, work_id) in a list of newest first.
    """

    owner: str = ""
    device_id: str = ""
    statuses: tuple[WorkStatus, ...] = ()
    priority: Priority | None = None
    source: str = ""
    loop: str = ""
    since: float | None = None
    before: tuple[float, str] | None = None


EVERY_WORK = WorkQuery()


class Store(Protocol):
    """Where works live.

    Attributes:
        url: how to open it again: `open_store(url)`. Never with a password in it.
        listeners: called with the new record after each change made through this object, in the thread that made it,
            once the change is durable. They must be quick. What other processes change is found by looking.
    """

    url: str
    listeners: list[Listener]

    def add(self, work: WorkRecord, workload: bytes | None = None) -> WorkRecord:
        """Keep a new work and its workload in one step; returns the record with ``workload`` and its size filled in.

        Repeating a call is harmless: a work that is there with the same owner and workload is returned as it is now.

        Raises:
            WorkConflict: the ``work_id`` is taken by another work.
        """
        ...

    def get(self, work_id: str) -> WorkRecord:
        """`UnknownWork` if there is none."""
        ...

    def find(self, query: WorkQuery = EVERY_WORK, limit: int = 100) -> list[WorkRecord]:
        """Works, newest first; for the next page ask again with ``before=(last.created_at, last.work_id)``."""
        ...

    def lines(self) -> list[str]:
        """The ``device_id`` texts for which works of the queue are READY; each is a line in which they wait."""
        ...

    def waiting(self, lines: Iterable[str], most: int) -> list[WorkRecord]:
        """READY works of the queue in these lines: of each line and priority the ``most`` that became ready first,
        all of them ordered by (priority.rank, ready_at, work_id). Takes as long with 100,000 works as with 100."""
        ...

    def claim(self, work_ids: Sequence[str], by: str, lease_s: float | None, now: float) -> list[WorkRecord]:
        """Take works that are READY; returns those that were got, EXECUTING. Atomic: nobody else gets the same one.

        Args:
            by: who takes them; ``lease_s``: how long the claim holds unless it is renewed, None for ever.
        """
        ...

    def move(
        self,
        work_id: str,
        status: WorkStatus,
        now: float,
        *,
        claim: tuple[str, int] | None = None,
        workload: bytes | None = None,
        results: bytes | None = None,
        **facts: Any,
    ) -> WorkRecord:
        """Let a work take its next status (`WorkRecord.become`), with further fields and a payload, in one step.

        Args:
            claim: (claimed_by, attempts) that must be the present ones, so that a late answer changes nothing.

        Raises:
            UnknownWork; WorkConflict: the status does not follow, or the claim is another's by now.
        """
        ...

    def renew(self, by: str, lease_s: float, now: float) -> list[WorkRecord]:
        """Prolong all claims of one holder; returns the works it holds (EXECUTING and UPLOADING)."""
        ...

    def expired(self, now: float, most: int = 1000) -> list[WorkRecord]:
        """Works that are EXECUTING or UPLOADING and whose lease is over."""
        ...

    def ask_cancel(self, work_id: str, now: float, reason: str = "") -> WorkRecord:
        """End a work that waits at once (CANCELED); mark one that runs (``cancel_requested``); leave a final one."""
        ...

    def counts(self) -> dict[str, dict[WorkStatus, int]]:
        """How many works of the queue are not final, by ``device_id`` and status."""
        ...

    def keep(self, payload: bytes) -> str:
        """Keep bytes under their hash, which is returned; keeping the same again changes nothing."""
        ...

    def payload(self, content: str) -> bytes:
        """The bytes of a hash; `UnknownWork` if they are not (or no longer) there."""
        ...

    def purge(self, before: float, statuses: Iterable[WorkStatus] = FINAL, *, dry_run: bool = False) -> int:
        """Forget final works that ended before this time, and payloads that no work needs; returns how many works."""
        ...

    def close(self) -> None: ...


def open_store(url: str | None = None) -> Store:
    """Open a store by its URL; what is missing is made.

    Args:
        url: ``tinydb:FOLDER`` (the default: TinyDB in the user's own folder), ``sqlite:FILE``, ``mariadb://USER@HOST/NAME``,
            ``postgresql://USER@HOST/NAME``, ``memory:`` (gone with the process), or any URL that SQLAlchemy reads.

    Raises:
        StoreError: it cannot be opened; the text says why and what to do. MissingPackage: its package is missing.
    """
    from .stores import open_by_url

    return open_by_url(url)


__all__ = ["EVERY_WORK", "Listener", "Store", "WorkQuery", "open_store"]
