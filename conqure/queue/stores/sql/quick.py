"""SQLite in words of SQL, for the few things that somebody waits for with each work.

SQLAlchemy's way to them takes several times as long as the database.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...work import WorkRecord
from .changes import Changed, parts, same, with_workload
from .connecting import begin
from .rows import COLUMNS, record_of, values

_NAMES = ", ".join(COLUMNS)
_ADD = f"INSERT INTO works ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"
_KEEP = "INSERT INTO payloads (content, part, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ONE = f"SELECT {_NAMES} FROM works WHERE work_id = ?"
_PARTS = "SELECT data FROM payloads WHERE content = ? ORDER BY part"


def add_all(database: sqlite3.Connection, wanted: Sequence[tuple[WorkRecord, bytes | None]]) -> list[Any]:
    """`changes.add_all`, without looking first: nobody else writes meanwhile."""
    return [_add(database, with_workload(work, workload), workload) for work, workload in wanted]


def _add(database: sqlite3.Connection, work: WorkRecord, workload: bytes | None) -> Any:
    if database.execute(_ADD, tuple(values(work).values())).rowcount == 0:
        return same(_record(database.execute(_ONE, (work.work_id,)).fetchone()), work)
    for part, data in enumerate(parts(workload) if workload is not None else ()):
        database.execute(_KEEP, (work.workload, part, data))
    return Changed(work, [work])


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """A transaction, which may have begun already; durable at the end of the block."""
    try:
        begin(database)
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


class QuickReads:
    """Reads single works and payloads, from any thread; None where there is no such. `sqlite3.Error` if that fails.

    Args:
        busy_s: how long it waits for others.
    """

    def __init__(self, file: str, busy_s: float) -> None:
        self._file, self._busy_s = file, busy_s
        self._idle: deque[sqlite3.Connection] = deque()

    def get(self, work_id: str) -> WorkRecord | None:
        found = self._rows(_ONE, work_id)
        return _record(found[0]) if found else None

    def payload(self, content: str) -> bytes | None:
        found = self._rows(_PARTS, content)
        return b"".join([data for (data,) in found]) if found else None

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _rows(self, query: str, value: str) -> list[Any]:
        try:
            database = self._idle.pop()
        except IndexError:
            database = sqlite3.connect(self._file, self._busy_s, isolation_level=None, check_same_thread=False)
        try:
            found = database.execute(query, (value,)).fetchall()
        except BaseException:
            database.close()
            raise
        self._idle.append(database)
        return found


def _record(row: Sequence[Any]) -> WorkRecord:
    return record_of(dict(zip(COLUMNS, row, strict=True)))
