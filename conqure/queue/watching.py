"""Futures of works: one thread per client that asks how they are, and settles those that have ended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from qpu_executors.errors import ConqureError

from .results import check_ended_well, read_results
from .setting import Setting
from .store import WorkQuery
from .work import WorkRecord, WorkStatus

LOOK_S = 1.0  # a look at the oldest work lasts this long at most, then all of them are looked at
PATIENCE = 10  # looks in a row that may fail with a passing error before the futures fail too
_PAGE = 500


class WorkFuture(Future[Any]):
    """The results of a work to come. ``cancel()`` asks the queue to end the work too."""

    def __init__(self, work: WorkRecord, queue: Setting) -> None:
        super().__init__()
        self.work_id = work.work_id
        self._queue = queue

    def cancel(self) -> bool:
        if self.cancelled():
            return True
        if not super().cancel():
            return False
        with contextlib.suppress(ConqureError):  # it may have ended meanwhile, or the queue does not answer
            self._queue.cancel(self.work_id, "its future was cancelled")
        return True


class Watcher:
    """Looks after the futures of one client. Its thread lives while there are any."""

    def __init__(self, queue: Setting) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._futures: dict[str, tuple[WorkFuture, WorkRecord]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, work: WorkRecord) -> WorkFuture:
        future = WorkFuture(work, self._queue)
        with self._lock:
            self._futures[work.work_id] = (future, work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="conqure-works", daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """Cancels the futures that are left, not their works."""
        with self._lock:
            self._closed = True
            left, self._futures = [future for future, _ in self._futures.values()], {}
            thread = self._thread
        for future in left:
            Future.cancel(future)
            future.set_running_or_notify_cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        failures = 0
        while waiting := self._waiting():
            try:
                ended = self._look(waiting)
                failures = 0
            except Exception as error:
                failures += 1
                if failures <= PATIENCE and getattr(error, "transient", False):
                    continue
                self._fail(waiting, error)
                continue
            for work in ended:
                self._settle(work)

    def _waiting(self) -> list[WorkRecord]:
        """The works that are waited for, oldest first; with none the thread ends."""
        with self._lock:
            for work_id in [work_id for work_id, (future, _) in self._futures.items() if future.cancelled()]:
                self._futures.pop(work_id)[0].set_running_or_notify_cancel()
            if not self._futures:
                self._thread = None
            return [work for _, work in self._futures.values()]

    def _look(self, waiting: list[WorkRecord]) -> Iterable[WorkRecord]:
        """Waits for the oldest; then those among all that have ended."""
        first = self._queue.look(waiting[0].work_id, LOOK_S, self._status(waiting[0].work_id)).work
        self._note(first)
        if len(waiting) == 1 or (first.status.is_final and len(waiting) < 3):
            return [first] if first.status.is_final else []
        return self._ended_among(waiting)

    def _ended_among(self, waiting: list[WorkRecord]) -> list[WorkRecord]:
        wanted = {work.work_id for work in waiting}
        final = (WorkStatus.DONE, WorkStatus.CANCELED, WorkStatus.ERROR)
        oldest = min(work.created_at for work in waiting)
        found = self._queue.find(WorkQuery(statuses=final, since=oldest), _PAGE, False)
        ended = [work for work in found if work.work_id in wanted]
        if len(found) == _PAGE:  # more than a page: ask for the oldest ones by name
            ended += [s for s in (self._queue.look(w.work_id).work for w in waiting[:_PAGE]) if s.status.is_final]
        return ended

    def _status(self, work_id: str) -> str:
        with self._lock:
            entry = self._futures.get(work_id)
        return entry[1].status if entry else ""

    def _note(self, work: WorkRecord) -> None:
        with self._lock:
            if work.work_id in self._futures:
                self._futures[work.work_id] = (self._futures[work.work_id][0], work)

    def _settle(self, work: WorkRecord) -> None:
        with self._lock:
            future, _ = self._futures.pop(work.work_id, (None, None))
        if future is None or not future.set_running_or_notify_cancel():
            return
        try:
            check_ended_well(work)
            future.set_result(read_results(*self._queue.results(work.work_id)))
        except Exception as error:
            future.set_exception(error)

    def _fail(self, waiting: list[WorkRecord], error: Exception) -> None:
        for work in waiting:
            with self._lock:
                future, _ = self._futures.pop(work.work_id, (None, None))
            if future is not None and future.set_running_or_notify_cancel():
                future.set_exception(error)
