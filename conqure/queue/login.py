"""Logging in: a password for a personal token, which is kept in a file that only its owner can read."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from qpu_executors.errors import ConqureError, InvalidWork

from .configuration import client_file, read_client_file, read_secret, write_secret


def token_file() -> Path:
    return client_file().with_name("client.token")


def log_in(url: str, email: str, password: str, *, ca: str | Path | None = None, days: int = 90) -> Path:
    """Get a personal token from a service and make it this user's; returns where it is kept.

    Raises:
        NotLoggedIn: wrong e-mail or password; NotAllowed, QueueUnavailable, InvalidWork.
    """
    from .http import Line

    _check_file()
    line = Line(url, ca=ca, patience_s=5.0)
    try:
        session = line.ask("POST", "/v1/login", json_={"email": email, "password": password}).json()
        right = {"Authorization": f"Bearer {session['token']}"}
        named = {"name": f"conqure login on {socket.gethostname()}"[:100], "days": days}
        token = line.ask("POST", "/v1/tokens", json_=named, headers=right).json()["token"]
        line.ask("POST", "/v1/logout", headers=right)  # the personal token is enough
    finally:
        line.close()
    write_secret(token_file(), f"{token}\n")
    values = {"url": line.url, "token_file": str(token_file())}
    values |= {"ca": str(Path(ca).expanduser().absolute())} if ca else {}
    write_secret(client_file(), "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return token_file()


def log_out() -> str:
    """End the token at the service and forget both; returns a sentence about what was done."""
    values = read_client_file()
    if not values:
        return "Not logged in."
    ended = _end(values)
    for path in (token_file(), client_file()):  # a token file of another name was put there by hand, and stays
        path.unlink(missing_ok=True)
    rest = "" if ended else " The service did not answer: the token there ends by itself."
    return f"Logged out of {values['url']}.{rest}"


def _end(values: dict[str, Any]) -> bool:
    from .http import Line

    try:
        right = {"Authorization": f"Bearer {read_secret(Path(values['token_file']).expanduser())}"}
        line = Line(values["url"], ca=values.get("ca"), patience_s=2.0)
    except (ConqureError, KeyError):
        return False
    try:
        return line.request("POST", "/v1/logout", headers=right).code in (200, 204, 401)
    except ConqureError:
        return False
    finally:
        line.close()


def _check_file() -> None:
    """Whether what would be written over is ours to write."""
    path = client_file()
    if path.is_symlink():
        raise InvalidWork(f"{path} is a link. Remove it first, so that its target is not written over.")
