"""What our errors are on the wire, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from qpu_executors.errors import ConqureError

CODES = {
    "invalid_work": 400,
    "invalid_task": 400,
    "not_logged_in": 401,
    "not_allowed": 403,
    "unknown_work": 404,
    "unknown_device": 404,
    "unknown_user": 404,
    "already_there": 409,
    "work_conflict": 409,
    "work_not_done": 409,
    "too_large": 413,
    "too_many": 429,
    "store_error": 503,
}
_KINDS = {
    401: "not_logged_in",
    403: "not_allowed",
    404: "unknown_work",
    413: "too_large",
    422: "invalid_work",
    429: "too_many",
}
AWS = "aws"  # a mark in the state of a request: this door has other errors, and any web page may use it with a token
OPEN_TO_ALL = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"*, Authorization"),
    (b"access-control-allow-methods", b"*"),
]


class Fault(BaseModel):
    kind: str
    message: str


class Problem(BaseModel):
    """An answer that is an error."""

    error: Fault


class AWSProblem(BaseModel):
    """An answer of the AWS wire that is an error."""

    ErrorMessage: str


def answers(*codes: int, model: Any = Problem) -> dict[int | str, dict[str, Any]]:
    """For the description of a route: what else it may answer with."""
    return {code: {"model": model} for code in codes}


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ConqureError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_schema)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_nobody)


def problem(request: Request, code: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    request.state.error_kind = kind
    # What a request said may be in the message: whatever it was, what we send is UTF-8.
    message = message.encode(errors="replace").decode()
    said = (
        {"ErrorMessage": message}
        if getattr(request.state, AWS, False)
        else {"error": {"kind": kind, "message": message}}
    )
    return Response(orjson.dumps(said), code, headers, "application/json")


def code_of(error: ConqureError) -> int:
    return CODES.get(error.kind, 500)


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConqureError)
    code, headers = code_of(error), {}
    if code == 401:
        headers["WWW-Authenticate"] = getattr(error, "challenge", "Bearer")
    elif code == 429:
        headers["Retry-After"] = str(getattr(error, "retry_after", 1))
    return problem(request, code, error.kind, str(error), headers)


async def _of_schema(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    code = 400 if getattr(request.state, AWS, False) else 422
    return problem(request, code, "invalid_work", "; ".join(map(_sentence, error.errors()[:5])) + ".")


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _KINDS.get(error.status_code, "invalid_work" if error.status_code < 500 else "error")
    message = "there is nothing at this address." if error.status_code == 404 else str(error.detail)
    return problem(request, error.status_code, kind, message, dict(error.headers or {}))


async def _of_nobody(request: Request, error: Exception) -> Response:
    """A fault of ours: its text stays here."""
    return problem(request, 500, "error", "the service failed on this request; its log says why.")


def _sentence(fault: dict[str, Any]) -> str:
    where: Sequence[Any] = fault.get("loc", ())
    name = ".".join(str(part)[:40] for part in where if part != "body") or "the body"
    return f"{name}: {fault.get('msg', 'is not valid')}"
