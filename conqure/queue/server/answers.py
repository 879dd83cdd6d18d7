"""Answers as JSON, written by orjson: records as they are, without a copy."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
from fastapi import Request, Response

_OPTIONS = orjson.OPT_NON_STR_KEYS
BYTES = "application/octet-stream"
_LONG = 2**12  # bytes of an answer; a shorter one fits into few packets anyway
_NOT_KEPT = {"Cache-Control": "no-store"}  # by no proxy: a URL that carries its own right needs no token


def as_json(value: Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value, option=_OPTIONS), code, _NOT_KEPT | (headers or {}), "application/json")


def as_list(request: Request, value: Any) -> Response:
    """JSON that may be long: compressed for those who ask. For v1 only: old clients keep bytes as they come."""
    answer = as_json(value, headers={"Vary": "Accept-Encoding"})
    if len(answer.body) > _LONG and "gzip" in request.headers.get("accept-encoding", ""):
        packed = gzip.compress(answer.body, compresslevel=1)
        return Response(packed, 200, {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"}, "application/json")
    return answer


def as_bytes(payload: bytes, name: str = "", headers: dict[str, str] | None = None) -> Response:
    """Bytes as they are: what somebody handed in is never shown by a browser, only kept."""
    safe = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    safe["Content-Disposition"] = f'attachment; filename="{name}"' if name else "attachment"
    return Response(payload, 200, _NOT_KEPT | safe | (headers or {}), BYTES)
