"""How long the lines are: works before one, works that wait for a device, works that it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ..choosing import fits
from ..stores.tables import works
from ..work import WorkRecord, WorkStatus
from .accounts import DeviceAccount
from .claimants import device_of
from .service import Service

MOST = 10_000  # works before one that are counted
_HELD = (WorkStatus.EXECUTING.value, WorkStatus.UPLOADING.value)
_RUNNING = (
    sa.select(works.c.claimed_by, works.c.ran_on, works.c.device_id, sa.func.count())
    .where(works.c.status.in_(_HELD))
    .group_by(works.c.claimed_by, works.c.ran_on, works.c.device_id)
)


async def position(service: Service, work: WorkRecord) -> int:
    """Works before this one in its line, at most 10,000: by priority, and then by the time they became ready."""
    w = works.c
    rank, ready_at = work.priority.rank, work.ready_at or 0.0
    line = (w.status == WorkStatus.READY.value) & (w.source == "queue") & (w.device_id == work.device_id)
    sooner = (w.ready_at < ready_at) | ((w.ready_at == ready_at) & (w.work_id < work.work_id))
    before = sa.select(w.work_id).where(line, (w["rank"] < rank) | ((w["rank"] == rank) & sooner)).limit(MOST)
    rows = await asyncio.to_thread(service.accounts.read, sa.select(sa.func.count()).select_from(before.subquery()))
    return int(rows[0][0])


async def loads(service: Service, devices: Sequence[DeviceAccount]) -> dict[str, tuple[int, int]]:
    """For each device by its name: works that wait for it (also those that others may take), and that it runs."""
    counts = await service.search("counts")
    ready = {line: by_status.get(WorkStatus.READY, 0) for line, by_status in counts.items()}
    running: Counter[str] = Counter()
    rows: Sequence[Any] = await asyncio.to_thread(service.accounts.read, _RUNNING)
    for claimed_by, ran_on, device_id, n in rows:
        running[_runs_on(claimed_by, ran_on, device_id)] += n
    return {
        device.name: (sum(n for line, n in ready.items() if n and fits(line, device.qpu)), running[device.name])
        for device in devices
    }


def _runs_on(claimed_by: str, ran_on: str, device_id: str) -> str:
    return device_of(claimed_by) or ran_on or device_id
