"""Who makes this request: the dependency of every route that needs a token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from qpu_executors.errors import NotLoggedIn

from .logins import actor_of
from .rights import Actor, a_user, an_admin
from .service import Service


class Bearer(SecurityBase):
    """``Authorization: Bearer TOKEN``, checked and counted."""

    model = HTTPBearer(bearerFormat="JWT")
    scheme_name = "token"

    async def __call__(self, request: Request) -> Actor:
        service: Service = request.app.state.service
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise NotLoggedIn("say who you are: Authorization: Bearer TOKEN. Get a token with: conqure login URL")
        try:
            actor = await actor_of(service, token.strip())
        except NotLoggedIn:
            service.limits.stranger(address_of(request))
            raise
        request.state.who = actor.name
        service.limits.request(actor.name)
        return actor


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


who = Bearer()


async def that_user(actor: Annotated[Actor, Depends(who)]) -> Actor:
    return a_user(actor)


async def that_admin(actor: Annotated[Actor, Depends(who)]) -> Actor:
    return an_admin(actor)


Who = Annotated[Actor, Depends(who)]
ThatUser = Annotated[Actor, Depends(that_user)]
ThatAdmin = Annotated[Actor, Depends(that_admin)]
