"""A client of the bridge in Python: what libopenmpq.so sends, for tests that look at the other side."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qpu_executors.handshake import authenticate
from qpu_executors.testing import vqe_program

PROGRAM = vqe_program(2)
ROW = [0.1, 0.2, 0.3, 0.4]


class WireClient:
    """One connection. ``client_id`` is who we are; the same again after a lost connection."""

    def __init__(
        self, address: str, client_id: str | None = None, token: str | None = None, hello: bool = True
    ) -> None:
        self.client_id = client_id or os.urandom(16).hex()
        self.socket = connect(address)
        self.socket.settimeout(20)
        if token is not None:
            authenticate(self.socket.sendall, self.exactly, token.encode(), b"openmpq-client", b"openmpq-server")
        if hello:
            self.send({"is": "hello", "openmpq": 1, "client": self.client_id, "name": "test", "pid": 1, "rank": 0})
            self.welcome = self.receive()

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def submit(self, request: int, *, oldest: int | None = None, **fields: Any) -> None:
        message = {"is": "submit", "request": request, "oldest": oldest or request, "slot": 0, "program": PROGRAM}
        self.send(message | {"device_id": "any", "shots": 100, "priority": "MEDIUM", "rows": [ROW]} | fields)

    def send(self, message: Any) -> None:
        self.send_bytes(json.dumps(message).encode())

    def send_bytes(self, body: bytes) -> None:
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> dict[str, Any]:
        (length,) = struct.unpack(">I", self.exactly(4))
        message: dict[str, Any] = json.loads(self.exactly(length))
        return message

    def rest(self) -> Iterator[dict[str, Any]]:
        """What comes until the bridge closes the connection."""
        try:
            while True:
                yield self.receive()
        except (EOFError, ConnectionError):
            return

    def exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def connect(address: str) -> socket.socket:
    kind, _, place = address.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(Path(place)))
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)))
