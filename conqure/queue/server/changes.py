"""`Changes`: what requests of one moment change becomes durable together, and each learns what became of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..stores.sql import SQLStore

LARGE = 2**20  # bytes that are written by another thread, so that the others are not held up


class Changes:
    """Hands the changes of coroutines to a store.

    >>> await Changes(store).ask("ask_cancel", work_id, time.time())
    """

    def __init__(self, store: SQLStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None  # that will settle what was handed in

    async def ask(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb of the store; what it changed is durable when this returns."""
        if any(isinstance(value, bytes) and len(value) > LARGE for value in (*args, *kwargs.values())):
            return await asyncio.wrap_future(self._store.later(verb, *args, **kwargs))
        loop = asyncio.get_running_loop()
        answer = _Answer(loop)
        self._store.soon(answer, verb, *args, **kwargs)
        if self._loop is not loop:  # the others that are ready now come first, and hand in theirs
            self._loop = loop
            loop.call_soon(self._settle)
        return await answer.future

    def _settle(self) -> None:
        self._loop = None
        self._store.settle()


class _Answer:
    """A future of a loop, for whoever commits: in the loop's own thread or in another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self._loop, self._thread = loop, threading.get_ident()

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.cancelled()

    def set_result(self, result: Any, /) -> None:
        self._tell(self.future.set_result, result)

    def set_exception(self, error: BaseException, /) -> None:
        self._tell(self.future.set_exception, error)

    def _tell(self, tell: Callable[[Any], None], what: Any) -> None:
        if threading.get_ident() == self._thread:
            self._tell_here(tell, what)
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._tell_here, tell, what)

    def _tell_here(self, tell: Callable[[Any], None], what: Any) -> None:
        if not self.future.done():
            tell(what)
