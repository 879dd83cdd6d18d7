"""Which setting a `UserClient` takes, and with which token.

In this order: what the program says; the variables CONQURE_QUEUE_URL, CONQURE_QUEUE_TOKEN, CONQURE_QUEUE_TOKEN_FILE;
``~/.config/conqure/client.toml``; ``[queue]`` of the current site; SideQICK's files; and else an embedded queue.
A token goes only to the address that it was configured with.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidWork, NotLoggedIn
from qpu_executors.files import write_whole

from .setting import Setting

if TYPE_CHECKING:
    from qpu_executors.site import Site

    from .store import Store

URL, TOKEN, TOKEN_FILE, CA = (f"CONQURE_QUEUE_{word}" for word in ("URL", "TOKEN", "TOKEN_FILE", "CA"))
_KEYS = ("url", "token_file", "ca", "device_id")
_MAX_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Door:
    """A service that is configured somewhere.

    Attributes:
        token, token_file: what proves who we are there, or the file that holds it.
        source: where this was said, for error texts.
    """

    url: str
    token: str = ""
    token_file: str = ""
    ca: str = ""
    device_id: str = ""
    source: str = ""

    def read_token(self) -> str | None:
        return self.token or (read_secret(Path(self.token_file).expanduser()) if self.token_file else None)


def choose(
    url: str | None,
    token: str | None,
    ca: str | Path | None,
    embedded: bool,
    store: Store | str | None,
    site: Site | str | Path | None,
    start: bool,
) -> Setting:
    """The setting for these arguments of `UserClient` and the user's configuration."""
    at_home = embedded or store is not None or site is not None
    if url is not None and at_home:
        raise InvalidWork("url says a service, and embedded, store and site say none. Give one or the other.")
    if url is not None:
        return _remote(_door_of(url, token, ca))
    if token is not None or ca is not None:
        raise InvalidWork("token and ca belong to the address of a service. Give url too.")
    if not at_home:
        if (door := next(_configured(), None)) is not None:
            return _remote(door)
        from .sideqick import SideqickQueue, configured

        if (found := configured()) is not None:
            return SideqickQueue(found)
    from qpu_executors.site import Site

    from .embedded import open_embedded

    return open_embedded(Site.load(site), store, start)


def known_service(url: str | None = None) -> Door | None:
    """The service at this address, or the one that is configured; None if there is none."""
    return _door_of(url, None, None) if url else next(_configured(), None)


def client_file() -> Path:
    """``$XDG_CONFIG_HOME/conqure/client.toml``, by default ``~/.config/conqure/client.toml``."""
    from qpu_executors.site_search import user_folder

    return user_folder().parent / "client.toml"


def read_client_file(path: Path | None = None) -> dict[str, str]:
    """What the user's file says; an empty dictionary if there is none."""
    path = path or client_file()
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidWork(f"{path} cannot be read: {error}. Write it again with: conqure login URL") from error
    wrong = [key for key, value in values.items() if key not in _KEYS or not isinstance(value, str)]
    if wrong or "url" not in values:
        what = f"has {wrong[0]!r}" if wrong else "lacks 'url'"
        raise InvalidWork(f"{path} {what}. It holds texts named {', '.join(_KEYS)}.")
    return values


def read_secret(path: Path) -> str:
    """The text of a file that only its owner can read; `NotLoggedIn` says what is wrong otherwise."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise NotLoggedIn(f"the token file {path} cannot be read: {reason}. Log in with: conqure login URL") from error
    if mode & 0o077:
        raise NotLoggedIn(
            f"the token file {path} can be read by others (mode {stat.S_IMODE(mode):o}), so its token is not used. "
            f"Type: chmod 600 {path}"
        )
    if not text or not text.isprintable():
        raise NotLoggedIn(f"the token file {path} holds no token. Log in with: conqure login URL")
    return text


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, text.encode())


def _door_of(url: str, token: str | None, ca: str | Path | None) -> Door:
    """The service at an address that the program says; token and certificate may be configured for it."""
    from .http import same_place

    known = next((door for door in _configured(url) if same_place(door.url, url)), Door(url))
    return Door(url, token or known.token, "" if token else known.token_file, str(ca or known.ca), known.device_id)


def _remote(door: Door) -> Setting:
    from .remote import RemoteQueue

    return RemoteQueue(door.url, door.read_token(), door.ca or None, door.device_id or None)


def _configured(url: str = "") -> Iterator[Door]:
    """The services that are configured, the first to be used first. ``url`` is that of a token without an address."""
    if address := os.environ.get(URL) or (url if {TOKEN, TOKEN_FILE} & os.environ.keys() else ""):
        token, file, ca = (os.environ.get(name, "") for name in (TOKEN, TOKEN_FILE, CA))
        yield Door(address, token.strip(), file, ca, source=URL)
    if values := read_client_file():
        yield Door(**values, source=str(client_file()))
    from qpu_executors.site import Site

    queue = Site.load().queue
    if queue.get("url"):
        yield Door(queue["url"], token_file=queue.get("token_file", ""), source="the site")
