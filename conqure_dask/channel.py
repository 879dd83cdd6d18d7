"""The connection over which a leased QPU is fed: frames of bytes on a socket, records as JSON, nothing unpickled.

Both sides prove that they know the secret that travelled inside the Dask task. Where the Dask cluster uses TLS, so
does the connection, with the same certificates.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
from functools import partial
from typing import Literal

from qpu_executors import handshake
from qpu_executors.handshake import NotOneOfUs

HELLO, TASK, RESULT, FAILED, WANTED = (bytes([n]) for n in range(1, 6))

HANDSHAKE_S = 10.0  # a peer that has not proved itself by then is disconnected
MAX_FRAME = 2**29  # the largest task is 16 MiB of program and 10**7 values
_MAX_GREETING = 64 * 2**10
_HEAD = struct.Struct("!IB")


class Channel:
    """One end of an authenticated connection.

    One thread uses it; only `wake` may be called by others. All methods raise `OSError` when the peer is gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(None)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def send(self, kind: bytes, body: bytes = b"") -> None:
        self._socket.sendall(_HEAD.pack(len(body), kind[0]) + body)

    def receive(self) -> tuple[bytes, bytes]:
        """The next frame: its kind and body; waits for it."""
        length, kind = _HEAD.unpack(_read(self._socket, _HEAD.size))
        if length > MAX_FRAME:
            raise ConnectionError(f"a frame of {length:,} bytes is no record")
        return bytes([kind]), _read(self._socket, length)

    def wait(self, timeout: float | None) -> Literal["frame", "woken", "timeout"]:
        """Until there is something to `receive`, somebody calls `wake`, or the time is over."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return "frame"
        ready = [key.fileobj for key, _ in self._selector.select(timeout)]
        if self._woken in ready:
            self._woken.recv(4096)
            return "woken"
        return "frame" if ready else "timeout"

    def wake(self) -> None:
        """Let a `wait` in another thread return."""
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self._selector.close()
        for each in (self._socket, self._woken, self._waker):
            each.close()


def connect(address: tuple[str, int], secret: bytes, greeting: bytes, tls: ssl.SSLContext | None) -> Channel:
    """Connect to a listener, prove who we are, let it prove itself, and greet."""
    connection = socket.create_connection(address, timeout=HANDSHAKE_S)
    try:
        connection = tls.wrap_socket(connection) if tls else connection
        _authenticate(connection, secret, b"worker", b"client")
        channel = Channel(connection)
        channel.send(HELLO, greeting)
    except BaseException:
        connection.close()
        raise
    return channel


def accept(connection: socket.socket, secret: bytes, tls: ssl.SSLContext | None) -> tuple[Channel, bytes]:
    """The listener's side: the channel and the greeting of a peer that has proved itself."""
    try:
        connection.settimeout(HANDSHAKE_S)
        connection = tls.wrap_socket(connection, server_side=True) if tls else connection
        _authenticate(connection, secret, b"client", b"worker")
        length, kind = _HEAD.unpack(_read(connection, _HEAD.size))
        if bytes([kind]) != HELLO or length > _MAX_GREETING:
            raise NotOneOfUs("the peer did not greet")
        return Channel(connection), _read(connection, length)
    except BaseException:
        connection.close()
        raise


def _authenticate(connection: socket.socket, secret: bytes, we: bytes, they: bytes) -> None:
    """Prove who we are, and let the other side do so; see `handshake.authenticate`."""
    handshake.authenticate(connection.sendall, partial(_read, connection), secret, we, they)


def _read(connection: socket.socket, n_bytes: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < n_bytes:
        chunk = connection.recv(min(n_bytes - len(chunks), 2**20))
        if not chunk:
            raise ConnectionResetError("the peer has hung up")
        chunks += chunk
    return bytes(chunks)
