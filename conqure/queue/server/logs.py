"""One line of JSON for each answer, and never what is secret: no token, no password, no payload, no query.

`Watch` is the one middleware of the service: it measures, counts and logs.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import AWS, OPEN_TO_ALL
from .metrics import Metrics

LOG = logging.getLogger("conqure.queue.server")
_QUIET = {"/health", "/ready", "/metrics"}


class Watch:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, code = time.perf_counter(), 500
        state = scope.setdefault("state", {})

        async def send_and_note(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                if AWS in state:
                    message["headers"] = [*message.get("headers", ()), *OPEN_TO_ALL]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._note(scope, state, code, time.perf_counter() - began)

    def _note(self, scope: Scope, state: dict[str, Any], code: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "") or ("/web" if scope["path"].startswith("/web") else "none")
        self._metrics.answered(_method(scope["method"]), path, code, seconds)
        if LOG.isEnabledFor(logging.INFO) and (code >= 500 or path not in _QUIET):
            params = scope.get("path_params") or {}
            LOG.info(
                "answered",
                extra={
                    "facts": {
                        "method": _method(scope["method"]),
                        "route": path,
                        "code": code,
                        "ms": round(seconds * 1000, 2),
                        "user": state.get("who", ""),
                        "work_id": state.get("work_id") or str(params.get("work_id", ""))[:64],
                        "error": state.get("error_kind", ""),
                        "address": (scope.get("client") or ("",))[0],
                    }
                },
            )


def _method(method: str) -> str:
    return method if method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH") else "other"


class JSONLines(logging.Formatter):
    """A record as one line of JSON; empty facts are left out."""

    def format(self, record: logging.LogRecord) -> str:
        values = {"time": round(record.created, 3), "level": record.levelname.lower(), "event": record.getMessage()}
        values |= {name: value for name, value in getattr(record, "facts", {}).items() if value not in ("", None)}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(values, default=str).decode()


def log_to_stderr(*, quiet: bool = False) -> None:
    """Let the service's log, and uvicorn's about itself, go to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    for name in ("conqure", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING if quiet or name == "uvicorn" else logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
