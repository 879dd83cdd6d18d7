"""The verbs of a store that change something, inside a transaction that somebody else begins and commits.

Each looks before it writes: when it raises a `ConqureError`, it has written nothing, so others may share its
transaction. The rows that it looks at it also locks (SQLite locks the whole file when the transaction begins).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Connection

from qpu_executors.errors import ConqureError, WorkConflict

from ...work import FINAL, WorkRecord, WorkStatus, content_hash
from ..tables import devices, payloads, works
from .rows import HELD, differences, record, unknown, values

PART = 2**20  # bytes of a payload in one row
MOST_NAMED = 500  # hashes or ids in one statement

_ONE = works.select().where(works.c.work_id == sa.bindparam("id")).with_for_update()
_THESE = works.select().where(works.c.work_id.in_(sa.bindparam("ids", expanding=True))).with_for_update()
_CLAIMED = ("status", "started_at", "attempts", "claimed_by", "lease_until", "error", "error_kind")
_HELD_BY = works.c.status.in_([status.value for status in HELD]) & (works.c.claimed_by == sa.bindparam("by"))


class Changed(NamedTuple):
    """What a verb returns, and the works that it has changed."""

    value: Any
    works: Sequence[WorkRecord]


class Again(Exception):
    """Somebody else was quicker, between our look and our write: do the whole transaction again."""


def add_all(connection: Connection, wanted: Sequence[tuple[WorkRecord, bytes | None]]) -> list[Any]:
    """Add works together; one outcome for each: what `add` returns, or the `ConqureError` that it raises."""
    new: dict[str, WorkRecord] = {}
    kept: dict[str, bytes] = {}
    there = _these(connection, [work.work_id for work, _ in wanted])
    outcomes: list[Any] = []
    for work, workload in wanted:
        work = with_workload(work, workload)
        known = there.get(work.work_id)
        if known is None:
            there[work.work_id] = new[work.work_id] = work
            if workload is not None:
                kept[work.workload] = workload
            outcomes.append(Changed(work, [work]))
        else:
            outcomes.append(same(known, work))
    _insert_works(connection, new.values())
    _keep_all(connection, kept)
    return outcomes


def with_workload(work: WorkRecord, workload: bytes | None) -> WorkRecord:
    """The work with hash and size of its workload."""
    if workload is None or (content := content_hash(workload)) == work.workload:
        return work
    return work.replace(workload=content, workload_size=len(workload))


def same(known: WorkRecord, work: WorkRecord) -> WorkRecord | WorkConflict:
    """The work that is there already, if it is the same."""
    if (known.owner, known.workload) == (work.owner, work.workload):
        return known
    return WorkConflict(f"work_id {work.work_id} is taken by another work. Leave it out to get a new one.")


def add(connection: Connection, work: WorkRecord, workload: bytes | None = None) -> Any:
    outcome = add_all(connection, [(work, workload)])[0]
    if isinstance(outcome, ConqureError):
        raise outcome
    return outcome


def claim(connection: Connection, work_ids: Sequence[str], by: str, lease_s: float | None, now: float) -> Any:
    until = None if lease_s is None else now + lease_s
    there = _these(connection, work_ids)
    ready = [there[work_id] for work_id in dict.fromkeys(work_ids) if work_id in there and _waits(there[work_id])]
    got = [work.become(WorkStatus.EXECUTING, now, claimed_by=by, lease_until=until) for work in ready]
    if got:
        rows = [values(work) for work in got]
        changes = [{"id": row["work_id"]} | {f"new_{name}": row[name] for name in _CLAIMED} for row in rows]
        for some in _chunks(changes):
            connection.execute(_update(_CLAIMED).where(works.c.status == WorkStatus.READY.value), some)
    return Changed(got, got)


def move(
    connection: Connection,
    work_id: str,
    status: WorkStatus,
    now: float,
    *,
    claim: tuple[str, int] | None = None,
    workload: bytes | None = None,
    results: bytes | None = None,
    **facts: Any,
) -> Any:
    work = _get(connection, work_id)
    if claim is not None and claim != (work.claimed_by, work.attempts):
        raise WorkConflict(
            f"work {work_id} is no longer yours: {work.claimed_by or 'nobody'} has it, attempt {work.attempts}."
        )
    kept: dict[str, bytes] = {}
    for name, payload in (("workload", workload), ("results", results)):
        if payload is not None:
            facts |= {name: content_hash(payload), f"{name}_size": len(payload)}
            kept[facts[name]] = payload
    changed = work.become(status, now, **facts)
    _put(connection, work, changed)
    _keep_all(connection, kept)
    return Changed(changed, [changed])


def renew(connection: Connection, by: str, lease_s: float, now: float) -> list[WorkRecord]:
    connection.execute(works.update().where(_HELD_BY).values(lease_until=now + lease_s), {"by": by})
    return [record(row) for row in connection.execute(works.select().where(_HELD_BY), {"by": by})]


def ask_cancel(connection: Connection, work_id: str, now: float, reason: str = "") -> Any:
    work = _get(connection, work_id)
    if work.status in FINAL:
        return work
    if work.status in HELD:
        changed = work.replace(cancel_requested=True)
    else:
        changed = work.become(WorkStatus.CANCELED, now, error=reason or "canceled by its owner")
    _put(connection, work, changed)
    return Changed(changed, [changed])


def keep(connection: Connection, payload: bytes) -> str:
    content = content_hash(payload)
    _keep_all(connection, {content: payload})
    return content


def purge(connection: Connection, before: float, statuses: Iterable[WorkStatus], *, dry_run: bool = False) -> int:
    ended = sa.func.coalesce(works.c.ended_at, works.c.created_at)
    old = works.c.status.in_(sorted(FINAL & set(statuses))) & (ended < before)
    if dry_run:
        return connection.execute(sa.select(sa.func.count()).select_from(works).where(old)).scalar_one()
    n = connection.execute(works.delete().where(old)).rowcount
    _forget_payloads(connection)
    return n


def _forget_payloads(connection: Connection) -> None:
    """Those that nothing needs. They are locked first and then looked at once more: whoever keeps one of them at this
    moment has locked it before us, and his work is seen, or waits for us and keeps it anew."""
    unused = _unused(connection)
    for some in _chunks(sorted(unused)):
        connection.execute(
            sa.select(payloads.c.content).where(payloads.c.content.in_(some)).with_for_update()
        ).fetchall()
    if connection.dialect.name != "sqlite":
        unused &= _unused(connection)
    for some in _chunks(sorted(unused)):
        connection.execute(payloads.delete().where(payloads.c.content.in_(some)))


def _unused(connection: Connection) -> set[str]:
    kept = sa.select(payloads.c.content).where(payloads.c.part == 0)
    needed = [sa.select(column) for column in (works.c.workload, works.c.results, devices.c.configuration)]
    return set(connection.execute(kept.except_(sa.union(*needed).subquery().select())).scalars())


def _get(connection: Connection, work_id: str) -> WorkRecord:
    row = connection.execute(_ONE, {"id": work_id}).first()
    if row is None:
        raise unknown(work_id)
    return record(row)


def _these(connection: Connection, work_ids: Sequence[str]) -> dict[str, WorkRecord]:
    if len(work_ids) == 1:
        rows: Iterable[Any] = connection.execute(_ONE, {"id": work_ids[0]})
    else:
        rows = [row for some in _chunks(sorted(work_ids)) for row in connection.execute(_THESE, {"ids": some})]
    return {row.work_id: record(row) for row in rows}


def _put(connection: Connection, before: WorkRecord, after: WorkRecord) -> None:
    changes = differences(before, after)
    if changes:
        new = {f"new_{name}": value for name, value in changes.items()}
        connection.execute(_update(tuple(changes)), {"id": after.work_id} | new)


@cache
def _update(columns: tuple[str, ...]) -> sa.Update:
    new: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in columns}
    return works.update().where(works.c.work_id == sa.bindparam("id")).values(new)


def _insert_works(connection: Connection, new: Iterable[WorkRecord]) -> None:
    rows = [values(work) for work in new]
    if rows:
        try:
            connection.execute(works.insert(), rows if len(rows) > 1 else rows[0])
        except sa.exc.IntegrityError as error:  # another process has added it since we looked
            raise Again from error


def _keep_all(connection: Connection, kept: Mapping[str, bytes]) -> None:
    rows = [
        {"content": content, "part": number, "data": part}
        for content, payload in kept.items()
        for number, part in enumerate(parts(payload))
    ]
    if rows:
        connection.execute(_keeping(connection.dialect.name), rows if len(rows) > 1 else rows[0])


def parts(payload: bytes) -> list[bytes]:
    """The rows of a payload."""
    return [payload[at : at + PART] for at in range(0, len(payload), PART)] or [b""]


@cache
def _keeping(dialect: str) -> Any:
    """An insert that leaves what is there as it is, but locks it until the transaction ends."""
    if dialect == "sqlite":
        return sqlite.insert(payloads).on_conflict_do_nothing()
    if dialect == "postgresql":
        insert = postgresql.insert(payloads)
        return insert.on_conflict_do_update(index_elements=["content", "part"], set_={"part": insert.excluded.part})
    return mysql.insert(payloads).prefix_with("IGNORE")


def _waits(work: WorkRecord) -> bool:
    return work.status is WorkStatus.READY and work.source == "queue"


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(items), MOST_NAMED):
        yield list(items[at : at + MOST_NAMED])
