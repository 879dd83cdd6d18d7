"""The door of the broker: lets in whoever knows the secret of this run, one thread per visitor."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import wire

logger = logging.getLogger(__name__)


class Reception:
    """Listens on a Unix socket.

    Args:
        folder: a private folder for the secret, which the visitors can read.
        sockets: a private folder of this machine for the socket.
        serve: called with the connection and what the visitor says of itself; the connection is closed when it returns.
    """

    def __init__(self, folder: Path, sockets: Path, serve: Callable[[Connection, dict[str, Any]], None]) -> None:
        self.socket = sockets / "broker"
        self._secret = wire.new_secret(folder)
        self._serve = serve
        self._closed = False
        self._listener = wire.listen(self.socket)
        self._accepting = threading.Thread(target=self._accept, name="qpu-reception", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            wire.connect_silently(self.socket)  # `accept` does not notice that its socket is closed
        self._accepting.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except OSError:
                continue  # a visitor went away in the middle of connecting
            threading.Thread(target=self._receive, args=(connection,), name="qpu-worker", daemon=True).start()

    def _receive(self, connection: Connection) -> None:
        try:
            wire.authenticate(connection, self._secret, b"broker", b"worker")
            _, _, body = wire.split(connection.recv_bytes(wire.MAX_HELLO))
            hello = json.loads(bytes(body))
            if mismatch := _mismatch(hello):
                connection.send_bytes(wire.frame(wire.STOP, mismatch.encode()))
            else:
                self._serve(connection, hello)
        except (EOFError, OSError) as error:
            logger.info("a connection ended: %r", error)
        finally:
            connection.close()


def _mismatch(hello: dict[str, Any]) -> str:
    """Why a visitor's Python cannot read what ours writes, if so."""
    if tuple(hello["python"][:2]) == platform.python_version_tuple()[:2]:
        return ""
    return (
        f"the worker on {hello['host']} runs Python {'.'.join(hello['python'])}, the submitting program "
        f"{platform.python_version()}. Use the same minor version on both sides (worker_init of the provider)."
    )
