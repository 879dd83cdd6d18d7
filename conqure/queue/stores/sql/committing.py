"""Group commit: changes that are asked for at the same time become durable together.

A durable commit costs a flush of the disk, 0.3 ms at best, and as much for a hundred changes as for one. So whoever
gets the lock commits all that wait (the leader), and the others find theirs done (the followers). One caller alone
pays no switch of threads. Each change has its own outcome.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, Protocol

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from qpu_executors.errors import ConqureError, StoreError

from ...work import WorkRecord
from . import quick
from .changes import Again, Changed, add_all
from .connecting import begin, failed, may_be_repeated, sqlite3_of, wait_for_none

MOST_TOGETHER = 256  # changes in one commit
QUICK_S = 0.005  # a flush that takes no longer than a switch of busy threads may is done on the spot
PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0)  # seconds before each repetition of a transaction; a database restarts in that

log = logging.getLogger(__name__)


class Awaited(Protocol):
    """As much of `concurrent.futures.Future` as one needs who settles it."""

    def set_running_or_notify_cancel(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, error: BaseException, /) -> None: ...


@dataclass(slots=True, eq=False)
class Change:
    """One thing to do in a transaction, and what became of it.

    Attributes:
        run: does it. ``looks_first``: before it writes, so that a `ConqureError` leaves the transaction as it was.
        adds: instead, a work and its workload; several are inserted together.
        future: who asked does not wait.
    """

    run: Callable[[Connection], Any] | None = None
    adds: tuple[WorkRecord, bytes | None] | None = None
    looks_first: bool = False
    future: Awaited | None = None
    outcome: Any = None
    done: bool = False


class GroupCommit:
    """Takes changes from any thread.

    Args:
        notify: called with the works that a change has changed, by who asked for it or, for `later`, by who did it.
    """

    def __init__(self, engine: Engine, name: str, notify: Callable[[Sequence[WorkRecord]], None]) -> None:
        self._engine, self._name, self._notify = engine, name, notify
        self._waiting: deque[Change] = deque()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._arrived = threading.Event()
        self._closed = False
        self._flush_s = 0.0  # how long a flush took lately

    def now(self, change: Change) -> Any:
        """What became of it, once that is durable."""
        self._take(change)
        while not change.done:
            with self._lock:
                group = self._commit() if not change.done else []
            self._answer(group)
        return self._result(change)

    def later(self, change: Change) -> Future[Any]:
        """The same from a thread of its own."""
        change.future = future = Future[Any]()
        self._take(change)
        self._wake_writer()
        return future

    def soon(self, change: Change, future: Awaited) -> None:
        """The same once somebody calls `settle`, or commits another change."""
        change.future = future
        self._take(change)

    def settle(self) -> None:
        """Commit what waits: here if that is quick, in the store's own thread if the disk is slow or others write."""
        is_near = self._engine.dialect.name == "sqlite"  # another one is not even connected to from here
        if not is_near or self._flush_s > QUICK_S or not self._lock.acquire(blocking=False):
            return self._wake_writer()
        group: list[Change] = []
        try:
            with suppress(SQLAlchemyError), self._connected() as connection:  # the writer will say what is wrong
                if begin(sqlite3_of(connection), patience_s=0.0):
                    group = self._commit()
        finally:
            self._lock.release()
        self._answer(group)
        if self._waiting:
            self._wake_writer()

    def close(self) -> None:
        """Commit what waits, and leave the database."""
        self._closed = True
        self._arrived.set()
        if self._writer is not None:
            self._writer.join()
        group: list[Change] = []
        with self._lock:
            while self._waiting:
                group += self._commit()
            self._disconnect()
        self._answer(group)

    def _take(self, change: Change) -> None:
        if self._closed:
            raise StoreError(f"the store {self._name} is closed.")
        self._waiting.append(change)

    def _wake_writer(self) -> None:
        if self._writer is None:
            self._start_writer()
        self._arrived.set()

    def _start_writer(self) -> None:
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_on, name="works-writer", daemon=True)
                self._writer.start()

    def _write_on(self) -> None:
        while not self._closed:
            self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                with self._lock:
                    group = self._commit()
                self._answer(group)

    # -- with the lock --

    def _commit(self) -> list[Change]:
        group: list[Change] = []
        while self._waiting and len(group) < MOST_TOGETHER:
            change = self._waiting.popleft()
            if change.future is None or change.future.set_running_or_notify_cancel():
                group.append(change)
        try:
            self._commit_group(group)
        except BaseException:  # Ctrl-C: who asked for the others will commit them
            self._waiting.extendleft(change for change in reversed(group) if not change.done and change.future is None)
            raise
        return group

    def _commit_group(self, group: Sequence[Change]) -> None:
        try:
            self._transaction(group)
        except StoreError as error:
            for change in group:
                change.outcome = error
        except Exception as error:
            if len(group) > 1:  # whichever of them it was, the others go on
                for change in group:
                    self._commit_group([change])
            else:
                group[0].outcome = (
                    failed(self._name, error) if isinstance(error, (SQLAlchemyError, sqlite3.Error)) else error
                )
        for change in group:
            change.done = True

    def _transaction(self, group: Sequence[Change]) -> None:
        if self._engine.dialect.name == "sqlite" and all(change.adds is not None for change in group):
            return self._add_quickly(group)
        for pause in (*PAUSES, None):
            try:
                with self._connected() as connection:
                    if connection.dialect.name == "sqlite":
                        begin(sqlite3_of(connection))
                    with connection.begin():
                        _run(connection, group)
                        began = perf_counter()
                    return self._note_flush(began)
            except Again:
                if pause is None:
                    raise
            except SQLAlchemyError as error:
                self._disconnect()
                if not may_be_repeated(error):
                    raise
                if pause is None:
                    raise failed(self._name, error) from error
                sleep(pause)
        raise AssertionError("unreachable")

    def _add_quickly(self, group: Sequence[Change]) -> None:
        with self._connected() as connection, quick.transaction(database := sqlite3_of(connection)):
            outcomes = quick.add_all(database, [change.adds for change in group if change.adds is not None])
            began = perf_counter()
        self._note_flush(began)
        for change, outcome in zip(group, outcomes, strict=True):
            change.outcome = outcome

    def _note_flush(self, began: float) -> None:
        self._flush_s += 0.1 * (perf_counter() - began - self._flush_s)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The same connection each time: no time goes into getting one."""
        if self._connection is None:
            self._connection = self._engine.connect()
            wait_for_none(self._connection)
        yield self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            wait_for_none(self._connection, again=True)
            self._connection.close()
            self._connection = None

    # -- without the lock --

    def _answer(self, group: Sequence[Change]) -> None:
        for change in group:
            if change.future is not None:
                try:
                    change.future.set_result(self._result(change))
                except Exception as error:
                    change.future.set_exception(error)

    def _result(self, change: Change) -> Any:
        outcome = change.outcome
        if isinstance(outcome, BaseException):
            raise outcome
        if not isinstance(outcome, Changed):
            return outcome
        try:
            self._notify(outcome.works)
        except Exception:  # the change is durable, whatever its listeners do
            log.exception("a listener of the store %s failed", self._name)
        return outcome.value


def _run(connection: Connection, group: Sequence[Change]) -> None:
    adding = [change for change in group if change.adds is not None]
    if adding:
        outcomes = add_all(connection, [change.adds for change in adding if change.adds is not None])
        for change, outcome in zip(adding, outcomes, strict=True):
            change.outcome = outcome
    for change in group:
        if change.run is not None:
            try:
                change.outcome = change.run(connection)
            except ConqureError as error:
                if not change.looks_first:
                    raise
                change.outcome = error
