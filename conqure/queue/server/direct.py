"""The short way to an endpoint's arguments, for those that need only a few.

FastAPI's general way takes longer than all that we do to accept a work. An endpoint goes the short way if it asks for
nothing but the service, who asks, the request, parts of the path and a body, and gives a `Response`. It is described
like any other, and its errors are the same.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from .service import Its
from .who import ThatAdmin, ThatUser, Who, that_admin, that_user, who

Find = Callable[[Request], Awaitable[Any]]
Handle = Callable[[Request], Coroutine[Any, Any, Response]]


def direct(endpoint: Callable[..., Any], path: str) -> Handle | None:
    """What answers a request to this path, or None where the endpoint asks for more."""
    hints = get_type_hints(endpoint, include_extras=True)
    found = {name: _find(name, hints[name], path) for name in inspect.signature(endpoint).parameters}
    if hints.get("return") is not Response or None in found.values():
        return None
    finds = sorted(found.items(), key=lambda item: isinstance(item[1], _Body))  # who asks comes before what they say

    async def handle(request: Request) -> Response:
        return await endpoint(**{name: await find(request) for name, find in finds})  # type: ignore[misc]

    return handle


def _find(name: str, wanted: Any, path: str) -> Find | None:
    for kind, find in _KNOWN:
        if wanted == kind:
            return find
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return _Body(wanted)
    return _Part(name) if wanted is str and f"{{{name}}}" in path else None


async def _its(request: Request) -> Any:
    return request.app.state.service


async def _request(request: Request) -> Any:
    return request


async def _user(request: Request) -> Any:
    return await that_user(await who(request))


async def _admin(request: Request) -> Any:
    return await that_admin(await who(request))


_KNOWN: tuple[tuple[Any, Find], ...] = (
    (Its, _its),
    (Request, _request),
    (Who, who),
    (ThatUser, _user),
    (ThatAdmin, _admin),
)


class _Part:
    """A part of the path."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, request: Request) -> Any:
        return request.path_params[self._name]


class _Body:
    """The body, as the model says."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._validate = model.__pydantic_validator__.validate_python

    async def __call__(self, request: Request) -> Any:
        try:
            return self._validate(await _json(request), from_attributes=True)  # as FastAPI does: the same words
        except ValidationError as error:
            faults = [fault | {"loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
            raise RequestValidationError(faults) from None


async def _json(request: Request) -> Any:
    """What the body says; bytes, which no model takes, where it is not said to be JSON."""
    body = await request.body()
    if not body:
        raise RequestValidationError([{"loc": ("body",), "msg": "Field required"}])
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json" and not (said.startswith("application/") and said.endswith("+json")):
        return body
    try:
        return await request.json()
    except json.JSONDecodeError as error:
        raise RequestValidationError([{"loc": ("body", error.pos), "msg": "JSON decode error"}]) from None
