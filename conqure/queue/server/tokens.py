"""Tokens: short texts, signed by this service, that say who acts and until when.

They are JSON web tokens (HS256). Old clients of the AWS interface decode them with the other base64 alphabet, so the
JSON inside has no character that the two write differently.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

import jwt
from jwt.api_jws import PyJWS

from qpu_executors.errors import NotLoggedIn, StoreError

_KEY_FILE, _KEY_BYTES = "service.key", 32
_SAME = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>?~\x7f"})
_WRONG = "the token is not one of this service, or it is over. Log in again: conqure login URL"


class Tokens:
    """Makes and reads tokens with the service's key, which lies in its state folder, for its account alone."""

    def __init__(self, state: Path) -> None:
        key = _key(state / _KEY_FILE)
        self._key = _derived(key, "tokens")
        self.transfer_key = _derived(key, "transfer")
        self.form_key = _derived(key, "forms")
        self._jws = PyJWS(algorithms=["HS256"])

    def issue(self, claims: dict[str, Any]) -> str:
        """A signed token; ``exp`` is among the claims."""
        text = json.dumps(claims, separators=(",", ":")).translate(_SAME)
        return self._jws.encode(text.encode(), self._key, algorithm="HS256", headers={"typ": "JWT"})

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token that we issued and that is not over; else `NotLoggedIn`."""
        try:
            return jwt.decode(token, self._key, algorithms=["HS256"], options={"require": ["exp", "sub", "sid"]})
        except (jwt.PyJWTError, ValueError):
            raise NotLoggedIn(_WRONG) from None


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a refresh token: it cannot be guessed, so a plain hash is enough."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()


def _key(path: Path) -> bytes:
    """The key in this file, made at the first start. Two services that start at once get the same one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_key(path)
        if path.stat().st_mode & 0o077:
            raise StoreError(f"{path} is the key of the service, and others can read it. Type: chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the key of the service, {path}, cannot be read or made: {error.strerror}.") from error
    if len(key) < _KEY_BYTES:
        raise StoreError(f"{path} holds no key. Remove it: a new one is made, and everybody logs in again.")
    return key


def _make_key(path: Path) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)  # fails where the other was first
    except FileExistsError:
        pass
    finally:
        beside.unlink()
