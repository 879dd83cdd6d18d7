"""Many clients at once, in one thread: each sends its next request as soon as it has the answer to the last.

The same generator loads whatever is compared. It costs some 50 us a request, so that it is not what is measured; the
share of a core that it took is part of its result.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_END = b"\r\n\r\n"


@dataclass
class Load:
    """What came of it. ``milliseconds``: of each request, from its first byte (or its connection) to the last of its
    answer; ``core``: the share of a core that the generator took."""

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0
    core: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


class _Client:
    """One connection, kept where the service keeps it and made anew where it does not."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._answer = b""
        self.socket: socket.socket | None = None
        self.began = 0.0

    def send(self, request: bytes) -> None:
        self._answer, self.began = b"", time.perf_counter()
        if self.socket is None:
            self.socket = socket.create_connection(self._address, timeout=30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)

    def receive(self) -> int:
        """The code of the answer once it is there, else 0; -1 where the connection ended before."""
        assert self.socket is not None
        part = self.socket.recv(65536)
        self._answer += part
        head, found, body = self._answer.partition(_END)
        lower = head.lower()
        if not found or len(body) < int(lower.partition(b"content-length:")[2].split(b"\r", 1)[0]):
            return 0 if part else -1
        if head.startswith(b"HTTP/1.0") or b"connection: close" in lower:
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def load(url: str, request: Callable[[], bytes], clients: int, seconds: float) -> Load:
    """Keep ``clients`` requests under way for so long; an answer that is not 200 or 201 is an error."""
    parts = urlsplit(url)
    there = [_Client((parts.hostname or "", parts.port or 80)) for _ in range(clients)]
    came, cpu, began = Load(), time.process_time(), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for client in there:
            _next(client, request(), selector)
        while selector.get_map():
            over = time.perf_counter() - began > seconds
            for key, _ in selector.select(30):
                _take(key.data, came, selector, None if over else request)
    for client in there:
        client.close()
    came.seconds = time.perf_counter() - began
    came.core = (time.process_time() - cpu) / came.seconds
    return came


def _take(client: _Client, came: Load, selector: selectors.BaseSelector, request: Callable[[], bytes] | None) -> None:
    connection = client.socket
    assert connection is not None
    code = client.receive()
    if code == 0:
        return
    if code in (200, 201):
        came.milliseconds.append(1000 * (time.perf_counter() - client.began))
    else:
        came.errors += 1
        client.close()
    if request is None or client.socket is None:
        selector.unregister(connection)
    if request is not None:
        _next(client, request(), selector)


def _next(client: _Client, request: bytes, selector: selectors.BaseSelector) -> None:
    known = client.socket
    client.send(request)
    assert client.socket is not None
    if client.socket is not known:
        selector.register(client.socket, selectors.EVENT_READ, client)
