"""v1: what a device's control computer does."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from ..redelivery import Fault
from ..work import WorkRecord
from . import handouts, orders
from .accounts import DeviceAccount
from .answers import as_json
from .bodies import Route, bytes_body, read_body
from .claimants import Instance, claim_of, device_of
from .errors import answers
from .models import Claim, Claimed, DeviceStatus, Heard, Printable, Work, WorkFault
from .rights import that_device
from .service import Its, Service
from .who import Who

router = APIRouter(
    prefix="/v1", tags=["device side"], route_class=Route, responses=answers(401, 403, 404, 413, 422, 429, 503)
)
Attempt = Annotated[int, Query(ge=0, le=10**6)]
RunS = Annotated[float | None, Query(ge=0, le=10**7, allow_inf_nan=False)]  # seconds of the QPU
Extension = Annotated[str, Query(max_length=16, pattern=r"^[A-Za-z0-9]*$")]


@router.put("/devices/{device}/status", response_model=Heard)
async def heartbeat(device: str, said: DeviceStatus, actor: Who, service: Its, instance: Instance = "") -> Response:
    """The device's client is there; its claims hold for another ``refresh_timeout_s``."""
    that = that_device(actor, await service.device(device))
    held = await beat(service, that, said.status, instance)
    return as_json(
        {"refresh_timeout_s": that.refresh_timeout_s, "cancel": [w.work_id for w in held if w.cancel_requested]}
    )


@router.put("/devices/{device}/configuration", status_code=204, response_class=Response, openapi_extra=bytes_body())
async def configure(device: str, actor: Who, service: Its, request: Request, extension: Extension = "json") -> Response:
    """Keep what the device says about itself, for its users to read."""
    that = that_device(actor, await service.device(device))
    await keep_configuration(service, that, await read_body(request, service.settings.max_json), extension)
    return Response(status_code=204)


@router.post("/devices/{device}/claim", response_model=Claimed)
async def claim(
    device: str, wanted: Claim, actor: Who, service: Its, request: Request, instance: Instance = ""
) -> Response:
    """Works for this client of the device, EXECUTING from now on; with ``wait`` as soon as there is one."""
    that = that_device(actor, await service.device(device))
    found = await handouts.wait_and_claim(service, that, wanted.most, wanted.wait, request.is_disconnected, instance)
    return as_json({"works": found})


@router.put(
    "/works/{work_id}/results",
    response_model=Work,
    responses=answers(400, 409),
    openapi_extra=bytes_body(),
    tags=["device side"],
)
async def deliver(
    work_id: Annotated[str, Path()],
    actor: Who,
    service: Its,
    request: Request,
    attempt: Attempt,
    ran_on: Annotated[Printable, Query(max_length=256)] = "",
    slurm_job_id: Annotated[Printable, Query(max_length=64)] = "",
    run_s: RunS = None,
    instance: Instance = "",
) -> Response:
    """The results of one attempt: DONE. 409 if the work is no longer this client's."""
    work = await orders.find(service, actor, work_id)
    that = that_device(actor, await service.device(device_of(work.claimed_by)))
    results = await read_body(request, service.settings.max_workload)
    facts = {"ran_on": ran_on or that.name, "slurm_job_id": slurm_job_id, "engine": "device-client"}
    claim = claim_of(work, that, instance, attempt)
    return as_json(await handouts.deliver(service, work, claim, results, run_s, **facts))


@router.post("/works/{work_id}/error", response_model=Work, responses=answers(400, 409))
async def fail(
    work_id: str, said: WorkFault, actor: Who, service: Its, run_s: RunS = None, instance: Instance = ""
) -> Response:
    """One attempt ended without results: ERROR, CANCELED, or READY again where the fault was a passing one."""
    work = await orders.find(service, actor, work_id)
    that = that_device(actor, await service.device(device_of(work.claimed_by)))
    fault = Fault(said.kind, said.message, said.transient, said.canceled)
    claim = claim_of(work, that, instance, said.attempt)
    return as_json(await handouts.fail(service, work, claim, fault, run_s))


async def beat(service: Service, device: DeviceAccount, status: str, instance: str = "") -> list[WorkRecord]:
    """Note that a client of the device is there; returns the works that this client has."""
    now = time.time()
    status = service.presence.status(device, instance, status, now)
    await service.account("change_device", device.uuid, status=status, refreshed_at=now)
    return await handouts.held(service, device, instance)


async def keep_configuration(service: Service, device: DeviceAccount, content: bytes, extension: str) -> None:
    kept = await service.change("keep", content)
    facts = {"configuration": kept, "configuration_extension": extension[:16], "configured_at": time.time()}
    await service.account("change_device", device.uuid, **facts)
