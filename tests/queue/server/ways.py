"""The same service behind three doors: the express one, FastAPI's layers alone, and FastAPI without any short way."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from fastapi import FastAPI

from conqure.queue.server import bodies
from conqure.queue.server.app import create_app
from conqure.queue.server.running import Running, listen
from conqure.queue.store import open_store

from .conftest import Client, RunningService, running_service

EXPRESS, LAYERS, FASTAPI = "express", "layers", "fastapi"
_LENGTH = re.compile(rb"content-length: [0-9]+")
_DATE = re.compile(rb"date: [^\r]*\r\n")
# What no two works share, however they were handed in.
_OWN = re.compile(rb'("work_id":"[^"]*"|"(created|ready|started|ended)_at":[0-9.e+]+|"position":[0-9]+)')


@dataclass
class Ways:
    """Attributes:
    service: the one behind the express door. urls: of each door.
    """

    service: RunningService
    urls: Mapping[str, str]

    def client(self, way: str, token: str = "") -> Client:
        """Somebody at this door."""
        client = self.service.client(token)
        client.url = self.urls[way]
        return client

    def answers(self, request: bytes) -> dict[str, bytes]:
        """What each door says to these bytes, byte for byte but for what is a moment's or a work's own."""
        return {way: _common(exchange(url, request)) for way, url in self.urls.items()}

    def answer(self, request: bytes) -> bytes:
        """What all of them say."""
        found = self.answers(request)
        assert found[EXPRESS] == found[LAYERS] == found[FASTAPI]
        return found[EXPRESS]


def _common(answer: bytes) -> bytes:
    common, n = _OWN.subn(b"(own)", answer)
    return _LENGTH.sub(b"content-length: (own)", common) if n else common


@contextmanager
def ways(folder: Path, **settings: Any) -> Iterator[Ways]:
    """Three applications on the same database, with the same key."""
    with ExitStack() as stack:
        service = stack.enter_context(running_service(folder, **settings))
        urls = {EXPRESS: service.url}
        for way in (LAYERS, FASTAPI):
            store = open_store(service.store.url)
            stack.callback(store.close)
            looked_at: list[str] = []
            short: Callable[..., Any] = (
                bodies.direct if way == LAYERS else (lambda _, path, seen=looked_at: seen.append(path))
            )
            with patch.object(bodies, "direct", short):
                app = create_app(service.settings, store)
                app.middleware_stack = app.build_middleware_stack()
                urls[way] = stack.enter_context(_listening(app))
                exchange(urls[way], said("GET", "/nowhere"))  # FastAPI makes its routes when it first looks for one
            assert way == LAYERS or {"/v1/works", "/v1/works/{work_id}/results"} <= set(looked_at)
        yield Ways(service, urls)


@contextmanager
def _listening(app: FastAPI) -> Iterator[str]:
    socket_, ready = listen("127.0.0.1", 0), threading.Event()
    address = f"http://127.0.0.1:{socket_.getsockname()[1]}"
    server = Running(app, socket_, on_ready=ready.set)
    thread = threading.Thread(target=server.serve_until_ended, name=address)
    thread.start()
    try:
        assert ready.wait(20), "the service did not start"
        yield address
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the service did not end"


def exchange(url: str, request: bytes) -> bytes:
    """All that a server says to these bytes before it closes the connection, without the date."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as line:
        with suppress(ConnectionError):  # who is refused before they have said all is cut off
            line.sendall(request)
        parts: list[bytes] = []
        with suppress(ConnectionError):
            while part := line.recv(2**16):
                parts.append(part)
    return _DATE.sub(b"", b"".join(parts))


def said(
    method: str, path: str, *headers: str, body: bytes | None = None, token: str = "", version: str = "1.1"
) -> bytes:
    """A request as bytes; the connection is closed after its answer."""
    lines = [f"{method} {path} HTTP/{version}", "Host: queue", "Connection: close", *headers]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def in_chunks(*parts: bytes) -> bytes:
    """A body whose length nobody says beforehand."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
