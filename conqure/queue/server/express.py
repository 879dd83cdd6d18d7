"""`Express`: the two requests that users wait for most are answered past the layers of the framework.

These layers take longer than what we do to accept a work or to give out its results. What they are for is done here
too: one line in the log and the metrics, the same errors in the same words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.types import Receive, Scope, Send

from .bodies import LimitedRequest
from .direct import direct
from .logs import Watch
from .metrics import Metrics

ROUTES = (("POST", "/v1/works"), ("GET", "/v1/works/{work_id}/results"))


class Express:
    """ASGI, around the layers of an application.

    Args:
        router: where the `ROUTES` are. `TypeError` if one of them is not there, or asks for more than `direct` finds.
    """

    def __init__(self, app: FastAPI, router: APIRouter, metrics: Metrics) -> None:
        self._layers, self._handlers = app.build_middleware_stack(), app.exception_handlers
        self._routes = [(method, *_route(router, method, path)) for method, path in ROUTES]
        self._watch = Watch(self._answer, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for method, route, handle in self._routes:
                if scope["method"] == method and (found := route.path_regex.match(scope["path"])):
                    scope.update({"route": route, "path_params": found.groupdict(), "conqure.handle": handle})
                    return await self._watch(scope, receive, send)
        await self._layers(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = LimitedRequest(scope, receive)
        try:
            answer = await scope["conqure.handle"](request)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in self._handlers)
            said = self._handlers[kind](request, error)
            answer = said if isinstance(said, Response) else await said
            if kind is Exception:  # a fault of ours, which the server logs
                await answer(scope, receive, send)
                raise
        await answer(scope, receive, send)


def _route(router: APIRouter, method: str, path: str) -> tuple[APIRoute, Callable[[Request], Awaitable[Response]]]:
    for route in router.routes:
        if isinstance(route, APIRoute) and route.path == path and method in (route.methods or ()):
            handle = direct(route.endpoint, path)
            if handle is not None:
                return route, handle
    raise TypeError(f"{method} {path} is no route that is direct")
