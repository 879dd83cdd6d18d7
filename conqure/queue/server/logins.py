"""From a password, a refresh token or a device's secret to a token; and from a token to who acts."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from qpu_executors.errors import NotAllowed, NotLoggedIn, UnknownDevice

from . import passwords
from .accounts import DEVICE, LOGIN, PERSONAL, DeviceAccount, Session, User
from .rights import Actor
from .service import Service
from .tokens import digest, new_secret

_FRESH_S = 3.0  # a token that another process revoked is refused after this
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login gives. ``refresh_token`` is shown this once."""

    session: Session
    token: str
    expires_at: float
    user: User | None = None
    refresh_token: str = ""


async def log_in(service: Service, email: str, password: str, address: str, kind: str = LOGIN) -> Granted:
    """Check a password; the same error, after the same time, whatever is wrong."""
    user_id = email.strip().lower()[:256]
    service.limits.login(user_id, address)
    user = await _user(service, user_id)
    async with service.hashing:
        right = await asyncio.to_thread(passwords.fits, password, user.password if user else "")
    if user is None or not right or not user.is_active:
        raise NotLoggedIn("this e-mail address and password do not go together, or the account is closed.")
    secret, now = new_secret(), time.time()
    session = _session(now, now + service.settings.refresh_s, kind, user_id=user.user_id, secret=digest(secret))
    await service.account("add_session", session)
    return _granted(service, session, user, secret)


async def refresh(service: Service, refresh_token: str, address: str) -> Granted:
    """Another token for a login that is neither over nor ended."""
    service.limits.login("refresh", address)
    session = await service.account("session_of_secret", digest(refresh_token))
    if not (session and session.user_id and _is_good(session)):
        raise NotLoggedIn("this refresh token is not one of this service, or it is over. Log in again.")
    user = await _user(service, session.user_id)
    if user is None or not user.is_active:
        raise NotLoggedIn("the account is closed.")
    return _granted(service, session, user)


async def log_out(service: Service, actor: Actor) -> None:
    await service.account("revoke", time.time(), token_id=actor.session)


async def grant_device(service: Service, client_id: str, client_secret: str, address: str) -> Granted:
    """A token for a device, from its credentials."""
    service.limits.login(client_id, address)
    device: DeviceAccount | None = await service.account("device_of_client", client_id[:64])
    async with service.hashing:
        right = await asyncio.to_thread(passwords.fits, client_secret, device.client_secret if device else "")
    if device is None or not right:
        raise NotLoggedIn("no device has this client id and secret. Its administrator makes new ones.")
    now = time.time()
    session = _session(now, now + service.settings.token_s, DEVICE, device=device.uuid)
    await service.account("add_session", session)
    return _granted(service, session)


async def personal_token(service: Service, actor: Actor, name: str, days: int) -> Granted:
    """A token for scripts, which acts for so many days."""
    most = service.settings.personal_days
    if not 1 <= days <= most:
        raise NotAllowed(f"a personal token acts for 1 to {most} days, not {days}.")
    now = time.time()
    session = _session(now, now + days * 86400.0, PERSONAL, user_id=actor.user_id, name=name)
    await service.account("add_session", session)
    return _granted(service, session)


async def actor_of(service: Service, token: str) -> Actor:
    """Who acts with this token; `NotLoggedIn` if nobody does (any more)."""
    known = service.actors.get(token)
    now = time.time()
    if known is not None and now < known[1]:
        return known[0]
    claims = service.tokens.read(token)
    actor = await _look_up(service, claims)
    if len(service.actors) > _MOST_KNOWN:
        service.actors.clear()
    service.actors[token] = (actor, min(now + _FRESH_S, claims["exp"]))
    return actor


def id_token(service: Service, granted: Granted) -> str:
    """What clients of the AWS interface read about their user."""
    assert granted.user is not None
    groups = ["AllDevices", *(["Admin"] if granted.user.is_admin else [])]
    who = {"sub": granted.user.user_id, "email": granted.user.user_id, "cognito:groups": groups, "use": "id"}
    return service.tokens.issue(who | {"name": granted.user.full_name, "exp": int(granted.expires_at)})


async def _look_up(service: Service, claims: dict[str, Any]) -> Actor:
    session = await _read(service, "session", str(claims["sid"]))
    if claims.get("use") != "access" or session is None or not _is_good(session):
        raise NotLoggedIn("this login was ended, or the token is over. Log in again: conqure login URL")
    if session.device:
        try:
            device = await service.device(session.device)
        except UnknownDevice:
            raise NotLoggedIn("the device of this token was removed.") from None
        return Actor(session.token_id, session.kind, device=device.name, device_uuid=device.uuid)
    user = await _user(service, session.user_id or "")
    if user is None or not user.is_active:
        raise NotLoggedIn("the account is closed.")
    return Actor(session.token_id, session.kind, user.user_id, user.full_name, user.is_admin)


async def _user(service: Service, user_id: str) -> User | None:
    return await _read(service, "find_user", user_id)


async def _read(service: Service, verb: str, *args: Any) -> Any:
    read = getattr(service.accounts, verb)
    return read(*args) if service.is_near else await asyncio.to_thread(read, *args)


def _is_good(session: Session) -> bool:
    return session.revoked_at is None and time.time() < session.expires_at


def _session(now: float, until: float, kind: str, **facts: Any) -> Session:
    values = {"user_id": None, "device": None, "name": "", "secret": ""} | facts
    return Session(token_id=str(uuid.uuid4()), kind=kind, created_at=now, expires_at=until, **values)


def _granted(service: Service, session: Session, user: User | None = None, refresh_token: str = "") -> Granted:
    until = session.expires_at
    if session.kind != PERSONAL:
        until = min(until, time.time() + service.settings.token_s)
    claims = {"sub": session.user_id or session.device, "sid": session.token_id, "use": "access"}
    token = service.tokens.issue(claims | {"iat": int(time.time()), "exp": int(until), "door": session.kind})
    return Granted(session, token, float(int(until)), user, refresh_token)


def lives_s(granted: Granted) -> int:
    """Whole seconds that the token is good for."""
    return max(1, int(granted.expires_at - time.time()))
