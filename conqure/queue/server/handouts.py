"""What devices do with works: take them in their turn, hand in results or a fault. Both doors go through here.

A claim is named for the device and its client (`claimants`), and holds for the device's timeout; the heartbeat of that
client renews it. Each attempt has a number, so that a late answer changes nothing.

What an attempt counts for its owner (`policies.FairShare`) are the seconds that the device says it ran; of a device
that does not say so, those from handing out to the first word about the outcome.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from qpu_executors.errors import WorkConflict

from ..choosing import fits
from ..redelivery import Fault, after_fault
from ..stores.sql.rows import storable
from ..work import WorkRecord, WorkStatus, content_hash
from .accounts import DeviceAccount
from .claimants import claimant, device_of
from .notices import READY
from .service import Service, works_of

_LOOK_FAR = 200  # works of a line and priority that are looked at where some may not be for this device


async def claim(service: Service, device: DeviceAccount, most: int, instance: str = "") -> list[WorkRecord]:
    """Up to so many works for this client of the device, EXECUTING from now on."""
    heads = await asyncio.to_thread(_heads, service, device, most)
    if not heads:
        return []
    ids = [work.work_id for work in heads[:most]]
    by, now = claimant(device, instance), time.time()
    got: list[WorkRecord] = await service.change("claim", ids, by, device.refresh_timeout_s, now)
    for work in got:
        service.metrics.claimed.labels(device.name).inc()
        service.charges.start(work, device.name, now)
    return got


async def wait_and_claim(
    service: Service,
    device: DeviceAccount,
    most: int,
    seconds: float,
    is_gone: Callable[[], Awaitable[bool]],
    instance: str = "",
) -> list[WorkRecord]:
    """`claim`, as soon as there is a work. One who ``is_gone`` meanwhile gets none: nobody would hear of it."""

    async def look() -> list[WorkRecord] | None:
        if await is_gone():
            return []
        return await claim(service, device, most, instance) or None

    return await service.notices.until(READY, seconds, look) or []


async def held(service: Service, device: DeviceAccount, instance: str = "") -> list[WorkRecord]:
    """The works that this client of the device has; its claims are renewed by that."""
    by = claimant(device, instance)
    works: list[WorkRecord] = await service.change("renew", by, device.refresh_timeout_s, time.time())
    return sorted(works, key=lambda work: (work.status is WorkStatus.EXECUTING, work.priority.rank, work.ready_at or 0))


async def upload(service: Service, work: WorkRecord, claim: tuple[str, int]) -> WorkRecord:
    """An attempt has run, and its results are on their way: UPLOADING."""
    now = time.time()
    facts = {"claim": claim, "metadata": work.metadata | {"run_s": _ran_s(work, now)}}
    return await service.change("move", work.work_id, WorkStatus.UPLOADING, now, **facts)


async def deliver(
    service: Service,
    work: WorkRecord,
    claim: tuple[str, int],
    results: bytes,
    run_s: float | None = None,
    **facts: Any,
) -> WorkRecord:
    """Take the results of one attempt; once more the same changes nothing. `WorkConflict` if it is another's by now."""
    now = time.time()
    ran_s = _count(service, work, claim, run_s, now)
    facts |= {"metadata": work.metadata | {"run_s": ran_s}}
    try:
        done: WorkRecord = await service.change(
            "move", work.work_id, WorkStatus.DONE, now, claim=claim, results=results, **facts
        )
    except WorkConflict:
        there: WorkRecord = await service.look("get", work.work_id)
        same = (there.claimed_by, there.attempts) == claim and there.results == content_hash(results)
        if there.status is WorkStatus.DONE and same:
            return there
        raise
    service.metrics.ended.labels(device_of(claim[0]), "DONE").inc()
    return done


async def fail(
    service: Service, work: WorkRecord, claim: tuple[str, int], fault: Fault, run_s: float | None = None
) -> WorkRecord:
    """An attempt ended without results: see `after_fault`. Once more the same changes nothing."""
    now = time.time()
    _count(service, work, claim, run_s, now)
    fault = replace(fault, kind=storable(fault.kind)[:32], message=storable(fault.message))
    status, said = after_fault(work, fault, service.settings.max_attempts)
    try:
        moved: WorkRecord = await service.change("move", work.work_id, status, now, claim=claim, **said)
    except WorkConflict:
        there: WorkRecord = await service.look("get", work.work_id)
        if there.status is status and (there.claimed_by, there.attempts) == claim:
            return there
        raise
    service.metrics.ended.labels(device_of(claim[0]), str(status)).inc()
    return moved


def _count(service: Service, work: WorkRecord, claim: tuple[str, int], run_s: float | None, now: float) -> float:
    """Charge its owner for an attempt that has ended; returns for how long it ran."""
    ran_s = _ran_s(work, now) if run_s is None else run_s
    if (work.claimed_by, work.attempts) == claim:
        service.charges.end(work, ran_s, now)
    return ran_s


def _ran_s(work: WorkRecord, now: float) -> float:
    """Seconds of the attempt, as far as the service can tell."""
    if work.status is WorkStatus.UPLOADING and "run_s" in work.metadata:
        return float(work.metadata["run_s"])
    return max(0.0, now - (work.started_at or now))


def _heads(service: Service, device: DeviceAccount, most: int) -> list[WorkRecord]:
    """The works that this device may get, the next one first."""
    lines = [line for line in service.works.lines() if fits(line, device.qpu)]
    if not lines:
        return []
    far = max(most, service.policy.window, _LOOK_FAR if device.users or lines != [device.name] else 1)
    heads = [work for work in service.works.waiting(lines, far) if works_of(work, device)]
    return list(service.policy.order(heads, device.qpu, time.time(), service.history))
