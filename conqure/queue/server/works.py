"""v1: the works of a user."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from qpu_executors.errors import InvalidWork
from qpu_executors.records import Priority

from ..store import WorkQuery
from ..work import WorkStatus, new_work_id
from . import orders
from .answers import as_bytes, as_json, as_list
from .bodies import Route, bytes_answer, bytes_body, read_body
from .claimants import Instance, claimant
from .errors import answers
from .models import Cancel, NewWork, Printable, Seconds, Work, Works
from .rights import Actor
from .service import Its, Service
from .who import ThatUser, Who

router = APIRouter(
    prefix="/v1/works", tags=["works"], route_class=Route, responses=answers(401, 403, 413, 422, 429, 503)
)
MOST = 500
Filter = Annotated[Printable, Query(max_length=256)]


@router.post("", status_code=201, response_model=Work, responses=answers(200, model=Work) | answers(400, 404, 409))
async def create(order: NewWork, actor: ThatUser, service: Its, request: Request) -> Response:
    """Accept a work. 200 where this work_id is there already with the same workload."""
    try:
        payload = order.payload()
    except ValueError as error:
        raise InvalidWork(f"{error}.") from None
    work, is_new = await orders.create(
        service,
        actor,
        orders.Order(
            order.device_id,
            order.priority,
            order.format,
            payload,
            order.name,
            order.loop,
            order.convergence,
            order.work_id or new_work_id(),
        ),
    )
    request.state.work_id = work.work_id
    return as_json(work, 201 if is_new else 200)


@router.put("/{work_id}/workload", response_model=Work, responses=answers(400, 404, 409), openapi_extra=bytes_body())
async def upload(work_id: str, actor: ThatUser, service: Its, request: Request) -> Response:
    """Take the workload of a work that was created without one; it is READY then."""
    work = await orders.find(service, actor, work_id)
    return as_json(await orders.upload(service, work, await read_body(request, service.settings.max_workload)))


@router.get("", response_model=Works, responses=answers(400))
async def list_works(
    actor: Who,
    service: Its,
    request: Request,
    owner: Filter = "",
    device_id: Filter = "",
    status: Annotated[list[WorkStatus] | None, Query(max_length=7)] = None,
    priority: Priority | None = None,
    source: Filter = "",
    loop: Filter = "",
    since: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Annotated[Printable, Query(max_length=80)] = "",
    instance: Instance = "",
) -> Response:
    """Works, newest first: a user's own, for an admin those of all, for a device's client what it was given."""
    query = WorkQuery(owner, device_id, tuple(status or ()), priority, source, loop, since, _before(cursor))
    if actor.device:
        found = await _works_of(service, claimant(await service.device(actor.device), instance), query, limit)
    else:
        found = await find_works(service, actor, query, limit)
    last = found[-1] if len(found) == limit else None
    return as_list(request, {"works": found, "cursor": f"{last.created_at!r}_{last.work_id}" if last else None})


@router.get("/{work_id}", response_model=Work, responses=answers(404))
async def get(
    work_id: str,
    actor: Who,
    service: Its,
    wait: Annotated[Seconds, Query()] = 0.0,
    seen: Annotated[WorkStatus | None, Query()] = None,
) -> Response:
    """The record; with ``wait`` and ``seen`` only when its status is another one, or the time is over."""
    work = await orders.wait(service, actor, work_id, wait, seen or "")
    return as_json(await orders.describe(service, work))


@router.post("/{work_id}/cancel", response_model=Work, responses=answers(404, 409))
async def cancel(work_id: str, actor: ThatUser, service: Its, order: Cancel | None = None) -> Response:
    """End a work that waits; ask that one that runs ends."""
    return as_json(await orders.cancel(service, actor, work_id, order.reason if order else ""))


@router.get("/{work_id}/workload", response_class=Response, responses=answers(404) | bytes_answer("The workload"))
async def workload(work_id: str, actor: Who, service: Its) -> Response:
    """The bytes that the owner handed in."""
    work = await orders.find(service, actor, work_id)
    return as_bytes(await orders.workload(service, work), f"{work.work_id}-work", {"X-Conqure-Format": work.format})


@router.get("/{work_id}/results", response_class=Response, responses=answers(404, 409) | bytes_answer("The results"))
async def results(work_id: str, actor: Who, service: Its) -> Response:
    """The bytes that came back; ``X-Conqure-Format`` says of which format of workload."""
    work = await orders.find(service, actor, work_id)
    return as_bytes(await orders.results(service, work), f"{work.work_id}-output", {"X-Conqure-Format": work.format})


async def find_works(service: Service, actor: Actor, query: WorkQuery, limit: int) -> list[Work]:
    """Those of the works that this user may see."""
    if not actor.is_admin:
        if query.owner not in ("", actor.user_id):
            return []
        query = replace(query, owner=actor.user_id)
    return await service.search("find", query, limit)


async def _works_of(service: Service, by: str, query: WorkQuery, limit: int) -> list[Work]:
    """Those that one client of a device has; also those that it had, if it asks for their status."""
    statuses = query.statuses or (WorkStatus.EXECUTING, WorkStatus.UPLOADING)
    found = await service.search("find", replace(query, statuses=statuses), 10_000)
    return [work for work in found if work.claimed_by == by][:limit]


def _before(cursor: str) -> tuple[float, str] | None:
    if not cursor:
        return None
    created_at, _, work_id = cursor.partition("_")
    try:
        return float(created_at), work_id
    except ValueError:
        raise InvalidWork(f"cursor {cursor!r} is none of ours. Take the one of the last answer, or none.") from None
