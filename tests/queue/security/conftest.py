"""A real service with users, devices and works to attack, and connections that speak bytes rather than HTTP."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ..server.conftest import PASSWORD, Client, RunningService, running_service, service, start, until

__all__ = ["PASSWORD", "Client", "RunningService", "raw", "running_service", "service", "start", "town", "until"]


@dataclass
class Town:
    """Two users, an admin, two devices with a client each, and works of Ada's in every state that holds something."""

    service: RunningService
    ada: Client
    bob: Client
    admin: Client
    ion: Client
    trap: Client
    devices: dict[str, dict[str, Any]]
    waiting: dict[str, Any]
    running: dict[str, Any]
    done: dict[str, Any]

    @property
    def works(self) -> list[dict[str, Any]]:
        return [self.waiting, self.running, self.done]


SECRET = b"Ada's own pulse"
RESULTS = b"what Ada measured"


@pytest.fixture
def town(service: RunningService) -> Town:
    (ion_made, ion), (trap_made, trap) = service.device("ion0"), service.device("trap0")
    ada, bob = service.user("ada@lab.example"), service.user("bob@lab.example", full_name="Bob")
    done, running, waiting = (ada.create("ion0", SECRET.decode()) for _ in range(3))
    for work in (done, running):
        (claimed,) = ion.post("/v1/devices/ion0/claim", json={"most": 1}).json()["works"]
        assert claimed["work_id"] == work["work_id"]
    assert ion.put(f"/v1/works/{done['work_id']}/results?attempt=1", data=RESULTS).status_code == 200
    assert ion.put("/v1/devices/ion0/configuration", data=b'{"laser": 397}').status_code == 204
    made = {"ion0": ion_made, "trap0": trap_made}
    return Town(service, ada, bob, service.admin, ion, trap, made, waiting, running, done)


@contextmanager
def raw(service: RunningService, timeout: float = 10.0) -> Iterator[socket.socket]:
    """A connection that says whatever a test wants."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes or says nothing more for a second."""
    connection.settimeout(1.0)
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except (TimeoutError, ConnectionError):
        pass
    return b"".join(parts)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What the service logs meanwhile, as it writes it."""
    from conqure.queue.server.logs import JSONLines

    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JSONLines())
    loggers = [logging.getLogger(name) for name in ("conqure", "uvicorn", "uvicorn.error", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield lines
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
