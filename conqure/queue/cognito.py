"""Logging in to the AWS interface: a password once, then tokens that are kept and refreshed."""

from __future__ import annotations

import base64
import contextlib
import getpass
import json
import os
import threading
import time
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from qpu_executors.errors import NotLoggedIn

PASSWORD = "CONQURE_QUEUE_PASSWORD"
_EARLY_S = 60.0  # a token that ends sooner is refreshed first
_TARGET = "AWSCognitoIdentityProviderService.InitiateAuth"


class Login:
    """The tokens of one user. They are kept in ``~/.cache/qick.tokens``, which only this user can read.

    Without usable tokens the password is taken from CONQURE_QUEUE_PASSWORD or asked for at the terminal.
    """

    def __init__(self, config: ConfigParser) -> None:
        from .http import Line

        self._service, self.username = config["service"], config["user"]["username"]
        self._client_id = self._service["clientid"]
        self._line = Line(self._service["cognito_url"])
        self._lock = threading.Lock()
        self._tokens: dict[str, Any] = _kept()
        if _claims(self._tokens.get("IdToken")).get("email") != self.username:
            self._tokens = {}

    def header(self) -> dict[str, str]:
        """The header of a request to the interface, with a token that is still good for a while."""
        with self._lock:
            if _claims(self._tokens.get("AccessToken")).get("exp", 0) < time.time() + _EARLY_S:
                self._renew()
            kind = self._tokens.get("TokenType", "Bearer")
            return {"Authorization": f"{kind} {self._tokens['AccessToken']}"}

    @property
    def account_id(self) -> str:
        """What the interface calls this user."""
        self.header()
        return str(_claims(self._tokens.get("IdToken")).get("sub", ""))

    def forget(self) -> None:
        """The interface refused the token: ask for another one the next time."""
        with self._lock:
            self._tokens.pop("AccessToken", None)

    def close(self) -> None:
        self._line.close()

    def _renew(self) -> None:
        """Refresh the tokens; if that fails, log in with the password."""
        refresh = self._tokens.get("RefreshToken")
        got = self._ask("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh}) if refresh else None
        if got is None:
            given = {"USERNAME": self.username, "PASSWORD": self._password()}
            got = self._ask("USER_PASSWORD_AUTH", given)
        if got is None:
            raise NotLoggedIn(
                f"Login failed: {self._service['cognito_url']} takes no such password for {self.username}, or wants "
                "a new one first. Set it on the web page of the queue."
            )
        self._tokens = self._tokens | got
        _keep(self._tokens)

    def _ask(self, flow: str, given: dict[str, Any]) -> dict[str, Any] | None:
        body = {"AuthFlow": flow, "ClientId": self._client_id, "AuthParameters": given}
        headers = {"X-Amz-Target": _TARGET, "Content-Type": "application/x-amz-json-1.1"}
        answer = self._line.request("POST", "", body=json.dumps(body).encode(), headers=headers)
        found = answer.json().get("AuthenticationResult") if answer.code == 200 else None
        return found if isinstance(found, dict) and "AccessToken" in found else None

    def _password(self) -> str:
        if given := os.environ.get(PASSWORD):
            return given
        try:
            return getpass.getpass(f"Password of {self.username} at the cloud queue: ")
        except (EOFError, OSError) as error:
            raise NotLoggedIn(f"Login failed: no terminal to ask for a password. Set {PASSWORD}.") from error


def tokens_file() -> Path:
    return Path.home() / ".cache" / "qick.tokens"


def _kept() -> dict[str, Any]:
    try:
        found = json.loads(tokens_file().read_text())
    except (OSError, ValueError):  # none, or not ours
        return {}
    return found if isinstance(found, dict) else {}


def _keep(tokens: dict[str, Any]) -> None:
    from .configuration import write_secret

    with contextlib.suppress(OSError):  # no home folder to write to: the next program asks again
        write_secret(tokens_file(), json.dumps(tokens))


def _claims(token: Any) -> dict[str, Any]:
    """What a token says about itself. Not verified: that is the service's business."""
    try:
        part = str(token).split(".")[1]
        padded = part.replace("+", "-").replace("/", "_") + "=" * (-len(part) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
