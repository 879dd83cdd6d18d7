"""For those who run the service: does it answer, does its store, and what Prometheus collects."""

from __future__ import annotations

import asyncio
import ipaddress

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from qpu_executors.errors import NotAllowed

from .answers import as_json
from .bodies import Route
from .errors import answers
from .service import Its
from .who import address_of, who

router = APIRouter(tags=["operators"], route_class=Route)


class Health(BaseModel):
    status: str
    version: str
    site: str = ""


class Ready(BaseModel):
    status: str


@router.get("/health", response_model=Health)
async def health(service: Its) -> Response:
    """The process answers."""
    import conqure

    return as_json({"status": "ok", "version": conqure.__version__, "site": service.settings.site})


@router.get("/ready", response_model=Ready, responses=answers(503))
async def ready(service: Its) -> Response:
    """The store answers too."""
    await asyncio.to_thread(service.works.lines)
    return as_json({"status": "ready"})


@router.get("/metrics", response_class=Response, responses=answers(401, 403, 429))
async def metrics(service: Its, request: Request) -> Response:
    """For Prometheus: from this machine, or with an admin's token."""
    if not _is_here(request):
        actor = await who(request)
        if not actor.is_admin:
            raise NotAllowed("metrics are for administrators, or for programs on the machine of the service.")
    text = await asyncio.to_thread(service.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _is_here(request: Request) -> bool:
    """Whether it comes from this machine itself, not through a proxy on it."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip")):
        return False
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False
