"""Bodies: read no further than they may be long, and as JSON with a fast reader that knows no surprises."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from .errors import AWS

_MANY = 2**20  # bytes of JSON that another thread reads, so that the others are not held up


class LimitedRequest(Request):
    """A request whose body ends in an error where it is too long, whatever its headers say."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_body(self, self.app.state.service.settings.max_json)
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        return await run_in_threadpool(orjson.loads, body) if len(body) > _MANY else orjson.loads(body)


class Route(APIRoute):
    """A route of ours: its bodies are limited."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handle(LimitedRequest(request.scope, request.receive))

        return limited


class AWSRoute(APIRoute):
    """A route of the AWS wire: its errors have another form, and any web page may use it with a token."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def open_to_all(request: Request) -> Response:
            setattr(request.state, AWS, True)
            return await handle(LimitedRequest(request.scope, request.receive))

        return open_to_all


async def read_body(request: Request, most: int) -> bytes:
    """The whole body; 413 as soon as it is longer than ``most`` bytes."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > most:
        raise too_large(most)
    parts, size = [], 0
    async for part in Request.stream(request):
        size += len(part)
        if size > most:
            raise too_large(most)
        parts.append(part)
    return b"".join(parts)


def too_large(most: int) -> HTTPException:
    return HTTPException(413, f"more than {most:,} bytes, which is the most that this service takes.")


def bytes_body() -> dict[str, Any]:
    """For the description of a route whose body is bytes."""
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": schema}}}}


def bytes_answer(about: str, code: int = 200) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"}
    return {code: {"description": about, "content": {"application/octet-stream": {"schema": schema}}}}
