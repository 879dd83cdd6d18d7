"""What a store is asked, as statements that are built once."""

from __future__ import annotations

import sqlalchemy as sa

from qpu_executors.records import Priority

from ...store import WorkQuery
from ...work import FINAL, WorkStatus
from ..tables import payloads, works
from .rows import HELD

_READY = (works.c.status == WorkStatus.READY.value, works.c.source == "queue")
_OPEN = [status.value for status in WorkStatus if status not in FINAL]

ONE = works.select().where(works.c.work_id == sa.bindparam("id"))
PARTS = sa.select(payloads.c.data).where(payloads.c.content == sa.bindparam("content")).order_by(payloads.c.part)
# Not MIN: where PostgreSQL has no statistics yet, it reads all of them for that.
FIRST_LINE = sa.select(works.c.device_id).where(*_READY).order_by(works.c.device_id).limit(1)
NEXT_LINE = FIRST_LINE.where(works.c.device_id > sa.bindparam("last"))
COUNTS = (
    sa.select(works.c.device_id, works.c.status, sa.func.count())
    .where(works.c.source == "queue", works.c.status.in_(_OPEN))
    .group_by(works.c.device_id, works.c.status)
)
BY_STATUS = sa.select(works.c.status, sa.func.count()).group_by(works.c.status)
PAYLOADS = sa.select(sa.func.count(payloads.c.content.distinct()), sa.func.sum(sa.func.length(payloads.c.data)))
EXPIRED = (
    works.select()
    .where(works.c.status.in_([status.value for status in HELD]), works.c.lease_until < sa.bindparam("now"))
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def _head(rank: int) -> sa.Select[tuple[str]]:
    """The ids of one level of a line: found in the index alone."""
    waits = sa.select(works.c.work_id).where(*_READY, works.c.device_id == sa.bindparam("line"), works.c.rank == rank)
    first = waits.order_by(works.c.ready_at, works.c.work_id).limit(sa.bindparam("most", type_=sa.Integer))
    return first.subquery(f"level{rank}").select()


_heads = sa.union_all(*[_head(priority.rank) for priority in Priority]).subquery("heads")
HEADS = works.select().join(_heads, works.c.work_id == _heads.c.work_id)


def newest(query: WorkQuery, limit: int) -> sa.Select[tuple[object, ...]]:
    order = (works.c.created_at.desc(), works.c.work_id.desc())
    return works.select().where(*_conditions(query)).order_by(*order).limit(limit)


def _conditions(query: WorkQuery) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = [
        works.c[name] == getattr(query, name)
        for name in ("owner", "device_id", "source", "loop")
        if getattr(query, name)
    ]
    if query.statuses:
        wanted.append(works.c.status.in_([status.value for status in query.statuses]))
    if query.priority is not None:
        wanted.append(works.c.rank == query.priority.rank)
    if query.since is not None:
        wanted.append(works.c.created_at >= query.since)
    if query.before is not None:
        created_at, work_id = query.before
        older = (works.c.created_at == created_at) & (works.c.work_id < work_id)
        wanted += [works.c.created_at <= created_at, (works.c.created_at < created_at) | older]
    return wanted
