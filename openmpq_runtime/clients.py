"""What the bridge knows of its clients: their requests, so that one that is sent again does not run again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from qpu_executors.errors import ConqureError

from . import wire
from .outbox import Outbox

MAX_KEPT = 64 * 2**20  # bytes of answers of a client that is still waiting for an earlier one

_UNKNOWN = ConqureError(
    "the connection was lost, and what became of this circuit is no longer kept. It ran once or not at all."
)


class Request:
    """One request of a client: its future until it is done, its answer until the client has it (b"": not kept)."""

    __slots__ = ("answer", "future", "number")

    def __init__(self, number: int) -> None:
        self.number = number
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
        self._oldest = 1  # what came before, the client has or no longer wants
        self._newest = 0
        self._given_up = 0  # up to this one, what is not among the requests is no longer known
        self._in_flight = 0
        self._kept: OrderedDict[int, Request] = OrderedDict()  # those with an answer, the longest kept first
        self._kept_bytes = 0

    def connect(self, outbox: Outbox) -> None:
        with self._lock:
            self._outbox, self.lost_at = outbox, None

    def disconnect(self, outbox: Outbox) -> None:
        """This connection is gone; not if the client has made another one meanwhile."""
        with self._lock:
            if self._outbox is outbox:
                self._outbox, self.lost_at = None, time.monotonic()

    def begin(self, number: int, oldest: int) -> Request | None:
        """A new request to run; None for one that is known, whose answer is sent again if it is there.

        Raises:
            Refusal: the client has said before that it waits for this no longer. So it is never run a second time.
        """
        with self._lock:
            unwanted = self._forget_before(oldest)
            if number < self._oldest:
                raise wire.Refusal(f"request {number} is older than {self._oldest}, the oldest you still waited for.")
            request, is_new = self._known(number), False
            if request is None:
                request, is_new = Request(number), True
                self._requests[number], self._newest = request, max(number, self._newest)
                self._in_flight += 1
            elif request.answer is not None and self._outbox is not None:
                self._outbox.send(request.answer or wire.failed(number, _UNKNOWN, "disconnected"))
        _cancel(unwanted)
        return request if is_new else None

    def finish(self, request: Request, answer: bytes) -> None:
        """The answer is there: keep it, and send it if somebody listens."""
        with self._lock:
            request.answer, request.future = answer, None
            self._in_flight -= 1
            if request.number in self._requests:
                self._keep(request, len(answer))
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
        _cancel(futures)

    def give_up(self) -> None:
        """The client has been gone for too long: cancel and drop everything, and remember only that it was there."""
        self.cancel_all()
        with self._lock:
            self._given_up = self._newest
            self._requests.clear()
            self._kept.clear()
            self._kept_bytes = 0

    def wait_for_room(self, max_in_flight: int, alive: Callable[[], bool]) -> bool:
        """Wait until fewer requests than that are in flight; False if the peer is gone meanwhile."""
        with self._lock:
            while self._in_flight >= max_in_flight:
                if not alive():
                    return False
                self._done.wait(0.1)
        return True

    def _known(self, number: int) -> Request | None:
        """The request, if it has come before (lock held)."""
        if number in self._requests or number > self._given_up:
            return self._requests.get(number)
        lost = Request(number)
        lost.answer = b""
        return lost

    def _forget_before(self, oldest: int) -> list[Future[Any]]:
        """Forget what the client has; returns what it no longer waits for although it is not done (lock held)."""
        if oldest <= self._oldest:
            return []
        self._oldest = oldest
        unwanted = []
        for number in [n for n in self._requests if n < oldest]:
            request = self._requests.pop(number)
            if self._kept.pop(number, None) is not None and request.answer is not None:
                self._kept_bytes -= len(request.answer)
            elif request.future is not None:
                unwanted.append(request.future)
        return unwanted

    def _keep(self, request: Request, size: int) -> None:
        """Keep an answer, at the cost of those that were sent long ago (lock held)."""
        self._kept[request.number] = request
        self._kept_bytes += size
        while self._kept_bytes > MAX_KEPT and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= len(old.answer or b"")
            old.answer = b""


def _cancel(futures: list[Future[Any]]) -> None:
    """The last first: where the first makes room on a QPU, none of the others may take it."""
    for future in reversed(futures):
        future.cancel()
