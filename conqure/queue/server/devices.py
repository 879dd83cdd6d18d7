"""v1: devices, for users and admins."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from qpu_executors.errors import UnknownWork, WorkConflict

from ..store import WorkQuery
from ..work import WorkStatus
from . import passwords
from .accounts import DeviceAccount, user_id_of
from .answers import as_bytes, as_json
from .bodies import Route, bytes_answer
from .errors import answers
from .models import AddedDevice, Credentials, Device, Devices, NewDevice
from .service import Its, Service
from .tokens import new_secret
from .waiting import loads
from .who import ThatAdmin, Who

router = APIRouter(
    prefix="/v1/devices", tags=["devices"], route_class=Route, responses=answers(401, 403, 413, 422, 429, 503)
)


@router.get("", response_model=Devices)
async def list_devices(actor: Who, service: Its) -> Response:
    """All devices, by name."""
    return as_json({"devices": await described(service, await service.devices())})


@router.get("/{device}", response_model=Device, responses=answers(404))
async def get(device: str, actor: Who, service: Its) -> Response:
    """One device, by its name or UUID."""
    return as_json((await described(service, [await service.device(device)]))[0])


@router.post("", status_code=201, response_model=AddedDevice, responses=answers(400, 409))
async def add(device: NewDevice, actor: ThatAdmin, service: Its) -> Response:
    """Register a device, which a laboratory's control computer serves."""
    added, secret = await add_device(
        service,
        device.device_id,
        n_qubits=device.n_qubits,
        slots=device.slots,
        tags=tuple(device.tags),
        refresh_timeout_s=device.refresh_timeout_s or service.settings.refresh_timeout_s,
        users=tuple(map(user_id_of, device.users)),
    )
    facts = (await described(service, [added]))[0]
    return as_json(facts | {"client_id": added.client_id, "client_secret": secret}, 201)


@router.delete("/{device}", status_code=204, response_class=Response, responses=answers(404, 409))
async def remove(device: str, actor: ThatAdmin, service: Its) -> Response:
    """Remove a device; works that wait for it alone end in ERROR."""
    found = _not_at_site(await service.device(device))
    await service.account("remove_device", found.uuid)
    await _end_works(service, found)
    return Response(status_code=204)


@router.post("/{device}/secret", response_model=Credentials, responses=answers(404, 409))
async def renew_secret(device: str, actor: ThatAdmin, service: Its) -> Response:
    """New credentials; the old ones and their tokens end."""
    found = _not_at_site(await service.device(device))
    client_id, secret = str(uuid.uuid4()), new_secret()
    hashed = passwords.hashed(secret, by_us=True)
    await service.account("change_device", found.uuid, client_id=client_id, client_secret=hashed)
    await service.account("revoke", time.time(), device=found.uuid)
    return as_json({"client_id": client_id, "client_secret": secret})


@router.get(
    "/{device}/configuration", response_class=Response, responses=answers(404) | bytes_answer("The configuration")
)
async def configuration(device: str, actor: Who, service: Its) -> Response:
    """What the device says about itself, as it uploaded it."""
    found = await service.device(device)
    return as_bytes(await read_configuration(service, found), configuration_name(found))


async def read_configuration(service: Service, device: DeviceAccount) -> bytes:
    if not device.configuration:
        raise UnknownWork(f"device {device.name!r} has uploaded no configuration.")
    return await service.search("payload", device.configuration)


def configuration_name(device: DeviceAccount) -> str:
    extension = re.sub(r"[^A-Za-z0-9]", "", device.configuration_extension) or "bin"
    return f"{device.uuid}-configuration.{extension}"


async def add_device(service: Service, name: str, **facts: Any) -> tuple[DeviceAccount, str]:
    """A new device and the secret that it logs in with."""
    secret = new_secret()
    device = DeviceAccount(
        str(uuid.uuid4()),
        name,
        client_id=str(uuid.uuid4()),
        client_secret=passwords.hashed(secret, by_us=True),
        created_at=time.time(),
        **facts,
    )
    return await service.account("add_device", device), secret


async def described(service: Service, devices: Sequence[DeviceAccount]) -> list[dict[str, Any]]:
    """Devices as users see them."""
    now, load = time.time(), await loads(service, devices)
    return [
        {
            "device_id": device.name,
            "uuid": device.uuid,
            "status": device.seen(now),
            "n_qubits": device.n_qubits,
            "slots": device.slots,
            "tags": device.tags,
            "at_site": device.at_site,
            "refreshed_at": device.refreshed_at,
            "refresh_timeout_s": device.refresh_timeout_s,
            "waiting": load[device.name][0],
            "executing": load[device.name][1],
            "configured_at": device.configured_at,
        }
        for device in devices
    ]


def _not_at_site(device: DeviceAccount) -> DeviceAccount:
    if device.at_site:
        raise WorkConflict(f"{device.name!r} is a QPU of the site: change [qpu.{device.name}] in the site file.")
    return device


async def _end_works(service: Service, device: DeviceAccount) -> None:
    """What nothing can run any more: the works that wait for this device by its name, and those that it has."""
    open_ = (WorkStatus.CREATED, WorkStatus.READY, WorkStatus.EXECUTING, WorkStatus.UPLOADING)
    facts = {"error": f"device {device.name!r} was removed from the queue", "error_kind": "unknown_device"}
    while works := await service.search("find", WorkQuery(device_id=device.name, statuses=open_), 500):
        ended = 0
        for work in works:
            try:
                await service.change("move", work.work_id, WorkStatus.ERROR, time.time(), **facts)
                ended += 1
            except WorkConflict:  # it ended by itself
                continue
        if not ended:
            return
