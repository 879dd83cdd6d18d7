"""What protects the page: headers, the token in every form, limits on what a form may hold.

The cookie is HttpOnly and SameSite=Strict, so another site's form comes without it; the token in the form holds where a
browser, or another service on the same host, does not keep to that. No script or style is ever inline.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qpu_executors.errors import NotAllowed, TooLarge

SMALL_FORM = 2**16  # bytes: every form but the one that submits a work

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Headers:
    """ASGI middleware: every answer of the page says what a browser may do with it, and that it is not kept."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                is_ours = "/static/" in scope["path"]  # named with a version, so it may be kept
                headers.setdefault("Cache-Control", "public, max-age=86400" if is_ours else "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


def form_token(key: bytes, session: str) -> str:
    """What a form of this session carries; without the key and the session's cookie nobody can make it."""
    return hmac.new(key, b"form:" + session.encode(), hashlib.sha256).hexdigest()


async def read_form(request: Request, key: bytes, session: str, most: int = SMALL_FORM) -> FormData:
    """The fields of a form that came from a page of ours.

    Raises:
        TooLarge: it has more than ``most`` bytes. NotAllowed: it is another site's form, or one of an older login.
    """
    _limit(request, most)
    form = await request.form(max_files=1, max_fields=30, max_part_size=most)
    given = form.get("form_token")
    same = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not (same and session and isinstance(given, str) and _equal(given, form_token(key, session))):
        await form.close()
        raise NotAllowed("this form is not from this login any more. Load the page again, then send it once more.")
    return form


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _limit(request: Request, most: int) -> None:
    """Stop reading a body that is larger than it may be, whatever its headers say."""
    read, receive = 0, request._receive

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise TooLarge(f"this form has more than {most:,} bytes. For larger workloads use conqure work create.")
        return message

    request._receive = limited


def fragment(request: Request, html: str) -> Response:
    """Part of a page for live.js: 304 while it is what the browser has."""
    etag = f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    headers: dict[str, Any] = {"ETag": etag}
    if etag in request.headers.get("if-none-match", ""):  # a proxy that compresses puts W/ in front
        return Response(status_code=304, headers=headers)
    return HTMLResponse(html, headers=headers)
