"""`Bounded`: connections whose heads are neither endless nor endlessly slow: strangers cannot fill the memory."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 2**10  # bytes of a request line and its headers
HEAD_S = 30.0  # a head must have arrived after this; also the first one of a connection


class Bounded(HttpToolsProtocol):
    """uvicorn's own protocol; between two requests its ``timeout_keep_alive`` holds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0  # bytes of a head that is not complete
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._overdue is not None:
            self._head += len(data)
        super().data_received(data)
        if self._overdue is not None and self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request line and headers are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._overdue is None:
            self._head, self._overdue = 0, self.loop.call_later(HEAD_S, self._close)

    def _head_is_there(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
