"""`Notices`: who waits for a work to change, or for one to become ready, learns it at once.

The store tells us what this process changes; what others do (a dispatcher of its own, another service) is found by
looking every half second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..store import Store
from ..work import WorkRecord, WorkStatus

T = TypeVar("T")

LOOK_S = 0.5
READY = "ready"  # what devices wait for; no work_id


class Notices:
    """Listens to a store, from any thread, for coroutines of one loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._is_over = False

    def begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._store.listeners.append(self._heard)

    def end(self) -> None:
        """Everybody who waits is answered now, and nobody waits again."""
        self._is_over = True
        for events in list(self._waiting.values()):
            for event in events:
                event.set()

    def close(self) -> None:
        self.end()
        if self._heard in self._store.listeners:
            self._store.listeners.remove(self._heard)

    async def until(self, about: str, seconds: float, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What ``look`` finds, as soon as it finds something; None if the time is over.

        Args:
            about: the work that may change, or ``READY``.
        """
        deadline = time.monotonic() + seconds
        event = asyncio.Event()
        self._waiting[about].add(event)
        try:
            while True:
                event.clear()
                if (found := await look()) is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._is_over:
                    return None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(LOOK_S, left))
        finally:
            self._waiting[about].discard(event)
            if not self._waiting[about]:
                del self._waiting[about]

    def _heard(self, work: WorkRecord) -> None:
        """Called by the store in the thread that made the change."""
        about = READY if work.status is WorkStatus.READY else work.work_id
        if self._loop is not None and (about in self._waiting or work.work_id in self._waiting):
            self._loop.call_soon_threadsafe(self._wake, {about, work.work_id})

    def _wake(self, about: set[str]) -> None:
        for name in about & self._waiting.keys():
            for event in self._waiting[name]:
                event.set()
