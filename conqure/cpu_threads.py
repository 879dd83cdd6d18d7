"""The classical half of the engine ``threads``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qpu_executors.futures import settle, when_ready


class CPUThreadPool(ThreadPoolExecutor):
    """The standard library's thread pool, except that futures among the arguments are waited for.

    Futures may come from any pool, also inside lists. No thread is blocked while it waits, so chains and graphs of
    any depth run on any number of threads.

    >>> with CPUThreadPool(1) as pool:
    ...     pool.submit(sum, [pool.submit(abs, -1), 2]).result()
    3
    """

    def __init__(self, max_workers: int) -> None:
        super().__init__(max_workers, thread_name_prefix="cpu")
        self._open: set[Future[Any]] = set()  # submitted and not done
        self._closed = False
        self._changed = threading.Condition()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`, with futures as arguments."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._open.add(future)
        future.add_done_callback(self._settled)
        when_ready(args, kwargs, lambda a, k, error: self._start(future, fn, a, k, error))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library; calls that wait for their arguments count as submitted and still run."""
        with self._changed:
            self._closed = True
            unfinished = list(self._open)
        if cancel_futures:
            for future in unfinished:
                future.cancel()
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: not self._open)
        if not self._open:  # else the last call to end lets the threads go
            super().shutdown(wait=wait)

    def _start(
        self,
        future: Future[Any],
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        if error is None:
            try:
                super().submit(settle, future, fn, args, kwargs)
            except RuntimeError:  # the threads have gone: fine for a call that was cancelled while it waited
                if not future.cancelled():
                    raise
        elif future.set_running_or_notify_cancel():
            future.set_exception(error)

    def _settled(self, future: Future[Any]) -> None:
        with self._changed:
            self._open.discard(future)
            last = self._closed and not self._open
            self._changed.notify_all()
        if last:
            super().shutdown(wait=False)
