"""The pages of works: the list, one work, its bytes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from qpu_executors.records import Priority

from ...store import WorkQuery
from ...work import WorkRecord, WorkStatus
from .. import orders, waiting
from ..answers import as_bytes
from ..rights import Actor
from ..service import Its, Service
from ..works import find_works
from .guard import fragment
from .payloads import counts_view, program_view
from .timeline import history
from .visitor import Posted, Visitor, base, go, html, page

router = APIRouter()
PAGE = 25
SOURCES = ("queue", "parsl", "dask", "openmpq", "threads")
_FILTERS = ("whose", "device", "status", "priority", "source")
_HEADS = 50  # works of each line and priority that a list looks through for places


@router.get("/works")
async def list_works(request: Request, actor: Visitor, service: Its) -> Response:
    values = await _works(request, actor, service)
    known = await service.devices()
    return page(
        request,
        "works.html",
        actor,
        here="works",
        names=[device.name for device in known],
        statuses=list(WorkStatus),
        priorities=list(Priority),
        sources=SOURCES,
        **values,
    )


@router.get("/works/part")
async def list_works_part(request: Request, actor: Visitor, service: Its) -> Response:
    return fragment(request, html(request, "_works.html", actor, **await _works(request, actor, service)))


@router.get("/works/{work_id}")
async def show_work(work_id: str, request: Request, actor: Visitor, service: Its) -> Response:
    work = await orders.find(service, actor, work_id)
    row = _row(request.query_params)
    program = await asyncio.to_thread(program_view, service.works, work, row)
    values = await _work(request, service, work, row)
    return page(request, "work.html", actor, here="works", program=program, **values)


@router.get("/works/{work_id}/part")
async def show_work_part(work_id: str, request: Request, actor: Visitor, service: Its) -> Response:
    work = await orders.find(service, actor, work_id)
    values = await _work(request, service, work, _row(request.query_params))
    return fragment(request, html(request, "_work.html", actor, **values))


@router.get("/works/{work_id}/workload")
async def download_workload(work_id: str, actor: Visitor, service: Its) -> Response:
    work = await orders.find(service, actor, work_id)
    return as_bytes(await orders.workload(service, work), f"{work.work_id}-work")


@router.get("/works/{work_id}/results")
async def download_results(work_id: str, actor: Visitor, service: Its) -> Response:
    work = await orders.find(service, actor, work_id)
    return as_bytes(await orders.results(service, work), f"{work.work_id}-output")


@router.post("/works/{work_id}/cancel")
async def cancel(work_id: str, request: Request, actor: Visitor, service: Its, form: Posted) -> Response:
    work = await orders.cancel(service, actor, work_id, f"canceled by {actor.user_id}")
    return go(request, f"/works/{work.work_id}")


async def _works(request: Request, actor: Actor, service: Service) -> dict[str, Any]:
    """What the list shows, by the filters and the place that the address names."""
    chosen = _chosen(request.query_params, actor)
    cursor = request.query_params.get("cursor", "")
    query = WorkQuery(
        owner="" if chosen["whose"] else actor.user_id,
        device_id=chosen["device"],
        statuses=(WorkStatus(chosen["status"]),) if chosen["status"] else (),
        priority=Priority(chosen["priority"]) if chosen["priority"] else None,
        source=chosen["source"],
        before=_before(cursor),
    )
    works = await find_works(service, actor, query, PAGE + 1)
    last = works[PAGE - 1] if len(works) > PAGE else None
    asked = {name: value for name, value in chosen.items() if value}
    address = f"{base(request)}/works"
    return {
        "works": works[:PAGE],
        "positions": await _places(service, works[:PAGE]),
        "chosen": chosen | {"any": bool(asked)},
        "live": f"{address}/part?{urlencode(asked | ({'cursor': cursor} if cursor else {}))}",
        "older": f"{address}?{urlencode(asked | {'cursor': f'{last.created_at!r}_{last.work_id}'})}" if last else "",
        "newest": f"{address}?{urlencode(asked)}" if cursor else "",
    }


def _chosen(asked: QueryParams, actor: Actor) -> dict[str, str]:
    """The filters; a value that is none of the choices does not filter."""
    chosen = {name: asked.get(name, "").strip()[:256] for name in _FILTERS}
    choices = {"whose": ("all",) if actor.is_admin else (), "status": tuple(WorkStatus), "priority": tuple(Priority)}
    for name, known in choices.items():
        chosen[name] = chosen[name] if chosen[name] in known else ""
    return chosen


def _before(cursor: str) -> tuple[float, str] | None:
    created_at, _, work_id = cursor.partition("_")
    try:
        return (float(created_at), work_id[:36]) if cursor else None
    except ValueError:
        return None


async def _places(service: Service, works: Sequence[WorkRecord]) -> dict[str, str]:
    """How many works are before each of those that wait, in words; exact for the heads of the lines."""
    waits = [work for work in works if work.status is WorkStatus.READY and work.source == "queue"]
    if not waits:
        return {}
    # Of each line and priority the first _HEADS come, so a place that is smaller is exact.
    heads = await service.search("waiting", {work.device_id for work in waits}, _HEADS)
    places: dict[str, str] = {}
    before: Counter[str] = Counter()
    for head in heads:
        if (place := before[head.device_id]) < _HEADS:
            places[head.work_id] = f"{place} before it" if place else "next"
        before[head.device_id] += 1
    return {work.work_id: places.get(work.work_id, f"{_HEADS} or more before it") for work in waits}


async def _work(request: Request, service: Service, work: WorkRecord, row: int) -> dict[str, Any]:
    counts = await asyncio.to_thread(counts_view, service.works, work, row)
    address = f"{base(request)}/works/{work.work_id}"
    return {
        "work": work,
        "stages": history(work),
        "position": await waiting.position(service, work) if work.status is WorkStatus.READY else None,
        "counts": None if isinstance(counts, str) else counts,
        "why_no_counts": counts if isinstance(counts, str) else "",
        "here_url": address,
        "live": f"{address}/part?row={row}",
    }


def _row(asked: QueryParams) -> int:
    text = asked.get("row", "1")
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
