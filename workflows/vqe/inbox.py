"""What the one thread that unrolls the graph sleeps on; when nothing comes for a while, it asks why."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

QUIET_S = 3.0  # without a node that ended, until one may wonder; doubled with each question, up to:
MOST_QUIET_S = 60.0

Call = Callable[[], None]
Why = Callable[[], Sequence[str]]


class Inbox:
    """Calls for one thread, in the order they were put.

    Args:
        why: says in sentences why tasks wait; None if there is nobody to ask. It may take seconds, so it gets a thread.
        tell: is given the sentences, in the thread that takes, unless they are those of the last time.
    """

    def __init__(self, why: Why | None, tell: Callable[[Sequence[str]], None], quiet_s: float = QUIET_S) -> None:
        self._why, self._tell, self._quiet_s, self._patience_s = why, tell, quiet_s, quiet_s
        self._calls: SimpleQueue[Call | list[str]] = SimpleQueue()
        self._asking = False
        self._told: list[str] = []

    def put(self, call: Call) -> None:
        self._calls.put(call)

    def take(self) -> Call:
        """The next call; waits for it."""
        while True:
            try:
                found = self._calls.get(timeout=self._patience_s if self._why else None)
            except Empty:
                self._ask()
                continue
            if not isinstance(found, list):
                self._patience_s = self._quiet_s
                return found
            if found and found != self._told:
                self._told = found
                self._tell(found)

    def _ask(self) -> None:
        self._patience_s = min(2 * self._patience_s, MOST_QUIET_S)
        if not self._asking:
            self._asking = True
            threading.Thread(target=self._answer, name="why", daemon=True).start()

    def _answer(self) -> None:
        assert self._why is not None
        with contextlib.suppress(Exception):  # knowing why is a courtesy: that nobody can tell must not disturb the run
            self._calls.put(list(self._why()))
        self._asking = False
