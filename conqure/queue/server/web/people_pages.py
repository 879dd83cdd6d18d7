"""The pages of people: log in and out, the account with its tokens, and for administrators the users."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from qpu_executors.errors import ConqureError, InvalidWork, NotAllowed

from .. import logins, passwords, people
from ..accounts import PERSONAL
from ..errors import code_of
from ..models import UserChange
from ..rights import Actor
from ..service import Its, Service
from ..who import address_of
from .guard import read_form
from .visitor import (
    SESSION,
    VISIT,
    Administrator,
    Posted,
    Visitor,
    base,
    drop_cookie,
    field,
    go,
    new_visit,
    page,
    set_cookie,
)

router = APIRouter()
_CHANGES = {
    "open": UserChange(is_active=True),
    "close": UserChange(is_active=False),
    "admin": UserChange(is_admin=True),
    "user": UserChange(is_admin=False),
}


@router.get("/login")
async def show_login(request: Request) -> Response:
    return login_page(request, next=request.query_params.get("next", ""))


@router.post("/login")
async def log_in(request: Request, service: Its) -> Response:
    visit = request.cookies.get(VISIT, "")
    try:
        form = await read_form(request, service.tokens.form_key, visit)
    except NotAllowed:
        return login_page(request, error="the page to log in was open for too long. Try once more.", status=403)
    email, place = field(form, "email"), field(form, "next")
    try:
        granted = await logins.log_in(service, email, str(form.get("password", "")), address_of(request))
    except ConqureError as error:
        return login_page(request, email=email, next=place, error=str(error), status=code_of(error))
    answer = go(request, _within(place))
    set_cookie(request, answer, SESSION, granted.refresh_token, service.settings.refresh_s)
    drop_cookie(request, answer, VISIT)
    return answer


@router.post("/logout")
async def log_out(request: Request, actor: Visitor, service: Its, form: Posted) -> Response:
    await logins.log_out(service, actor)
    answer = go(request, "/login")
    drop_cookie(request, answer, SESSION)
    return answer


@router.get("/account")
async def show_account(request: Request, actor: Visitor, service: Its) -> Response:
    return await _account(request, actor, service)


@router.post("/account/password")
async def change_password(request: Request, actor: Visitor, service: Its, form: Posted) -> Response:
    old, new = str(form.get("old", "")), str(form.get("new", ""))
    try:
        await people.change_own_password(service, actor.user_id, old, new, address_of(request))
    except ConqureError as error:
        return await _account(request, actor, service, error=str(error), status=code_of(error))
    return go(request, "/login")


@router.post("/account/tokens")
async def add_token(request: Request, actor: Visitor, service: Its, form: Posted) -> Response:
    name, days = field(form, "name"), field(form, "days")
    try:
        if not (name.isprintable() and 0 < len(name) <= 200 and days.isdecimal() and len(days) < 6):
            raise InvalidWork("a token has a name of at most 200 printable characters, and a number of days.")
        granted = await logins.personal_token(service, actor, name, int(days))
    except ConqureError as error:
        return await _account(request, actor, service, error=str(error), status=code_of(error))
    return await _account(request, actor, service, made={"name": name, "token": granted.token})


@router.post("/account/tokens/{token_id}/revoke")
async def revoke_token(token_id: str, request: Request, actor: Visitor, service: Its, form: Posted) -> Response:
    await people.remove_token(token_id, actor, service)
    return go(request, "/account")


@router.get("/users")
async def list_users(request: Request, actor: Administrator, service: Its) -> Response:
    return await _users(request, actor, service)


@router.post("/users")
async def add_user(request: Request, actor: Administrator, service: Its, form: Posted) -> Response:
    email, full_name = field(form, "email"), field(form, "full_name")
    try:
        user, password = await people.make_user(service, email, full_name, None, field(form, "is_admin") == "yes")
    except ConqureError as error:
        given = {"email": email, "full_name": full_name}
        return await _users(request, actor, service, given=given, error=str(error), status=code_of(error))
    return await _users(request, actor, service, made={"user_id": user.user_id, "password": password})


@router.post("/users/change")
async def change_user(request: Request, actor: Administrator, service: Its, form: Posted) -> Response:
    user_id, what = field(form, "user_id"), field(form, "what")
    try:
        if what == "password":
            password = passwords.new_password()
            await people.change_user(user_id, UserChange(password=password), actor, service)
            return await _users(request, actor, service, made={"user_id": user_id, "password": password})
        if what not in _CHANGES:
            raise InvalidWork(f"a change of a user is one of {', '.join(_CHANGES)}, password, not {what[:40]!r}.")
        await people.change_user(user_id, _CHANGES[what], actor, service)
    except ConqureError as error:
        return await _users(request, actor, service, error=str(error), status=code_of(error))
    return go(request, "/users")


def login_page(request: Request, *, next: str = "", email: str = "", error: str = "", status: int = 200) -> Response:
    """The form to log in, bound to a cookie of its own: no other site logs anybody in as somebody else."""
    visit = request.cookies.get(VISIT) or new_visit()
    answer = page(request, "login.html", status=status, visit=visit, next=next, email=email, error=error, here="")
    set_cookie(request, answer, VISIT, visit)
    return answer


def _within(place: str) -> str:
    """Where to go after the login: only to a page of ours."""
    is_ours = place.startswith("/") and place.isprintable() and not place.startswith("//") and "\\" not in place
    return place if is_ours else "/works"


async def _account(request: Request, actor: Actor, service: Service, *, status: int = 200, **values: Any) -> Response:
    shown = {
        "here": "account",
        "tokens": await service.account("sessions", actor.user_id, PERSONAL),
        "address": service.settings.public_url or f"{request.url.scheme}://{request.url.netloc}{base(request)[:-4]}",
    }
    return page(request, "account.html", actor, status=status, **(shown | values))


async def _users(request: Request, actor: Actor, service: Service, *, status: int = 200, **values: Any) -> Response:
    shown = {"here": "users", "given": {}, "users": await service.account("users")}
    return page(request, "users.html", actor, status=status, **(shown | values))
