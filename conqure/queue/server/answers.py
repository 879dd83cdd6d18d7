"""Answers as JSON, written by orjson: records as they are, without a copy."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response

_OPTIONS = orjson.OPT_NON_STR_KEYS
BYTES = "application/octet-stream"


def as_json(value: Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value, option=_OPTIONS), code, headers, "application/json")


def as_bytes(payload: bytes, name: str = "", headers: dict[str, str] | None = None) -> Response:
    """Bytes as they are: what somebody handed in is never shown by a browser, only kept."""
    safe = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    safe["Content-Disposition"] = f'attachment; filename="{name}"' if name else "attachment"
    return Response(payload, 200, safe | (headers or {}), BYTES)
