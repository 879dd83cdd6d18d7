"""`Running`: the application behind a socket, with uvicorn, until somebody ends it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from qpu_executors.errors import InvalidAddress

from .connections import Bounded

GRACE_S = 10  # what is being answered is given so long when the service ends


class Running(uvicorn.Server):
    """A server of this application.

    Args:
        listening: from `listen`. on_ready: called once requests are answered.
        tls: certificate and key files, PEM. behind_proxy: believe its X-Forwarded headers, if it is on this machine.

    >>> Running(app, listen("127.0.0.1", 8585)).serve_until_ended()
    """

    def __init__(
        self,
        app: FastAPI,
        listening: socket.socket,
        *,
        on_ready: Callable[[], Any] | None = None,
        tls: tuple[Path, Path] | None = None,
        behind_proxy: bool = False,
    ) -> None:
        files = {"ssl_certfile": tls[0], "ssl_keyfile": str(tls[1])} if tls else {}
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=Bounded,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=behind_proxy,
                forwarded_allow_ips="127.0.0.1,::1",
                timeout_graceful_shutdown=GRACE_S,
                **files,  # type: ignore[arg-type]
            )
        )
        self._app, self._listening, self._on_ready = app, listening, on_ready

    def serve_until_ended(self) -> None:
        """Answers until SIGTERM, SIGINT or ``should_exit``."""
        try:
            self.run(sockets=[self._listening])
        finally:
            self._listening.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the server, and nothing else: who called it goes on and ends in order."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.service.notices.end()  # who waits for a change is answered now, and asks again elsewhere
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; `InvalidAddress` says why not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidAddress(f"{host!r} is no address of this machine: {error.strerror}.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise InvalidAddress(
            f"cannot listen on {host}:{port}: {error.strerror}. Is another service there? Choose a port: --listen"
        ) from error
    return listening
