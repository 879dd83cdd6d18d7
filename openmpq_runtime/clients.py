"""What the bridge knows of its clients: their requests, so that one that is sent again does not run again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .outbox import Outbox


class Request:
    """One request of a client: its future until it is done, its answer until the client has it."""

    __slots__ = ("answer", "future")

    def __init__(self) -> None:
        self.future: Future[Any] | None = None
        self.answer: bytes | None = None


class Client:
    """A thread or a process of a program. It outlives its connection for a while, since it may connect again."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.lost_at: float | None = None
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)
        self._outbox: Outbox | None = None
        self._requests: dict[int, Request] = {}
        self._in_flight = 0

    def connect(self, outbox: Outbox) -> None:
        with self._lock:
            self._outbox, self.lost_at = outbox, None

    def disconnect(self, outbox: Outbox) -> None:
        """This connection is gone; not if the client has made another one meanwhile."""
        with self._lock:
            if self._outbox is outbox:
                self._outbox, self.lost_at = None, time.monotonic()

    def begin(self, number: int, oldest: int) -> Request | None:
        """A new request to run; None for one that is known, whose answer is sent again if it is there."""
        with self._lock:
            for known in [n for n in self._requests if n < oldest]:
                del self._requests[known]
            request = self._requests.get(number)
            if request is None:
                request = self._requests[number] = Request()
                self._in_flight += 1
                return request
            if request.answer is not None and self._outbox is not None:
                self._outbox.send(request.answer)
            return None

    def finish(self, request: Request, answer: bytes) -> None:
        """The answer is there: keep it, and send it if somebody listens."""
        with self._lock:
            request.answer, request.future = answer, None
            self._in_flight -= 1
            self._done.notify()
            outbox = self._outbox
        if outbox is not None:
            outbox.send(answer)

    def cancel(self, number: int) -> None:
        with self._lock:
            request = self._requests.get(number)
            future = request.future if request else None
        if future is not None:
            future.cancel()

    def cancel_all(self) -> None:
        with self._lock:
            futures = [request.future for request in self._requests.values() if request.future is not None]
        for future in futures:
            future.cancel()

    def wait_for_room(self, max_in_flight: int, alive: Callable[[], bool]) -> bool:
        """Wait until fewer requests than that are in flight; False if the peer is gone meanwhile."""
        with self._lock:
            while self._in_flight >= max_in_flight:
                if not alive():
                    return False
                self._done.wait(0.1)
        return True
