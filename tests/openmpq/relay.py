"""A socket between a program and its bridge, whose connections a test can break while both go on living."""

from __future__ import annotations

import os
import select
import socket
import threading

from .client import connect


class Relay:
    def __init__(self, bridge: str, address: str) -> None:
        self.address = address
        self.connections = self.broken = 0
        self._bridge = bridge
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address.removeprefix("unix:"))
        self._listener.listen()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopped)
        self._thread.join()
        self.break_connections()
        self._listener.close()
        os.close(self._stop)

    def break_connections(self) -> None:
        with self._lock:
            for one in [end for pair in self._pairs for end in pair]:
                one.close()
            self.broken += len(self._pairs)
            self._pairs.clear()

    def _run(self) -> None:
        while True:
            with self._lock:
                other = {a: b for pair in self._pairs for a, b in (pair, pair[::-1])}
            ready, _, _ = select.select([self._stop, self._listener, *other], [], [], 0.02)
            if self._stop in ready:
                return
            for one in ready:
                with self._lock:
                    if one is self._listener:
                        self._pairs.append((self._listener.accept()[0], connect(self._bridge)))
                        self.connections += 1
                    elif one.fileno() >= 0:
                        self._pass_on(one, other[one])

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        data = one.recv(65536)
        if data:
            other.sendall(data)
        else:
            self._pairs = [pair for pair in self._pairs if one not in pair]
            one.close()
            other.close()
