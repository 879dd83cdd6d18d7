"""The pages of devices: the list, and for administrators a new one, a new secret, and its removal."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from qpu_executors.errors import ConqureError, InvalidWork

from .. import devices
from ..accounts import user_id_of
from ..errors import code_of
from ..rights import Actor
from ..service import Its, Service
from .guard import fragment
from .visitor import Administrator, Posted, Visitor, base, field, go, html, page

router = APIRouter()


@router.get("/devices")
async def list_devices(request: Request, actor: Visitor, service: Its) -> Response:
    return await _page(request, actor, service)


@router.get("/devices/part")
async def list_devices_part(request: Request, actor: Visitor, service: Its) -> Response:
    return fragment(request, html(request, "_devices.html", actor, **await _devices(request, service)))


@router.post("/devices")
async def add_device(request: Request, actor: Administrator, service: Its, form: Posted) -> Response:
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        device, secret = await devices.add_device(service, field(form, "device_id"), **_facts(form))
    except ConqureError as error:
        return await _page(request, actor, service, given=given, error=str(error), status=code_of(error))
    return await _made(request, actor, service, device.name, device.client_id, secret)


@router.get("/devices/{device_id}")
async def show_device(device_id: str, request: Request, actor: Administrator, service: Its) -> Response:
    return await _one(request, actor, service, device_id)


@router.post("/devices/{device_id}/secret")
async def renew_secret(device_id: str, request: Request, actor: Administrator, service: Its, form: Posted) -> Response:
    made = json.loads(bytes((await devices.renew_secret(device_id, actor, service)).body))
    name = (await service.device(device_id)).name
    return await _made(request, actor, service, name, made["client_id"], made["client_secret"])


@router.post("/devices/{device_id}/remove")
async def remove_device(device_id: str, request: Request, actor: Administrator, service: Its, form: Posted) -> Response:
    name = (await service.device(device_id)).name
    if field(form, "sure") != name:
        return await _one(request, actor, service, device_id, f"to remove {name!r}, type its name.", 400)
    await devices.remove(device_id, actor, service)
    return go(request, "/devices")


def _facts(form: FormData) -> dict[str, Any]:
    def words(name: str) -> tuple[str, ...]:
        return tuple(field(form, name).replace(",", " ").split())

    return {
        "n_qubits": _whole(form, "n_qubits", 0, 0, 100_000),
        "slots": _whole(form, "slots", 1, 1, 1000),
        "refresh_timeout_s": float(_whole(form, "refresh_timeout_s", 60, 1, 86_400)),
        "tags": words("tags"),
        "users": tuple(map(user_id_of, words("users"))),
    }


def _whole(form: FormData, name: str, default: int, low: int, high: int) -> int:
    text = field(form, name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise InvalidWork(f"{name} must be a whole number from {low} to {high:,}, not {text[:40]!r}.")
    return int(text)


async def _devices(request: Request, service: Service) -> dict[str, Any]:
    found = await devices.described(service, await service.devices())
    return {"devices": found, "live": f"{base(request)}/devices/part"}


async def _page(request: Request, actor: Actor, service: Service, *, status: int = 200, **values: Any) -> Response:
    shown = {"given": {}, "here": "devices"} | await _devices(request, service) | values
    return page(request, "devices.html", actor, status=status, **shown)


async def _made(
    request: Request, actor: Actor, service: Service, name: str, client_id: str, client_secret: str
) -> Response:
    made = {"device_id": name, "client_id": client_id, "client_secret": client_secret}
    return await _page(request, actor, service, made=made)


async def _one(
    request: Request, actor: Actor, service: Service, device_id: str, error: str = "", status: int = 200
) -> Response:
    [found] = await devices.described(service, [await service.device(device_id)])
    return page(request, "device.html", actor, status=status, device=found, error=error, here="devices")
