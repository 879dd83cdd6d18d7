"""Who looks at the page: a browser with a cookie, which holds what refreshes a login and ends with that login."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from qpu_executors.errors import NotLoggedIn

from ..accounts import LOGIN
from ..rights import Actor, an_admin
from ..service import Its, Service
from ..tokens import digest
from .guard import form_token, read_form
from .rendering import render

SESSION, VISIT = "conqure_session", "conqure_visit"  # a login; and before it, what the form to log in belongs to


async def visitor(request: Request, service: Its) -> Actor:
    """The user whose cookie this is; `NotLoggedIn` where there is none, or its login is over."""
    session = await asyncio.to_thread(service.accounts.session_of_secret, digest(request.cookies.get(SESSION, "")))
    if session is None or session.kind != LOGIN or session.revoked_at or session.expires_at < time.time():
        raise NotLoggedIn("log in first.")
    user = await asyncio.to_thread(service.accounts.find_user, session.user_id or "")
    if user is None or not user.is_active:
        raise NotLoggedIn("this account is closed.")
    request.state.who = user.user_id
    service.limits.request(user.user_id)
    return Actor(session.token_id, session.kind, user.user_id, user.full_name, user.is_admin)


Visitor = Annotated[Actor, Depends(visitor)]


async def administrator(actor: Visitor) -> Actor:
    return an_admin(actor)


Administrator = Annotated[Actor, Depends(administrator)]


async def posted(request: Request, service: Its) -> AsyncIterator[FormData]:
    """The fields of a form that a page of this login has sent."""
    form = await read_form(request, service.tokens.form_key, request.cookies.get(SESSION, ""))
    yield form
    await form.close()


Posted = Annotated[FormData, Depends(posted)]


def field(form: FormData, name: str) -> str:
    """The text of a field, without the space around it; empty if it is not there."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def base(request: Request) -> str:
    """The path below which the pages are, with what a proxy puts in front."""
    return str(request.scope.get("root_path", ""))


def page(
    request: Request, template: str, actor: Actor | None = None, *, status: int = 200, visit: str = "", **values: Any
) -> Response:
    """A whole page; ``here`` among the values marks the place in the menu."""
    return HTMLResponse(html(request, template, actor, visit=visit, **values), status)


def html(request: Request, template: str, actor: Actor | None = None, *, visit: str = "", **values: Any) -> str:
    service: Service = request.app.state.service
    token = form_token(service.tokens.form_key, visit or request.cookies.get(SESSION, ""))
    root = base(request).removesuffix("/web")
    return render(template, base=base(request), root=root, user=actor, form_token=token, now=time.time(), **values)


def go(request: Request, path: str) -> Response:
    """After a form: show another page."""
    return RedirectResponse(base(request) + path, 303)


def new_visit() -> str:
    return secrets.token_urlsafe(24)


def set_cookie(request: Request, answer: Response, name: str, value: str, seconds: float | None = None) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=None if seconds is None else int(seconds),
        path=base(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def drop_cookie(request: Request, answer: Response, name: str) -> None:
    answer.delete_cookie(name, path=base(request) or "/", httponly=True, samesite="strict")
