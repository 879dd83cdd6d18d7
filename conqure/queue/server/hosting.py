"""What stands around the application when a site is served: its engine, its dispatcher, its QPUs as devices."""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import ConqureError, InvalidAddress
from qpu_executors.files import user_state
from qpu_executors.observing import unobserved

from ..dispatcher import Dispatcher
from ..policies import AGING_S, policy_named
from ..redelivery import MAX_ATTEMPTS
from ..store import Store
from .accounts import OFFLINE, Accounts, database

if TYPE_CHECKING:
    from qpu_executors.site import Site

LISTEN = "127.0.0.1:8585"
LEASE_S = 60.0
GRACE_S = 20.0  # works that run are given so long when the service ends
_BEAT_S = 20.0


def state_folder() -> Path:
    """What systemd made for the service, else ``~/.local/state/conqure/queue``."""
    if made := os.environ.get("STATE_DIRECTORY"):
        return Path(made.partition(":")[0])
    return user_state() / "queue"


def store_url(said: str, state: Path) -> str:
    """The URL of the service's store: what is said, a file or a URL; else SQLite in the state folder."""
    if not said:
        return f"sqlite:{state / 'queue.db'}"
    return said if ":" in said else f"sqlite:{Path(said).expanduser()}"


def read_listen(text: str, *, is_guarded: bool) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
        InvalidAddress: it is none; or everybody could read what goes over it, and neither TLS nor a proxy guards it.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise InvalidAddress(f"{text!r} is no HOST:PORT, like {LISTEN}.")
    if not is_guarded and not _is_loopback(host):
        raise InvalidAddress(
            f"{text} can be reached from elsewhere, and passwords would cross the network for everybody to read. Give "
            "--tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS, or say --behind-proxy if "
            "only that can reach this address."
        )
    return host, int(port)


@contextmanager
def dispatching(site: Site, store: Store, *, engine: str | None = None, name: str = "serve") -> Iterator[Dispatcher]:
    """The site's engine is open and runs the works of the store; its QPUs are devices that are ONLINE.

    Raises:
        AlreadyThere: a dispatcher of this name runs here; whatever the engine raises.
    """
    from conqure.engines import open_engine, quickest_engine

    queue = site.queue
    with unobserved(), open_engine(engine or quickest_engine(site), site) as opened:  # works have records already
        dispatcher = Dispatcher(
            store,
            opened.qpus,
            site.qpus,
            name=name,
            engine=opened.name,
            policy=policy_named(queue.get("policy", "fifo"), **_policy_facts(queue)),
            batch=int(queue.get("batch_rows", 0)),
            max_attempts=int(queue.get("max_attempts", MAX_ATTEMPTS)),
            lease_s=float(queue.get("lease_s", LEASE_S)),
            grace_s=GRACE_S,
        )
        with dispatcher, _at_site(site, store):
            yield dispatcher


def _policy_facts(queue: Mapping[str, Any]) -> dict[str, float]:
    facts = {"aging_s": float(queue.get("aging_s", AGING_S))}
    return facts | ({"patience_s": float(queue["patience_s"])} if "patience_s" in queue else {})


@contextmanager
def _at_site(site: Site, store: Store) -> Iterator[None]:
    """The QPUs of the site are devices, ONLINE until the end of the block."""
    accounts = Accounts(database(store))
    accounts.set_site_devices(site.name, site.qpus, time.time())
    accounts.refresh_site_devices(site.name, "ONLINE", time.time())
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_BEAT_S):
            with suppress(ConqureError):  # the store is away; the next beat finds it
                accounts.refresh_site_devices(site.name, "ONLINE", time.time())

    beating = threading.Thread(target=beat, name="site-devices", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        with suppress(ConqureError):
            accounts.refresh_site_devices(site.name, OFFLINE, time.time())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
