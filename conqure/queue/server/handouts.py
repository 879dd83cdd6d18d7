"""What devices do with works: take them in their turn, hand in results or a fault. Both doors go through here.

A claim is named ``device:NAME`` and holds for the device's timeout; its heartbeat renews it. Each attempt has a number,
so that a late answer changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from qpu_executors.errors import WorkConflict

from ..work import WorkRecord, WorkStatus, content_hash
from .accounts import DeviceAccount
from .service import Service, fits_line, works_of

_LOOK_FAR = 200  # works of a line and priority that are looked at where some may not be for this device


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt ended without results; see `conqure.queue.outcome.Outcome`."""

    kind: str
    message: str
    transient: bool = False
    canceled: bool = False


async def claim(service: Service, device: DeviceAccount, most: int) -> list[WorkRecord]:
    """Up to so many works for this device, EXECUTING from now on."""
    heads = await asyncio.to_thread(_heads, service, device, most)
    if not heads:
        return []
    ids = [work.work_id for work in heads[:most]]
    got: list[WorkRecord] = await service.change("claim", ids, device.claimant, device.refresh_timeout_s, time.time())
    for work in got:
        service.metrics.claimed.labels(device.name).inc()
        service.history.start(work.owner, device.name, work.n_qubits, time.time())
    return got


async def wait_and_claim(
    service: Service, device: DeviceAccount, most: int, seconds: float, is_gone: Callable[[], Awaitable[bool]]
) -> list[WorkRecord]:
    """`claim`, as soon as there is a work. One who ``is_gone`` meanwhile gets none: nobody would hear of it."""
    from .notices import READY

    async def look() -> list[WorkRecord] | None:
        if await is_gone():
            return []
        return await claim(service, device, most) or None

    return await service.notices.until(READY, seconds, look) or []


async def held(service: Service, device: DeviceAccount) -> list[WorkRecord]:
    """The works that this device has; its claims are renewed by that."""
    works: list[WorkRecord] = await service.change("renew", device.claimant, device.refresh_timeout_s, time.time())
    return sorted(works, key=lambda work: (work.status is WorkStatus.EXECUTING, work.priority.rank, work.ready_at or 0))


async def deliver(
    service: Service, work: WorkRecord, claim: tuple[str, int], results: bytes, **facts: Any
) -> WorkRecord:
    """Take the results of one attempt; once more the same changes nothing. `WorkConflict` if it is another's by now."""
    try:
        done: WorkRecord = await service.change(
            "move", work.work_id, WorkStatus.DONE, time.time(), claim=claim, results=results, **facts
        )
    except WorkConflict:
        now: WorkRecord = await service.look("get", work.work_id)
        same = (now.claimed_by, now.attempts) == claim and now.results == content_hash(results)
        if now.status is WorkStatus.DONE and same:
            return now
        raise
    service.metrics.ended.labels(claim[0].removeprefix("device:"), "DONE").inc()
    return done


async def fail(service: Service, work: WorkRecord, claim: tuple[str, int], fault: Fault) -> WorkRecord:
    """An attempt ended without results: ERROR, CANCELED, or given out again where the fault was a passing one."""
    status = WorkStatus.ERROR
    if fault.canceled or (fault.transient and work.cancel_requested):
        status = WorkStatus.CANCELED
    elif fault.transient and work.attempts < service.settings.max_attempts:
        status = WorkStatus.READY
    facts = {"error": _clean(fault.message), "error_kind": _clean(fault.kind)[:32]}
    try:
        moved: WorkRecord = await service.change("move", work.work_id, status, time.time(), claim=claim, **facts)
    except WorkConflict:
        now: WorkRecord = await service.look("get", work.work_id)
        if now.status is status and (now.claimed_by, now.attempts) == claim:
            return now  # the same said once more
        raise
    service.metrics.ended.labels(claim[0].removeprefix("device:"), str(status)).inc()
    return moved


def _heads(service: Service, device: DeviceAccount, most: int) -> list[WorkRecord]:
    """The works that this device may get, the next one first."""
    lines = [line for line in service.works.lines() if fits_line(line, device)]
    if not lines:
        return []
    far = max(most, service.policy.window, _LOOK_FAR if device.users or lines != [device.name] else 1)
    heads = [work for work in service.works.waiting(lines, far) if works_of(work, device)]
    return list(service.policy.order(heads, device.qpu, time.time(), service.history))


def _clean(text: str) -> str:
    """Text as every database takes it."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
