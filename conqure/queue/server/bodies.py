"""Bodies: read no further than they may be long, and as JSON with a fast reader that knows no surprises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from qpu_executors.errors import NotLoggedIn

from .direct import direct
from .errors import AWS

SILENCE_S = 30.0  # of a sender, in the middle of a body
_CLOSE = {"Connection": "close"}
_SHORT = 2**16  # bytes of a body that anybody may send
_MANY = 2**20  # bytes of JSON that another thread reads, so that the others are not held up


class LimitedRequest(Request):
    """A request whose body ends in an error where it is too long, whatever its headers say."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_body(self, self.app.state.service.settings.max_json, self._check_token)
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        return await run_in_threadpool(orjson.loads, body) if len(body) > _MANY else orjson.loads(body)

    def _check_token(self) -> None:
        """A body is read before a route asks who sent it; so a stranger's must not be long."""
        token = self.headers.get("authorization", "").partition(" ")[2]
        try:
            self.app.state.service.tokens.read(token.strip())
        except NotLoggedIn as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"} | _CLOSE) from None


class Route(APIRoute):
    """A route of ours: its bodies are limited."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = direct(self.endpoint, self.path) or super().get_route_handler()

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


async def read_body(request: Request, most: int, check: Callable[[], None] | None = None) -> bytes:
    """The whole body; 413 as soon as it is longer than ``most`` bytes, 408 when nothing comes for a while.

    Args:
        check: called once where it is not short; raises if this sender must not send so much.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > most:
        raise too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(SILENCE_S) as patience:
            async for part in Request.stream(request):
                size += len(part)
                if size > most:
                    raise too_large(most)
                if check is not None and size > _SHORT:
                    check()
                    check = None
                parts.append(part)
                patience.reschedule(asyncio.get_running_loop().time() + SILENCE_S)
    except TimeoutError:
        raise HTTPException(408, f"nothing came for {SILENCE_S:g} s, and the body is not complete.", _CLOSE) from None
    except ClientDisconnect:  # no fault of ours, and nobody reads the answer
        raise HTTPException(400, "the sender left before the body was complete.") from None
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
