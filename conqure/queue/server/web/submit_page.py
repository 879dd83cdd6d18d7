"""The page that submits a work."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from qpu_executors.errors import ConqureError, WorkConflict
from qpu_executors.records import Priority

from ...work import new_work_id
from .. import orders
from ..errors import code_of
from ..rights import Actor
from ..service import Its, Service
from .forms import EXAMPLE, Submission
from .guard import SMALL_FORM, read_form
from .visitor import SESSION, Visitor, go, page

router = APIRouter()


@router.get("/submit")
async def show_submit(request: Request, actor: Visitor, service: Its) -> Response:
    given = Submission(device_id=request.query_params.get("device", "any"), work_id=new_work_id())
    return await _page(request, actor, service, given)


@router.post("/submit")
async def submit(request: Request, actor: Visitor, service: Its) -> Response:
    most = service.settings.max_workload + SMALL_FORM
    form = await read_form(request, service.tokens.form_key, request.cookies.get(SESSION, ""), most)
    given = await _submission(form)
    try:
        async with request.app.state.translating:
            format, workload = await asyncio.to_thread(given.workload)
        priority = Priority(given.priority) if given.priority in list(Priority) else Priority.LOW
        order = orders.Order(given.device_id, priority, format, workload, given.name, work_id=given.work_id)
        work, _ = await orders.create(service, actor, order)
    except WorkConflict:  # the form was sent twice: the first one counts
        work = await orders.find(service, actor, given.work_id)
    except ConqureError as error:
        return await _page(request, actor, service, given, str(error), code_of(error))
    request.state.work_id = work.work_id
    return go(request, f"/works/{work.work_id}")


async def _submission(form: FormData) -> Submission:
    upload = form.get("file")
    content = await upload.read() if isinstance(upload, UploadFile) else b""
    await form.close()
    return Submission.read(form, content)


async def _page(
    request: Request, actor: Actor, service: Service, given: Submission, error: str = "", status: int = 200
) -> Response:
    return page(
        request,
        "submit.html",
        actor,
        status=status,
        here="submit",
        error=error,
        given=given,
        names=[device.name for device in await service.devices()],
        priorities=list(Priority),
        largest=service.settings.max_workload,
        example=EXAMPLE,
    )
