"""Which failures of a node may pass, and what to raise for those that do not."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import Any

from qpu_executors import ConqureError

# What engines raise when a worker is gone, and when they can start none; by name, so that no engine is imported.
_LOST = {"WorkerLost", "ManagerLost", "KilledWorker", "BrokenProcessPool"}
_HOPELESS = {"BadStateException"}


def error_of(future: Future[Any]) -> BaseException | None:
    """What a finished node failed with."""
    if future.cancelled():
        return CancelledError("the engine cancelled it")
    return future.exception()


def is_transient(error: BaseException) -> bool:
    """Whether the same node may succeed when it is submitted again."""
    named = {cls.__name__ for cls in type(error).__mro__}
    return bool(getattr(error, "transient", False) or named & _LOST)


def final(error: BaseException) -> BaseException:
    """What to raise for a failure that does not pass: an engine that can start no workers says why in its text."""
    named = {cls.__name__ for cls in type(error).__mro__}
    return ConqureError(str(error)) if named & _HOPELESS else error
