"""What goes out on a connection. A program that does not read must never hold up a QPU's thread."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque

from .wire import frame

PATIENCE_S = 10  # a program that takes nothing for so long is given up
MAX_BACKLOG = 256 * 2**20  # bytes


class Outbox:
    """Sends at once what the socket takes at once; the rest goes through a thread that lives while there is some."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._backlog: deque[bytes] = deque()
        self._waiting = 0  # bytes of it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE_S, 0))

    def send(self, body: bytes) -> None:
        """Send a message; if the peer is gone or takes nothing, the connection is closed."""
        data = frame(body)
        with self._lock:
            sent = 0
            if not self._backlog:
                try:
                    sent = self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    pass
                except OSError:
                    return self._give_up()
            if sent < len(data):
                self._put(data[sent:])

    def _put(self, data: bytes) -> None:
        self._backlog.append(data)
        self._waiting += len(data)
        if self._waiting > MAX_BACKLOG:
            self._give_up()
        elif len(self._backlog) == 1:
            threading.Thread(target=self._drain, name="openmpq-outbox", daemon=True).start()

    def _drain(self) -> None:
        """Send the backlog; ends when it is empty. A chunk is taken off only when it has gone, so order is kept."""
        while True:
            with self._lock:
                if not self._backlog:
                    return
                data = self._backlog[0]
            try:
                self._socket.sendall(data, socket.MSG_NOSIGNAL)
            except OSError:  # closed, or nothing taken for PATIENCE_S
                with self._lock:
                    return self._give_up()
            with self._lock:
                if self._backlog:
                    self._backlog.popleft()
                    self._waiting -= len(data)

    def _give_up(self) -> None:
        """Nobody takes this any more (lock held); the thread that reads the connection sees its end."""
        self._backlog.clear()
        self._waiting = 0
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
