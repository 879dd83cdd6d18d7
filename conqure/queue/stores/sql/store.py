"""The store itself: reading is here, changing is in `changes` and becomes durable in `committing`."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from qpu_executors.errors import StoreError, UnknownWork

from ...store import EVERY_WORK, Listener, WorkQuery
from ...work import FINAL, WorkRecord, WorkStatus
from . import changes, queries
from .committing import Awaited, Change, GroupCommit
from .connecting import BUSY_S, connect, failed, may_be_repeated, read_url, without_password
from .quick import QuickReads
from .rows import record, records, unknown
from .schema import prepare, version_of

T = TypeVar("T")


class SQLStore:
    """Works in a database. See `conqure.queue.store.Store` for the verbs.

    Args:
        url: ``sqlite:FILE``, ``mariadb://USER:PASSWORD@HOST/NAME``, ``postgresql://…``; ``sqlite://`` is a file
            that goes with the store.

    Attributes:
        engine: SQLAlchemy's, for reading, best with the execution option ``reading=True``; changes go through `write`.

    >>> SQLStore("sqlite://").find()
    []
    """

    def __init__(self, url: str | sa.URL) -> None:
        if str(url) == "sqlite://":
            folder = tempfile.mkdtemp(prefix="conqure-works-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            url = f"sqlite:{folder}/works.db"
        whole = read_url(url)
        self.url = without_password(whole)
        self.listeners: list[Listener] = []
        self.engine = connect(whole)
        self._reading = self.engine.execution_options(reading=True)
        self._commits = GroupCommit(self.engine, self.url, self._notify)
        is_sqlite = whole.get_backend_name() == "sqlite"
        self._quick = QuickReads(str(whole.database), BUSY_S) if is_sqlite else None
        self._closed = False
        try:
            prepare(self.engine, self.url)
        except SQLAlchemyError as error:
            self.engine.dispose()
            raise failed(self.url, error) from error
        except BaseException:
            self.engine.dispose()
            raise

    def __repr__(self) -> str:
        return f"SQLStore({self.url!r})"

    # -- changing --

    def write(self, change: Callable[[Connection], Any]) -> Any:
        """Run a change in the next commit; returns what it returned once that is durable.

        When it raises, none of what it wrote is kept. It may be run more than once, after a deadlock for instance.
        """
        return self._commits.now(Change(change))

    def later(self, verb: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """A verb of the store by its name, from the store's own thread: for servers, which must not wait.

        >>> store = SQLStore("sqlite://")
        >>> store.later("keep", b"bytes").result() == store.keep(b"bytes")
        True
        """
        return self._commits.later(_change(verb, *args, **kwargs))

    def soon(self, future: Awaited, verb: str, *args: Any, **kwargs: Any) -> None:
        """The same once `settle` is called; ``future`` is settled by whoever commits."""
        self._commits.soon(_change(verb, *args, **kwargs), future)

    def settle(self) -> None:
        """Make what came by `soon` durable: here and now where that takes less than a change of threads."""
        self._commits.settle()

    def add(self, work: WorkRecord, workload: bytes | None = None) -> WorkRecord:
        return self._commits.now(_change("add", work, workload))

    def claim(self, work_ids: Sequence[str], by: str, lease_s: float | None, now: float) -> list[WorkRecord]:
        return self._commits.now(_change("claim", work_ids, by, lease_s, now))

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
        payload = {"workload": workload, "results": results}
        return self._commits.now(_change("move", work_id, status, now, claim=claim, **payload, **facts))

    def renew(self, by: str, lease_s: float, now: float) -> list[WorkRecord]:
        return self._commits.now(_change("renew", by, lease_s, now))

    def ask_cancel(self, work_id: str, now: float, reason: str = "") -> WorkRecord:
        return self._commits.now(_change("ask_cancel", work_id, now, reason))

    def keep(self, payload: bytes) -> str:
        return self._commits.now(_change("keep", payload))

    def purge(self, before: float, statuses: Iterable[WorkStatus] = FINAL, *, dry_run: bool = False) -> int:
        return self._commits.now(_change("purge", before, tuple(statuses), dry_run=dry_run))

    # -- reading --

    def get(self, work_id: str) -> WorkRecord:
        if self._quick is not None:
            work = self._quickly(self._quick.get, work_id)
            if work is None:
                raise unknown(work_id)
            return work
        found = self._read(queries.ONE, {"id": work_id})
        if not found:
            raise unknown(work_id)
        return record(found[0])

    def find(self, query: WorkQuery = EVERY_WORK, limit: int = 100) -> list[WorkRecord]:
        return records(self._read(queries.newest(query, limit)))

    def lines(self) -> list[str]:
        """One seek of the index for each line, however many works wait in it."""

        def look(connection: Connection) -> list[str]:
            found: list[str] = []
            last = connection.execute(queries.FIRST_LINE).scalar()
            while last is not None:
                found.append(last)
                last = connection.execute(queries.NEXT_LINE, {"last": last}).scalar()
            return found

        return self._look(look)

    def waiting(self, lines: Iterable[str], most: int) -> list[WorkRecord]:
        """One seek of the index for each line and priority."""
        wanted = [{"line": line, "most": most} for line in set(lines)]

        def look(connection: Connection) -> list[WorkRecord]:
            return [record(row) for values in wanted for row in connection.execute(queries.HEADS, values)]

        heads = self._look(look) if wanted else []
        return sorted(heads, key=lambda work: (work.priority.rank, work.ready_at or 0.0, work.work_id))

    def expired(self, now: float, most: int = 1000) -> list[WorkRecord]:
        return records(self._read(queries.EXPIRED, {"now": now, "most": most}))

    def counts(self) -> dict[str, dict[WorkStatus, int]]:
        counts: dict[str, dict[WorkStatus, int]] = {}
        for device_id, status, n in self._read(queries.COUNTS):
            counts.setdefault(device_id, {})[WorkStatus(status)] = n
        return counts

    def payload(self, content: str) -> bytes:
        if self._quick is not None:
            found = self._quickly(self._quick.payload, content)
        else:
            parts = self._read(queries.PARTS, {"content": content})
            found = b"".join(part[0] for part in parts) if parts else None
        if found is None:
            raise UnknownWork(f"no payload {content[:12]!r}…: it was never uploaded, or purged.")
        return found

    def describe(self) -> dict[str, Any]:
        """What kind of store it is, how many works and payloads it has, and how many bytes these are."""
        version = self._look(version_of)
        works = {row[0]: row[1] for row in self._read(queries.BY_STATUS)}
        n_payloads, n_bytes = self._read(queries.PAYLOADS)[0]
        return {
            "url": self.url,
            "kind": self.engine.dialect.name,
            "version": version,
            "works": works,
            "payloads": n_payloads,
            "payload_bytes": int(n_bytes or 0),
        }

    def close(self) -> None:
        self._commits.close()
        self._closed = True
        if self._quick is not None:
            self._quick.close()
        self.engine.dispose()

    def _read(self, query: sa.Executable, values: dict[str, Any] | None = None) -> Sequence[Any]:
        return self._look(lambda connection: connection.execute(query, values or {}).fetchall())

    def _look(self, ask: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreError(f"the store {self.url} is closed.")
        for last in (False, True):
            try:
                with self._reading.connect() as connection:
                    return ask(connection)
            except SQLAlchemyError as error:  # the server may have been restarted; the pool has other connections
                if last or not may_be_repeated(error):
                    raise failed(self.url, error) from error
        raise AssertionError("unreachable")

    def _quickly(self, read: Callable[[str], T], of: str) -> T:
        if self._closed:
            raise StoreError(f"the store {self.url} is closed.")
        try:
            return read(of)
        except sqlite3.Error as error:
            raise failed(self.url, error) from error

    def _notify(self, changed: Sequence[WorkRecord]) -> None:
        for work in changed:
            for listener in self.listeners:
                listener(work)


def _change(verb: str, *args: Any, **kwargs: Any) -> Change:
    if verb == "add":
        return _add(*args, **kwargs)
    change = getattr(changes, verb)
    return Change(lambda connection: change(connection, *args, **kwargs), looks_first=True)


def _add(work: WorkRecord, workload: bytes | None = None) -> Change:
    return Change(adds=(work, workload))
