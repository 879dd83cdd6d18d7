"""The AWS wire: the ten routes of ``cloud-queue-for-quantum-devices``, for clients that exist already.

Names, codes and bodies are that interface's. What differs on purpose: ids that are not there are 404, users see
their own works, a device's token is good for that device alone, ERROR and CANCELED occur.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from qpu_executors.errors import InvalidWork, UnknownWork, WorkConflict

from ..redelivery import Fault
from ..store import WorkQuery
from ..work import WorkloadFormat, WorkRecord, WorkStatus
from . import handouts, orders
from .accounts import COGNITO, DeviceAccount
from .answers import as_json
from .aws_models import (
    AWSNewDevice,
    AWSNewUser,
    AWSNewWork,
    AWSStatus,
    DeviceAdded,
    DeviceDetails,
    DeviceEntry,
    DeviceUpload,
    NextWork,
    WorkDetails,
    WorkList,
    WorkUpload,
)
from .bodies import AWSRoute
from .claimants import device_of
from .device_side import beat
from .devices import add_device
from .errors import AWSProblem, answers
from .models import Printable
from .people import make_user
from .rights import Actor, that_device
from .service import Its, Service
from .transfer_rights import Transfer
from .who import ThatAdmin, ThatUser, Who
from .works import find_works

router = APIRouter(
    tags=["AWS wire"], route_class=AWSRoute, responses=answers(400, 401, 403, 413, 429, 503, model=AWSProblem)
)
_404, _409 = answers(404, model=AWSProblem), answers(409, model=AWSProblem)
OURS = "x-conqure-client"  # clients that say this know what ERROR and CANCELED are
FORMAT = "x-conqure-format"  # what such a client will upload, since the bytes alone do not tell
_FORMATS = frozenset(WorkloadFormat)
_PAGE = 5
_UNWANTED = Fault("", "canceled by its owner", canceled=True)
_HIDDEN = {WorkStatus.ERROR: WorkStatus.DONE, WorkStatus.CANCELED: WorkStatus.DONE}


@router.post("/users", response_class=Response, responses=_409)
async def add_user(wanted: AWSNewUser, actor: ThatAdmin, service: Its) -> Response:
    """A new user; an administrator gives a password: ``conqure users password EMAIL``."""
    await make_user(service, wanted.Email, wanted.FullName, None)
    return Response(status_code=200)


@router.post("/devices", status_code=201, response_model=DeviceAdded, responses=_409)
async def add(wanted: AWSNewDevice, actor: ThatAdmin, service: Its) -> Response:
    """Register a device; what no selector could name in DeviceName becomes ``_``."""
    device, secret = await add_device(service, _name(wanted.DeviceName), refresh_timeout_s=float(wanted.RefreshTimeout))
    facts = {"DeviceId": device.uuid, "DeviceName": device.name}
    return as_json(facts | {"ClientId": device.client_id, "ClientSecret": secret}, 201)


@router.get("/devices", response_model=list[DeviceEntry])
async def list_devices(actor: ThatUser, service: Its) -> Response:
    """All devices."""
    return as_json([_entry(device) for device in await service.devices()])


@router.get("/devices/{DeviceId}", response_model=DeviceDetails, responses=_404)
async def get_device(DeviceId: str, actor: Who, service: Its, request: Request) -> Response:
    """One device, and a URL of its configuration if it has uploaded one."""
    device = await service.device(DeviceId)
    if actor.device:
        that_device(actor, device)
    values = _entry(device)
    if device.configured_at is not None:
        transfer = Transfer("GET", f"devices/{device.uuid}/configuration")
        values["ConfigurationLastRefreshed"] = iso(device.configured_at)
        values["DeviceConfigurationUrl"] = service.transfers.url(service.base_url(request), transfer)
    return as_json(values)


@router.put("/devices/{DeviceId}", response_model=DeviceUpload, responses=_404)
async def put_device(DeviceId: str, said: AWSStatus, actor: Who, service: Its, request: Request) -> Response:
    """The heartbeat of a device; the URL takes its configuration."""
    device = that_device(actor, await service.device(DeviceId))
    await beat(service, device, said.DeviceStatus)
    transfer = Transfer("PUT", f"devices/{device.uuid}/configuration", extension=said.DeviceConfigurationFileExtension)
    return as_json({"DeviceId": device.uuid, "UploadUrl": service.transfers.url(service.base_url(request), transfer)})


@router.get("/devices/{DeviceId}/workload", response_model=NextWork | list[Any], responses=_404)
async def next_work(DeviceId: str, actor: Who, service: Its, request: Request) -> Response:
    """The work that this device has, or its next one; ``[]`` if there is none."""
    device = that_device(actor, await service.device(DeviceId))
    work = await _work_for(service, device)
    if work is None:
        return as_json([])
    url = service.transfers.url(service.base_url(request), Transfer("GET", f"works/{work.work_id}/workload"))
    return as_json({"WorkId": work.work_id, "WorkloadUrl": url})


@router.put("/devices/{DeviceId}/workloads/{WorkId}", response_model=WorkUpload, responses=_404 | _409)
async def finish(DeviceId: str, WorkId: str, actor: Who, service: Its, request: Request) -> Response:
    """The work has run: UPLOADING. The URL takes its results."""
    device = that_device(actor, await service.device(DeviceId))
    work = await orders.find(service, actor, WorkId)
    if work.status is WorkStatus.EXECUTING:
        work = await handouts.upload(service, work, (device.claimant, work.attempts))
    transfer = Transfer("PUT", f"works/{work.work_id}/results", device.claimant, work.attempts)
    return as_json({"WorkId": work.work_id, "UploadUrl": service.transfers.url(service.base_url(request), transfer)})


@router.post("/workloads", status_code=201, response_model=WorkUpload, responses=_404)
async def create(wanted: AWSNewWork, actor: ThatUser, service: Its, request: Request) -> Response:
    """A new work, CREATED; the URL takes its workload."""
    said = request.headers.get(FORMAT, "")
    order = orders.Order(wanted.DeviceId, wanted.Priority, WorkloadFormat(said if said in _FORMATS else "opaque"))
    work, _ = await orders.create(service, actor, order)
    request.state.work_id = work.work_id
    url = service.transfers.url(service.base_url(request), Transfer("PUT", f"works/{work.work_id}/workload"))
    return as_json({"WorkId": work.work_id, "UploadUrl": url}, 201)


@router.get("/workloads", response_model=WorkList, response_model_exclude_none=True)
async def list_works(
    actor: ThatUser,
    service: Its,
    request: Request,
    DeviceId: Annotated[Printable, Query(max_length=256)] = "",
    AccountId: Annotated[Printable, Query(max_length=256)] = "",
    ExclusiveStartKeyJson: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Works, newest first, five at a time."""
    names = {device.uuid: device.name for device in await service.devices()}
    line = names.get(DeviceId.lower(), DeviceId)
    query = WorkQuery(owner=AccountId.lower(), device_id=line, before=_start(ExclusiveStartKeyJson))
    works = await find_works(service, actor, query, _PAGE + 1)
    page = works[:_PAGE]
    hide = _is_old(service, actor, request)
    uuids = {name: uuid for uuid, name in names.items()}
    found: dict[str, Any] = {"Items": [await _item(service, work, uuids, hide) for work in page]}
    if len(works) > _PAGE:
        found["LastEvaluatedKey"] = {"WorkId": page[-1].work_id, "CreatedAt": repr(page[-1].created_at)}
    return as_json(found)


@router.get("/workloads/{WorkId}", response_model=WorkDetails, responses=_404, response_model_exclude_none=True)
async def get_work(WorkId: str, actor: ThatUser, service: Its, request: Request) -> Response:
    """One work, and URLs of its workload and its results, also before they are there."""
    work = await orders.find(service, actor, WorkId)
    hide = _is_old(service, actor, request)
    base, part = service.base_url(request), "outcome" if hide else "results"
    values = {"WorkId": work.work_id, "CreatedAt": iso(work.created_at), "WorkStatus": _status(work, hide)}
    if work.ready_at is not None:
        values["ReadyAt"] = iso(work.ready_at)
    if work.error and OURS in request.headers:
        values["ErrorMessage"] = work.error
    values["WorkloadUrl"] = service.transfers.url(base, Transfer("GET", f"works/{work.work_id}/workload"))
    values["WorkloadResultUrl"] = service.transfers.url(base, Transfer("GET", f"works/{work.work_id}/{part}"))
    return as_json(values)


@router.options("/users", response_class=Response)
@router.options("/devices", response_class=Response)
@router.options("/workloads", response_class=Response)
async def options() -> Response:
    """Web pages elsewhere may ask, with a token."""
    return Response(status_code=200)


@router.options("/devices/{DeviceId}", response_class=Response)
@router.options("/devices/{DeviceId}/workload", response_class=Response)
async def options_of_device(DeviceId: str) -> Response:
    """Web pages elsewhere may ask, with a token."""
    return Response(status_code=200)


@router.options("/devices/{DeviceId}/workloads/{WorkId}", response_class=Response)
async def options_of_device_work(DeviceId: str, WorkId: str) -> Response:
    """Web pages elsewhere may ask, with a token."""
    return Response(status_code=200)


@router.options("/workloads/{WorkId}", response_class=Response)
async def options_of_work(WorkId: str) -> Response:
    """Web pages elsewhere may ask, with a token."""
    return Response(status_code=200)


def iso(seconds: float) -> str:
    """As that interface writes times.

    >>> iso(1668567927.37)
    '2022-11-16T03:05:27.370Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _work_for(service: Service, device: DeviceAccount) -> WorkRecord | None:
    """What the device has already, so that it runs it again after a fault of its own; else its next work."""
    for work in await handouts.held(service, device):
        if not work.cancel_requested:
            return work
        try:
            await handouts.fail(service, work, (work.claimed_by, work.attempts), _UNWANTED)
        except WorkConflict:  # it ended by itself
            continue
    return next(iter(await handouts.claim(service, device, 1)), None)


def _entry(device: DeviceAccount) -> dict[str, Any]:
    return {
        "DeviceId": device.uuid,
        "DeviceName": device.name,
        "DeviceStatus": device.seen(time.time()),
        "LastRefreshed": iso(device.refreshed_at) if device.refreshed_at else 0,
        "RefreshTimeout": round(device.refresh_timeout_s),
    }


async def _item(service: Service, work: WorkRecord, uuids: dict[str, str], hide: bool) -> dict[str, Any]:
    device = device_of(work.claimed_by) or work.ran_on or work.device_id
    values = {
        "WorkId": work.work_id,
        "UserGivenName": await service.full_name(work.owner),
        "Priority": work.priority,
        "DeviceId": uuids.get(device, work.device_id),
        "WorkStatus": _status(work, hide),
        "CreatedAt": iso(work.created_at),
    }
    return values | ({} if work.ready_at is None else {"ReadyAt": iso(work.ready_at)})


def _is_old(service: Service, actor: Actor, request: Request) -> bool:
    """Whether this client would wait for ever for a work that failed."""
    return service.settings.legacy_done and actor.kind == COGNITO and OURS not in request.headers


def _status(work: WorkRecord, hide: bool) -> str:
    return str(_HIDDEN.get(work.status, work.status) if hide else work.status)


def _start(key: str) -> tuple[float, str] | None:
    """Where the next page begins: the LastEvaluatedKey of the last one, as JSON."""
    import orjson

    if not key:
        return None
    try:
        said = orjson.loads(key)
        work_id, created_at = str(said["WorkId"]), float(said["CreatedAt"])
    except (ValueError, KeyError, TypeError):
        raise InvalidWork("ExclusiveStartKeyJson is not the LastEvaluatedKey of an answer, as JSON.") from None
    if not work_id.isprintable():
        raise UnknownWork("ExclusiveStartKeyJson names no work.")
    return created_at, work_id


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text.strip())
    return name if name[:1].isalpha() else f"device_{name}"
