"""Uploads and downloads by URLs that carry their own right: nothing else is asked, and bytes travel as they are."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from qpu_executors.errors import UnknownWork, WorkNotDone

from ..work import WorkRecord, WorkStatus
from . import handouts, orders
from .answers import as_bytes
from .bodies import AWSRoute, bytes_answer, bytes_body, read_body
from .claimants import device_of
from .device_side import keep_configuration
from .devices import configuration_name, read_configuration
from .errors import AWSProblem, answers
from .rights import no_work
from .service import Its, Service
from .transfer_rights import Transfer

router = APIRouter(
    prefix="/transfer",
    tags=["transfer"],
    route_class=AWSRoute,
    responses=answers(400, 403, 404, 409, 413, 503, model=AWSProblem),
)
Right = Annotated[str, Query(max_length=2000)]
_NAMES = {"workload": "work", "results": "output", "outcome": "output"}


@router.put("/works/{work_id}/{part}", response_class=Response, openapi_extra=bytes_body())
async def put_work(work_id: str, part: str, request: Request, service: Its, right: Right = "") -> Response:
    """The workload of a user, or the results of a device."""
    transfer = service.transfers.read(right, "PUT", f"works/{work_id}/{part}")
    payload = await read_body(request, service.settings.max_workload)
    work: WorkRecord = await service.look("get", work_id)
    if part == "workload":
        await orders.upload(service, work, payload)
    else:
        await _deliver(service, transfer, work, payload)
    return Response(status_code=200)


@router.get("/works/{work_id}/{part}", response_class=Response, responses=bytes_answer("The bytes"))
async def get_work(work_id: str, part: str, service: Its, right: Right = "") -> Response:
    """The workload, the results, or for old clients a document about the error."""
    service.transfers.read(right, "GET", f"works/{work_id}/{part}")
    work: WorkRecord = await service.look("get", work_id)
    return as_bytes(await _part(service, work, part), f"{work_id}-{_NAMES.get(part, part)}")


@router.put("/devices/{device}/configuration", response_class=Response, openapi_extra=bytes_body())
async def put_configuration(device: str, request: Request, service: Its, right: Right = "") -> Response:
    """What a device says about itself."""
    transfer = service.transfers.read(right, "PUT", f"devices/{device}/configuration")
    content = await read_body(request, service.settings.max_json)
    await keep_configuration(service, await service.device(device), content, transfer.extension)
    return Response(status_code=200)


@router.get("/devices/{device}/configuration", response_class=Response, responses=bytes_answer("The configuration"))
async def get_configuration(device: str, service: Its, right: Right = "") -> Response:
    """What a device says about itself."""
    service.transfers.read(right, "GET", f"devices/{device}/configuration")
    found = await service.device(device)
    return as_bytes(await read_configuration(service, found), configuration_name(found))


def error_document(work: WorkRecord) -> bytes:
    """What an old client gets for a work without results."""
    said: dict[str, Any] = {"work_id": work.work_id, "status": str(work.status), "error": work.error}
    return json.dumps(said | {"error_kind": work.error_kind or str(work.status).lower()}).encode()


async def _part(service: Service, work: WorkRecord, part: str) -> bytes:
    if part == "outcome" and work.status in (WorkStatus.ERROR, WorkStatus.CANCELED):
        return error_document(work)
    try:
        return await (orders.workload if part == "workload" else orders.results)(service, work)
    except WorkNotDone as error:
        raise UnknownWork(str(error)) from None  # what is not there yet is no object


async def _deliver(service: Service, transfer: Transfer, work: WorkRecord, payload: bytes) -> None:
    name = device_of(transfer.claimant)
    if not name:
        raise no_work(work.work_id)
    claim = (transfer.claimant, transfer.attempt)
    await handouts.deliver(service, work, claim, payload, ran_on=name, engine="device-client")
