"""v1: logins, tokens and users."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request, Response

from qpu_executors.errors import NotLoggedIn, UnknownUser, WorkConflict

from . import logins, passwords
from .accounts import COGNITO, LOGIN, PERSONAL, User
from .answers import as_json
from .bodies import Route
from .errors import answers
from .models import (
    AddedToken,
    AddedUser,
    LoggedIn,
    Login,
    Me,
    NewPassword,
    NewToken,
    NewUser,
    Refresh,
    Refreshed,
    TokenList,
    UserChange,
    UserInfo,
    UserList,
)
from .service import Its, Service
from .who import ThatAdmin, ThatUser, Who, address_of

router = APIRouter(prefix="/v1", tags=["people"], route_class=Route, responses=answers(401, 413, 422, 429, 503))


@router.post("/login", response_model=LoggedIn)
async def log_in(who: Login, service: Its, request: Request) -> Response:
    """A token for an e-mail address and a password."""
    granted = await logins.log_in(service, who.email, who.password, address_of(request))
    return as_json({"token": granted.token, "expires_at": granted.expires_at, "refresh_token": granted.refresh_token})


@router.post("/refresh", response_model=Refreshed)
async def refresh(given: Refresh, service: Its, request: Request) -> Response:
    """Another token for the same login."""
    granted = await logins.refresh(service, given.refresh_token, address_of(request))
    return as_json({"token": granted.token, "expires_at": granted.expires_at})


@router.post("/logout", status_code=204, response_class=Response)
async def log_out(actor: Who, service: Its) -> Response:
    """The token and its refresh token end."""
    await logins.log_out(service, actor)
    return Response(status_code=204)


@router.get("/me", response_model=Me, response_model_exclude_none=True)
async def me(actor: Who, service: Its) -> Response:
    """Who this token is for."""
    if actor.device:
        return as_json({"device_id": actor.device, "uuid": actor.device_uuid})
    return as_json({"user_id": actor.user_id, "full_name": actor.full_name, "is_admin": actor.is_admin})


@router.put("/me/password", status_code=204, response_class=Response, responses=answers(400, 403))
async def change_password(given: NewPassword, actor: ThatUser, service: Its, request: Request) -> Response:
    """A new password; all logins end."""
    await change_own_password(service, actor.user_id, given.old, given.new, address_of(request))
    return Response(status_code=204)


@router.get("/tokens", response_model=TokenList, responses=answers(403))
async def list_tokens(actor: ThatUser, service: Its) -> Response:
    """Your personal tokens, without their texts."""
    found = await service.account("sessions", actor.user_id, PERSONAL)
    return as_json({"tokens": [_token(session) for session in found]})


@router.post("/tokens", status_code=201, response_model=AddedToken, responses=answers(403))
async def add_token(wanted: NewToken, actor: ThatUser, service: Its) -> Response:
    """A token for scripts; its text is shown this once."""
    granted = await logins.personal_token(service, actor, wanted.name, wanted.days)
    return as_json(_token(granted.session) | {"token": granted.token}, 201)


@router.delete("/tokens/{token_id}", status_code=204, response_class=Response, responses=answers(403, 404))
async def remove_token(token_id: str, actor: ThatUser, service: Its) -> Response:
    """End a personal token."""
    if not token_id.isprintable() or not await service.account(
        "revoke", time.time(), token_id=token_id, user_id=actor.user_id, kind=PERSONAL
    ):
        raise UnknownUser(f"you have no token {token_id[:80]!r}.")
    return Response(status_code=204)


@router.get("/users", response_model=UserList, responses=answers(403))
async def list_users(actor: ThatAdmin, service: Its) -> Response:
    """All users."""
    return as_json({"users": [user.describe() for user in await service.account("users")]})


@router.post("/users", status_code=201, response_model=AddedUser, responses=answers(400, 403, 409))
async def add_user(wanted: NewUser, actor: ThatAdmin, service: Its) -> Response:
    """A new user; without a password one is made and shown this once."""
    user, password = await make_user(service, wanted.email, wanted.full_name, wanted.password, wanted.is_admin)
    shown = {"password": None if wanted.password else password}
    return as_json(user.describe() | shown, 201)


@router.put("/users/{user_id}", response_model=UserInfo, responses=answers(400, 403, 404, 409))
async def change_user(user_id: str, wanted: UserChange, actor: ThatAdmin, service: Its) -> Response:
    """Change a user; a new password, or a closed account, ends the user's logins."""
    changes: dict[str, Any] = {k: v for k, v in wanted.model_dump().items() if v is not None}
    user_id = user_id.lower()
    if user_id == actor.user_id and (changes.get("is_admin") is False or changes.get("is_active") is False):
        raise WorkConflict("you would lock yourself out. Let another administrator do this.")
    if "password" in changes:
        changes["password"] = await hashed(service, changes["password"])
    user = await service.account("change_user", user_id, **changes)
    if "password" in changes or not user.is_active:
        await end_logins(service, user_id)
    return as_json(user.describe())


@router.delete("/users/{user_id}", status_code=204, response_class=Response, responses=answers(403, 404, 409))
async def remove_user(user_id: str, actor: ThatAdmin, service: Its) -> Response:
    """Remove a user; the works stay, for administrators."""
    if user_id.lower() == actor.user_id:
        raise WorkConflict("you would lock yourself out. Let another administrator do this.")
    await service.account("remove_user", user_id.lower())
    return Response(status_code=204)


async def make_user(
    service: Service, email: str, full_name: str, password: str | None, is_admin: bool = False
) -> tuple[User, str]:
    """A new user and the password, which is made where none is given."""
    made = passwords.new_password() if password is None else password
    kept = passwords.hashed(made, by_us=True) if password is None else await hashed(service, made)
    return await service.account("add_user", email, full_name, kept, is_admin=is_admin), made


async def change_own_password(service: Service, user_id: str, old: str, new: str, address: str) -> None:
    """`NotLoggedIn` if the old one is wrong, `InvalidWork` if the new one cannot be one."""
    service.limits.login(user_id, address)
    user = await service.account("user", user_id)
    async with service.hashing:
        right = await asyncio.to_thread(passwords.fits, old, user.password)
    if not right:
        raise NotLoggedIn("the old password is not this one.")
    await service.account("change_user", user_id, password=await hashed(service, new))
    await end_logins(service, user_id)


async def end_logins(service: Service, user_id: str) -> None:
    await service.account("revoke", time.time(), user_id=user_id, kind=[LOGIN, COGNITO])


async def hashed(service: Service, password: str) -> str:
    passwords.check_password(password)
    async with service.hashing:
        return await asyncio.to_thread(passwords.hashed, password)


def _token(session: Any) -> dict[str, Any]:
    return {name: getattr(session, name) for name in ("token_id", "name", "created_at", "expires_at")}
