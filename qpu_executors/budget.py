"""`Budget`: no more shots, and no more seconds of QPUs, than a run may cost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from typing import Any

from .errors import BudgetExceeded, DeviceDrained, InvalidTask, RemoteFailed, UnknownDevice
from .estimating import Estimator
from .futures import when_ready
from .records import QuantumResult, QuantumTask
from .running import run
from .submissions import key_of

_NOT_BILLED = (CancelledError, InvalidTask, UnknownDevice, DeviceDrained, RemoteFailed)


@dataclass(frozen=True, slots=True)
class Cost:
    """What some tasks cost: shots of all rows, and seconds on the QPU."""

    shots: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.shots + other.shots, self.seconds + other.seconds)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.shots - other.shots, self.seconds - other.seconds)


class _Book:
    """What tasks cost, by key, and the sum of it."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self.total = Cost()

    def __contains__(self, key: str) -> bool:
        return key in self.costs

    def put(self, key: str, cost: Cost) -> None:
        self.drop(key)
        self.costs[key] = cost
        self.total += cost

    def drop(self, key: str) -> None:
        self.total -= self.costs.pop(key, Cost())
        if not self.costs:  # without what rounding has left
            self.total = Cost()


class Budget(Executor):
    """A pool (or a `conqure.interop.door.Door`) that takes tasks as long as they are within a budget.

    What a task will cost is reserved when it is submitted, and becomes what it did cost when it has ended: its shots,
    and the ``run_s`` of its result. A task that the QPU did not run costs nothing. One that failed in another way may
    have been run, and counts. The same task submitted again (a retry) counts once. Thread-safe.

    Args:
        pool: takes ``submit(run, task)``, or a door that takes ``submit(task)``. It is the caller's.
        shots, seconds: the most that all tasks together may cost; None for any number.
        estimate: seconds that a task will take on its QPU. By default what the QPU's driver states (`Estimator`), else
            as many for each shot as the tasks before took; a first task of which nothing is known counts when it ends.

    >>> budget = Budget(pool, shots=10_000)
    >>> budget.submit(run, QuantumTask(program, shots=20_000))
    Traceback (most recent call last):
    BudgetExceeded: the task needs 20,000 shots, and 10,000 of the budget's 10,000 are left…
    """

    def __init__(
        self,
        pool: Any,
        *,
        shots: int | None = None,
        seconds: float | None = None,
        estimate: Callable[[QuantumTask], float | None] | None = None,
    ) -> None:
        self.pool, self.shots, self.seconds = pool, shots, seconds
        self._estimator = Estimator(getattr(pool, "qpus", ())) if estimate is None and seconds is not None else None
        self._estimate = estimate or (self._estimator.seconds if self._estimator else lambda _: 0.0)
        self._lock = threading.Lock()
        self._reserved, self._used = _Book(), _Book()
        self._under_way: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["pool"], name)

    @property
    def used(self) -> Cost:
        """By tasks that have ended."""
        with self._lock:
            return self._used.total

    @property
    def reserved(self) -> Cost:
        """For tasks that wait or run."""
        with self._lock:
            return self._reserved.total

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """``submit(run, task)``, or ``submit(task)``; the task may be a future.

        Raises:
            BudgetExceeded: it would cost more than is left (with a future, that is what the returned one raises).
            TypeError: another call; what that would cost nobody knows.
        """
        given = fn if isinstance(fn, QuantumTask) else args[0] if fn is run and len(args) == 1 and not kwargs else None
        if isinstance(given, QuantumTask):
            return self._submit(given, (fn, *args))
        if isinstance(given, Future):
            return self._submit_later(given)
        raise TypeError("a budget counts tasks: submit(run, task). Other calls go to the pool itself: budget.pool.")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)
        self.close()

    def close(self) -> None:
        """Let go of what only tells times; the pool stays open."""
        if self._estimator is not None:
            self._estimator.close()

    def _submit(self, task: QuantumTask, call: tuple[Any, ...]) -> Future[Any]:
        key = key_of(task)
        self._reserve(key, task)
        try:
            future: Future[Any] = self.pool.submit(*call)
        except BaseException as error:
            self._settle(key, task, error)
            raise
        future.add_done_callback(lambda done: self._ended(key, task, done))
        return future

    def _submit_later(self, promised: Future[Any]) -> Future[Any]:
        promise: Future[Any] = Future()

        def go(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException | None) -> None:
            if not promise.set_running_or_notify_cancel():
                return
            try:
                if error is not None:
                    raise error
                self._submit(args[0], (run, args[0])).add_done_callback(lambda done: _copy(done, promise))
            except BaseException as problem:
                promise.set_exception(problem)

        when_ready((promised,), {}, go)
        return promise

    def _reserve(self, key: str, task: QuantumTask) -> None:
        seconds = self._seconds(task)
        with self._lock:
            self._under_way[key] += 1
            if key in self._reserved or key in self._used:
                return
            cost = Cost(task.shots * task.n_rows, seconds)
            if why := self._excess(cost, self._used.total + self._reserved.total):
                self._under_way[key] -= 1
                raise BudgetExceeded(why)
            self._reserved.put(key, cost)

    def _seconds(self, task: QuantumTask) -> float:
        stated = self._estimate(task)
        if stated is not None:
            return stated
        used = self.used
        return used.seconds / used.shots * task.shots * task.n_rows if used.shots else 0.0

    def _excess(self, cost: Cost, spoken_for: Cost) -> str:
        left_shots = None if self.shots is None else self.shots - spoken_for.shots
        left_s = None if self.seconds is None else self.seconds - spoken_for.seconds
        if left_shots is not None and cost.shots > left_shots:
            said = f"{cost.shots:,} shots, and {max(0, left_shots):,} of the budget's {self.shots:,} are left"
        elif left_s is not None and (cost.seconds > left_s or left_s <= 0):
            said = (
                f"about {cost.seconds:.3g} s, and {max(0.0, left_s):.3g} of the budget's {self.seconds:.3g} s are left"
            )
        else:
            return ""
        return f"the task needs {said}. Use fewer shots, or a larger budget; what was submitted before goes on."

    def _ended(self, key: str, task: QuantumTask, done: Future[Any]) -> None:
        try:
            outcome = done.exception() or done.result()
        except CancelledError as error:
            outcome = error
        self._settle(key, task, outcome)

    def _settle(self, key: str, task: QuantumTask, outcome: QuantumResult | BaseException) -> None:
        with self._lock:
            self._under_way[key] -= 1
            if isinstance(outcome, QuantumResult):
                self._used.put(key, Cost(task.shots * task.n_rows, outcome.run_s))
            elif not isinstance(outcome, _NOT_BILLED) and key not in self._used:
                self._used.put(key, self._reserved.costs.get(key, Cost()))
            if self._under_way[key] == 0:
                del self._under_way[key]
                self._reserved.drop(key)
            elif key in self._used:
                self._reserved.drop(key)


def _copy(done: Future[Any], promise: Future[Any]) -> None:
    try:
        promise.set_result(done.result())
    except BaseException as error:
        promise.set_exception(error)
