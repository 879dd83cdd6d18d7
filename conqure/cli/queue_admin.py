"""Where the administrator's commands go: to a service over HTTP, or, on its machine, straight to its store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

if TYPE_CHECKING:
    from ..queue.server.accounts import Accounts

URLOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service; default: that of 'conqure login'.", show_default=False),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="FILE|URL", help="Instead, on the service's machine: its store.", show_default=False
    ),
]


class Admin:
    """Requests to a service with this user's token, who must be an administrator there."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def ask(self, method: str, path: str, values: Any = None) -> Any:
        answer = self._line.ask(method, path, json_=values, repeat=method != "POST")
        return answer.json() if answer.content else None


@contextmanager
def admin(url: str | None) -> Iterator[Admin]:
    """`InvalidWork` where no service is known, `NotLoggedIn` without a token."""
    from qpu_executors.errors import InvalidWork, NotLoggedIn

    from ..queue.configuration import known_service
    from ..queue.http import Line

    known = known_service(url)
    if known is None:
        raise InvalidWork(
            "no cloud queue is configured here. Log in first: conqure login URL. On the machine of the service "
            "itself, --store FILE goes without one."
        )
    token = known.read_token()
    if not token:
        raise NotLoggedIn(f"no token for {known.url}. Log in with: conqure login {known.url}")
    line = Line(known.url, headers={"Authorization": f"Bearer {token}"}, ca=known.ca or None)
    try:
        yield Admin(line)
    finally:
        line.close()


@contextmanager
def accounts(store: str) -> Iterator[Accounts]:
    """The accounts in a store, on the machine where it is."""
    from ..queue.server.accounts import Accounts, database
    from ..queue.server.hosting import store_url
    from ..queue.store import open_store

    opened = open_store(store_url(store, _nowhere()))
    try:
        yield Accounts(database(opened))
    finally:
        opened.close()


def path(*parts: str) -> str:
    """``/v1/users/ada@lab.example``, each part quoted."""
    return "/v1/" + "/".join(quote(part, safe="@") for part in parts)


def _nowhere() -> Any:
    from pathlib import Path

    return Path()
