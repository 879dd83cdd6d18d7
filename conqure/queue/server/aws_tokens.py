"""The AWS wire's two token endpoints: Cognito's for users, OAuth2 client credentials for devices."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote

import orjson
from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError

from qpu_executors.errors import InvalidWork, NotLoggedIn

from . import logins
from .accounts import COGNITO
from .answers import as_json
from .aws_models import Cognito, CognitoAnswer, DeviceToken, OAuthProblem
from .bodies import AWSRoute, read_body
from .errors import AWSProblem, answers
from .service import Its
from .who import address_of

router = APIRouter(tags=["AWS wire"], route_class=AWSRoute, responses=answers(400, 413, 429, 503, model=AWSProblem))
_TARGET = "AWSCognitoIdentityProviderService.InitiateAuth"
_MOST = 2**14  # bytes of a login
_NO_STORE = {"Cache-Control": "no-store"}
_COGNITO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/x-amz-json-1.1": {"schema": {"$ref": "#/components/schemas/Cognito"}}},
    }
}
_GRANT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_id": {"type": "string"},
                        "client_secret": {"type": "string"},
                        "scope": {"type": "string"},
                    },
                }
            }
        },
    },
    "security": [{}, {"client": []}],
}


@router.post("/cognito", response_model=CognitoAnswer, openapi_extra=_COGNITO_BODY)
async def initiate_auth(
    request: Request, service: Its, x_amz_target: Annotated[str, Header(max_length=200)] = _TARGET
) -> Response:
    """Tokens for a password or a refresh token. A wrong one is 400, as Cognito says it."""
    if x_amz_target != _TARGET:
        raise InvalidWork(f"X-Amz-Target must be {_TARGET}.")
    try:
        asked = Cognito.model_validate(orjson.loads(await read_body(request, _MOST)))
    except (ValidationError, orjson.JSONDecodeError):
        raise InvalidWork("this is no InitiateAuth request.") from None
    try:
        granted = await _grant(service, asked, address_of(request))
    except NotLoggedIn as error:
        said = {"__type": "NotAuthorizedException", "message": str(error), "ErrorMessage": str(error)}
        return as_json(said, 400)
    result: dict[str, Any] = {
        "AccessToken": granted.token,
        "IdToken": logins.id_token(service, granted),
        "TokenType": "Bearer",
        "ExpiresIn": max(1, int(granted.expires_at - time.time())),
    }
    if granted.refresh_token:
        result["RefreshToken"] = granted.refresh_token
    return as_json({"AuthenticationResult": result, "ChallengeParameters": {}}, headers=_NO_STORE)


@router.post(
    "/oauth2/token",
    response_model=DeviceToken,
    responses={400: {"model": OAuthProblem}, 401: {"model": OAuthProblem}},
    openapi_extra=_GRANT_BODY,
)
async def grant_device(request: Request, service: Its) -> Response:
    """A token for a device: HTTP Basic with its client id and secret, ``grant_type=client_credentials``."""
    form = parse_qs((await read_body(request, _MOST)).decode(errors="replace"), max_num_fields=20)
    if form.get("grant_type") != ["client_credentials"]:
        return _oauth_problem(400, "unsupported_grant_type", "grant_type must be client_credentials")
    client_id, secret = _basic(request) or (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
    try:
        granted = await logins.grant_device(service, client_id, secret, address_of(request))
    except NotLoggedIn as error:
        return _oauth_problem(401, "invalid_client", str(error))
    lives_s = max(1, int(granted.expires_at - time.time()))
    token = {"access_token": granted.token, "expires_in": lives_s, "token_type": "Bearer"}
    return as_json(token, headers=_NO_STORE)


async def _grant(service: Any, asked: Cognito, address: str) -> logins.Granted:
    given = asked.AuthParameters
    if asked.AuthFlow == "USER_PASSWORD_AUTH":
        name, password = given.get("USERNAME", ""), given.get("PASSWORD", "")
        return await logins.log_in(service, name, password, address, COGNITO)
    return await logins.refresh(service, given.get("REFRESH_TOKEN", ""), address)


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, code = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(code).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote(name), unquote(secret)


def _oauth_problem(code: int, error: str, about: str) -> Response:
    headers = {"WWW-Authenticate": "Basic"} if code == 401 else {}
    return as_json({"error": error, "error_description": about}, code, headers)
