"""The web page of the service: plain pages from the server, at ``/web``, that also work without JavaScript.

```
mount ─┬ interface_page
       ├ people_pages, device_pages ─┐
       ├ submit_page ─ forms ─────────┼ visitor: whose cookie it is     guard: headers, form tokens, limits
       │   └ translating: OpenQASM, read in a process of its own        rendering: templates to HTML
       └ pages ───────────────────────┘
           └ payloads ─ charts, circuits ─ symbols ─ svg                timeline, words: pure functions
```
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from qpu_executors.errors import ConqureError, NotLoggedIn

from ..errors import code_of
from . import device_pages, interface_page, pages, people_pages, submit_page
from .guard import Headers
from .rendering import FOLDER
from .visitor import SESSION, base, drop_cookie, page

PATH = "/web"


def mount(app: FastAPI) -> None:
    """Put the page at ``/web`` of the service, and send there who opens the service itself."""
    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    site.state = app.state
    app.state.translating = asyncio.Semaphore(2)  # processes that read circuits
    for part in (people_pages, device_pages, submit_page, interface_page, pages):
        site.include_router(part.router)
    site.mount("/static", StaticFiles(directory=FOLDER / "static"))
    site.add_middleware(Headers)
    site.add_exception_handler(ConqureError, _of_ours)
    site.add_exception_handler(HTTPException, _of_http)
    site.add_exception_handler(RequestValidationError, _of_schema)
    app.mount(PATH, site)
    app.state.describe = lambda: app.openapi()  # as it is once all routes are there
    for path in ("/", PATH):
        app.add_api_route(path, _front, include_in_schema=False)
    app.add_api_route("/docs", _interface, include_in_schema=False)
    site.add_api_route("/", _works)


async def _front(request: Request) -> Response:
    return RedirectResponse(f"{base(request)}{PATH}/works")


async def _interface(request: Request) -> Response:
    return RedirectResponse(f"{base(request)}{PATH}/interface")


async def _works(request: Request) -> Response:
    return RedirectResponse(f"{base(request)}/works")


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConqureError)
    if isinstance(error, NotLoggedIn):
        return _log_in_first(request)
    request.state.error_kind = error.kind
    return _message(request, code_of(error), str(error))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _message(request, error.status_code, f"{error.detail}.")


async def _of_schema(request: Request, error: Exception) -> Response:
    return _message(request, 422, "this address is not complete.")


def _message(request: Request, code: int, text: str) -> Response:
    headings = {403: "Not allowed", 404: "Not found", 409: "Not possible", 413: "Too large", 429: "Too many"}
    heading = headings.get(code, "That did not work")
    return page(request, "message.html", status=code, heading=heading, message=text, here="")


def _log_in_first(request: Request) -> Response:
    """To the form, and back afterwards. live.js, which asks for parts of pages, learns it by the code."""
    path = request.scope["path"].removeprefix(base(request))
    if path.endswith("/part"):
        return Response(status_code=401)
    if SESSION not in request.cookies and request.headers.get("sec-fetch-site") == "cross-site":
        # A link on another site was followed: the browser keeps our cookie back this once, and not when the page
        # asks by itself.
        return HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0"><title>CONQURE</title>')
    place = path + (f"?{request.url.query}" if request.url.query else "")
    after = f"?{urlencode({'next': place})}" if request.method == "GET" and place != "/works" else ""
    answer = RedirectResponse(f"{base(request)}/login{after}", 303)
    drop_cookie(request, answer, SESSION)
    return answer
