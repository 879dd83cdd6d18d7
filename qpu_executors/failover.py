"""`FailoverPool`: a task whose QPU goes offline runs on an equivalent one, and its result says so.

A QPU is offline for a task when its worker is lost, when it has a fault after the pool's own retries, when it cannot be
opened, or when it is drained. A task whose selector fits other QPUs goes to one of them with as many qubits or more. A
task that names its QPU gets the error, unless the site says who stands in for it (``failover`` of its table).

A task that a machine may have (`submissions`) is not given to a second one, which would bill it as well: it is tried
once more where it is.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .device import QPU
from .errors import ConqureError, DeviceDrained, DeviceFault, DeviceLost, InvalidTask
from .records import QuantumResult, QuantumTask
from .running import run
from .selector import Selector

if TYPE_CHECKING:
    from .submissions import Submission

OFFLINE_AFTER = 3  # failures in a row; after that, and at once after one that does not open,
OFFLINE_S = 30.0  # a QPU gets no task that others can run, for so long
FROM, BECAUSE = "failed_over_from", "failed_over_because"  # in a result's metadata


class FailoverPool(Executor):
    """Wraps a pool of QPUs; what is no ``run(task)``, or has nowhere else to go, passes through untouched.

    Args:
        pool: any pool of ours. It is the caller's; `shutdown` is passed on.
        qpus: what it holds; by default what it says itself.

    >>> with QPUThreadPool(site.qpus) as pool:
    ...     FailoverPool(pool).submit(run, task).result().metadata
    {'failed_over_from': 'ion0', 'failed_over_because': 'DeviceFault: the trap is empty'}
    """

    def __init__(self, pool: Executor, qpus: Iterable[QPU] | None = None) -> None:
        self.pool = pool
        self.qpus: list[QPU] = list(qpus if qpus is not None else pool.qpus)  # type: ignore[attr-defined]
        self._fitting: dict[str, list[QPU]] = {}
        self._failures: Counter[str] = Counter()
        self._offline: dict[str, float] = {}
        self._turns = itertools.count()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["pool"], name)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of the pool."""
        task = args[0] if fn is run and len(args) == 1 and not kwargs else None
        if not isinstance(task, QuantumTask) or not self._has_stand_ins(task):
            return self.pool.submit(fn, *args, **kwargs)
        future = _FailoverFuture(self, task)
        future.begin(self._away_from_offline(task))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)

    def stand_ins(self, task: QuantumTask, lost: QPU, tried: Iterable[str]) -> list[QPU]:
        """Where a task that ``lost`` did not run may run, the best first."""
        wanted = Selector.parse(task.device_id)
        named = [qpu for name in lost.failover for qpu in self.qpus if qpu.device_id == name]
        others = [] if wanted.name else sorted(self._fits(task.device_id), key=lambda qpu: qpu.n_qubits)
        found = dict.fromkeys(qpu.device_id for qpu in [*named, *others])
        equivalent = [qpu for qpu in map(self._qpu, found) if qpu.n_qubits >= lost.n_qubits]
        left = [qpu for qpu in equivalent if qpu.max_shots >= task.shots and qpu.device_id not in tried]
        return sorted(left, key=lambda qpu: self._is_offline(qpu.device_id))

    def lost(self, task: QuantumTask, error: BaseException) -> QPU | None:
        """The QPU that has failed this task by being offline, if that is what the error says."""
        if not (isinstance(error, (DeviceLost, DeviceFault, DeviceDrained)) or getattr(error, "at_opening", False)):
            return None
        name = getattr(error, "device_id", "") or Selector.parse(task.device_id).name or ""
        if not isinstance(error, DeviceDrained):  # the pool itself knows which are
            with self._lock:
                self._failures[name] += 1
                if self._failures[name] >= OFFLINE_AFTER or getattr(error, "at_opening", False):
                    self._offline[name] = time.monotonic() + OFFLINE_S
        return next((qpu for qpu in self.qpus if qpu.device_id == name), None)

    def ran(self, device_id: str) -> None:
        """It is there."""
        if self._failures[device_id] or device_id in self._offline:
            with self._lock:
                self._failures.pop(device_id, None)
                self._offline.pop(device_id, None)

    def _qpu(self, device_id: str) -> QPU:
        return next(qpu for qpu in self.qpus if qpu.device_id == device_id)

    def _is_offline(self, device_id: str) -> bool:
        return self._offline.get(device_id, 0.0) > time.monotonic()

    def _fits(self, device_id: str) -> list[QPU]:
        """Looked up once for each selector: this is on the way of every task."""
        if device_id not in self._fitting:
            self._fitting[device_id] = list(filter(Selector.parse(device_id).matches, self.qpus))
        return self._fitting[device_id]

    def _has_stand_ins(self, task: QuantumTask) -> bool:
        fitting = self._fits(task.device_id)
        return len(fitting) > 1 or any(qpu.failover for qpu in fitting)

    def _away_from_offline(self, task: QuantumTask) -> QuantumTask:
        """While a QPU is offline, a task that others can run is not tried there first."""
        if not self._offline or Selector.parse(task.device_id).name:
            return task
        fitting = self._fits(task.device_id)
        there = [qpu for qpu in fitting if not self._is_offline(qpu.device_id)]
        if not there or len(there) == len(fitting):
            return task
        return task.replace(device_id=there[next(self._turns) % len(there)].device_id)


class _FailoverFuture(Future[QuantumResult]):
    """Follows a task from QPU to QPU."""

    def __init__(self, pool: FailoverPool, task: QuantumTask) -> None:
        super().__init__()
        self._pool, self._task = pool, task
        self._inner: Future[QuantumResult] = Future()
        self._first: tuple[QPU, BaseException] | None = None  # the QPU that failed, and how
        self._tried: list[str] = []
        self._again = False

    def begin(self, task: QuantumTask) -> None:
        """Give it to the pool; what that refuses at once is raised, unless it is about a QPU that cannot be opened."""
        try:
            inner = self._pool.pool.submit(run, task)
        except ConqureError as error:
            if not self._go_on(error):
                raise
            return
        self._inner = inner
        inner.add_done_callback(self._ended)

    def result(self, timeout: float | None = None) -> QuantumResult:
        self._lend(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._lend(timeout)
        return super().exception(timeout)

    def cancel(self) -> bool:
        return self.cancelled() or self._inner.cancel()

    def running(self) -> bool:
        return not self.done() and self._inner.running()

    def _lend(self, timeout: float | None) -> None:
        """Pools of threads run a call in the thread that waits for it."""
        if timeout is None and not self.done() and hasattr(self._inner, "lend"):
            self._inner.lend()

    def _ended(self, inner: Future[QuantumResult]) -> None:
        try:
            error = inner.exception()
        except CancelledError:
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        if error is None:
            self._pool.ran(inner.result().device_id)
            self.set_result(self._as_told(inner.result()))
            return
        try:
            goes_on = self._go_on(error)
        except BaseException as problem:
            error, goes_on = problem, False
        if not goes_on:
            self.set_exception(self._why(error))

    def _go_on(self, error: BaseException) -> bool:
        """Try the next QPU, if this error calls for it and there is one."""
        lost = self._pool.lost(self._task, error)
        if lost is None and not (self._first and isinstance(error, InvalidTask)):  # a stand-in may be no match
            return False
        if lost is not None:
            self._first = self._first or (lost, error)
            self._tried.append(lost.device_id)
            if self._is_there(lost):
                return self._attach(lost, error)
        for qpu in self._pool.stand_ins(self._task, self._first[0], self._tried):  # type: ignore[index]
            self._tried.append(qpu.device_id)
            with suppress(ConqureError):
                self.begin(self._task.replace(device_id=qpu.device_id))
                return True
        return False

    def _known(self, lost: QPU) -> Submission | None:
        from .submissions import known_submission  # only who fails asks

        return known_submission(self._task, lost.device_id)

    def _is_there(self, lost: QPU) -> bool:
        """Whether the machine may have the task; then it is the only one that gets it."""
        known = self._known(lost)
        return known is not None and bool(known.remote_id or not known.failures)

    def _attach(self, lost: QPU, error: BaseException) -> bool:
        if self._again:
            known = self._known(lost)
            where = f"as {known.remote_id!r}" if known and known.remote_id else "perhaps"
            error.add_note(
                f"{lost.device_id!r} has the task, {where}, so no other QPU was tried. Submit the same task later."
            )
            return False
        self._again, self._first = True, None
        self.begin(self._task.replace(device_id=lost.device_id))
        return True

    def _why(self, error: BaseException) -> BaseException:
        """The first QPU's error is the task's; what stand-ins said is added."""
        if self._first is None or self._first[1] is error:
            return error
        first = self._first[1]
        first.add_note(f"Its stand-in failed, too: {type(error).__name__}: {error}")
        return first

    def _as_told(self, result: QuantumResult) -> QuantumResult:
        if self._first is None or self._first[0].device_id == result.device_id:
            return result
        qpu, error = self._first
        told = {FROM: qpu.device_id, BECAUSE: f"{type(error).__name__}: {error}"}
        return replace(result, metadata=result.metadata | told)
