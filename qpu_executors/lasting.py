"""Imports that are safe whichever thread asks for them first.

The compiled part of Qiskit 2 (its allocator, mimalloc) gives its main heap to the thread that loads it. When that
thread has ended, the next thread to build a circuit may end the whole process with a segmentation fault: seen in about
one of three runs with qiskit 2.6.2, and never when the loading thread was the main thread or lived on. The threads of
pools come and go, so what they need first is loaded by one thread that stays.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class _Loader(threading.Thread):
    """Runs one call after the other, until the program ends."""

    def __init__(self) -> None:
        super().__init__(name="lasting-imports", daemon=True)
        self.calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            future, load = self.calls.get()
            try:
                future.set_result(load())
            except BaseException as error:
                future.set_exception(error)
            del future, load


_loader: _Loader | None = None
_lock = threading.Lock()


def in_lasting_thread(load: Callable[[], T]) -> T:
    """The result of ``load()``, run in a thread that does not end before the program: this one if it is the main one.

    >>> in_lasting_thread(lambda: __import__("json").__name__)
    'json'
    """
    global _loader
    if threading.current_thread() in (threading.main_thread(), _loader):
        return load()
    with _lock:
        if _loader is None or not _loader.is_alive():  # a forked child has no threads but one
            _loader = _Loader()
    future: Future[T] = Future()
    _loader.calls.put((future, load))
    return future.result()


def keep_loaded(package: str) -> None:
    """Import a package in a lasting thread, if it is there; who needs it imports it afterwards as usual."""
    if package in sys.modules:
        return

    def load() -> None:
        with contextlib.suppress(ImportError):  # the import that follows says what is missing
            __import__(package)

    in_lasting_thread(load)
