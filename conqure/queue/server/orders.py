"""What users do with works: hand them in, look at them, cancel them, fetch what came of them. All doors lead here."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from qpu_executors.errors import InvalidTask, NotAllowed, TooLarge, WorkConflict, WorkNotDone
from qpu_executors.records import Priority
from qpu_executors.selector import Selector

from ..work import WorkloadFormat, WorkRecord, WorkStatus, content_hash, new_work_id
from ..workloads import check_workload
from .accounts import DeviceAccount, unknown_device
from .rights import Actor, no_work, seen
from .service import Service
from .waiting import position

_QUICK_READ = 2**20  # bytes of results that are read at once where the store is near
_QUICK = 2**14  # bytes of a workload that are checked at once (16 ms at most); a larger one by another thread


@dataclass(frozen=True, slots=True)
class Order:
    """A work that a user wants. Without a workload it waits for its upload."""

    device_id: str = "any"
    priority: Priority = Priority.LOW
    format: WorkloadFormat = WorkloadFormat.OPAQUE
    workload: bytes | None = None
    name: str = ""
    loop: str = ""
    convergence: float | None = None
    work_id: str = field(default_factory=new_work_id)


async def create(service: Service, actor: Actor, order: Order) -> tuple[WorkRecord, bool]:
    """Accept a work; it is on disk when this returns. The second value: whether it is new.

    Raises:
        InvalidWork, InvalidTask, UnknownDevice, NotAllowed, TooLarge: it is not accepted.
        WorkConflict: the ``work_id`` is that of another work.
    """
    facts = await _facts(service, order.format, order.workload)
    line = await find_line(service, actor, order.device_id, facts.get("n_qubits", 0))
    now = time.time()
    is_there = order.workload is not None
    work = WorkRecord(
        order.work_id,
        actor.user_id,
        line,
        order.priority,
        WorkStatus.READY if is_there else WorkStatus.CREATED,
        order.format,
        name=order.name,
        workload=content_hash(order.workload) if order.workload is not None else "",
        workload_size=len(order.workload or b""),
        loop=order.loop,
        convergence=order.convergence,
        created_at=now,
        ready_at=now if is_there else None,
        **facts,
    )
    kept: WorkRecord = await service.change("add", work, order.workload)
    is_new = kept.created_at == now
    if is_new:
        service.metrics.created.labels(str(order.format)).inc()
    return kept, is_new


async def upload(service: Service, work: WorkRecord, workload: bytes) -> WorkRecord:
    """Take the workload of a work that waits for it; once more the same changes nothing."""
    if work.workload and work.workload == content_hash(workload):
        return work
    if work.status is not WorkStatus.CREATED:
        raise WorkConflict(f"work {work.work_id} is {work.status} and has its workload. Make a new work for another.")
    facts = await _facts(service, work.format, workload)
    return await service.change("move", work.work_id, WorkStatus.READY, time.time(), workload=workload, **facts)


async def find(service: Service, actor: Actor, work_id: str) -> WorkRecord:
    """The work, if it is there for this actor; else `UnknownWork`."""
    try:
        work_id = str(uuid.UUID(work_id))
    except ValueError:
        raise no_work(work_id) from None
    return seen(actor, await service.look("get", work_id))


async def wait(service: Service, actor: Actor, work_id: str, seconds: float, status: str) -> WorkRecord:
    """The work, as soon as its status is another one than this, or the time is over."""
    work = await find(service, actor, work_id)
    if seconds <= 0 or work.status != status or work.status.is_final:
        return work

    async def changed() -> WorkRecord | None:
        now: WorkRecord = await service.look("get", work.work_id)
        return now if now.status != status else None

    return await service.notices.until(work.work_id, seconds, changed) or await find(service, actor, work_id)


async def describe(service: Service, work: WorkRecord) -> dict[str, Any]:
    """The fields of a record for one who looks at it alone: with its place in its line."""
    values = {name: getattr(work, name) for name in work.__dataclass_fields__}
    values["position"] = await position(service, work) if work.status is WorkStatus.READY else None
    return values


async def cancel(service: Service, actor: Actor, work_id: str, reason: str = "") -> WorkRecord:
    work = await find(service, actor, work_id)
    if work.source != "queue":
        raise WorkConflict(f"work {work.work_id} was recorded by {work.source}, which runs it. Cancel it there.")
    return await service.change("ask_cancel", work.work_id, time.time(), reason)


async def results(service: Service, work: WorkRecord) -> bytes:
    """`WorkNotDone` before it is DONE; the text says why there are none."""
    if work.status is not WorkStatus.DONE:
        why = f": {work.error}" if work.error else ""
        raise WorkNotDone(f"work {work.work_id} is {work.status}, so it has no results{why}.")
    read = service.look if work.results_size < _QUICK_READ else service.search
    return await read("payload", work.results)


async def workload(service: Service, work: WorkRecord) -> bytes:
    if not work.workload:
        raise no_work(f"{work.work_id} with a workload")
    return await service.search("payload", work.workload)


async def find_line(service: Service, actor: Actor, device_id: str, n_qubits: int = 0) -> str:
    """The line in which a work for this name, UUID or selector waits.

    Raises:
        UnknownDevice: nothing fits; the text lists what there is. NotAllowed: what fits is for others.
        InvalidTask: it has more qubits than all that fits, or the text is no selector.
    """
    known = await service.devices()
    for device in known:
        if device_id.lower() == device.uuid:
            device_id = device.name
    selector = Selector.parse(device_id)
    fitting = [device for device in known if selector.matches(device.qpu)]
    if not fitting:
        raise unknown_device(device_id, known)
    allowed = [device for device in fitting if actor.is_admin or device.takes(actor.user_id)]
    if not allowed:
        raise NotAllowed(f"device {fitting[0].name!r} is for other users. Ask its administrator to add you.")
    _check_size(device_id, allowed, n_qubits)
    return device_id.strip()


def _check_size(device_id: str, devices: list[DeviceAccount], n_qubits: int) -> None:
    largest = max(device.n_qubits for device in devices)
    if all(device.n_qubits for device in devices) and n_qubits > largest:
        raise InvalidTask(f"the work needs {n_qubits} qubits, and {device_id!r} has {largest}. Choose a larger device.")


async def _facts(service: Service, format: WorkloadFormat, payload: bytes | None) -> dict[str, Any]:
    """Size and program of a workload, which is checked by that as far as its format lets us."""
    if payload is None:
        return {}
    most = service.settings.max_workload
    if len(payload) > most:
        raise TooLarge(f"the workload has more than {most:,} bytes, which is the most here. Make several works of it.")
    if len(payload) <= _QUICK:
        return check_workload(format, payload)
    async with service.checking:
        return await asyncio.to_thread(check_workload, format, payload)
