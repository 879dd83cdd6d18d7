"""Parsl's memoizer is asked about every task that is launched, and told how each one ends: so observers can be, too."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from parsl.dataflow.memoization import BasicMemoizer, Memoizer
from parsl.dataflow.taskrecord import TaskRecord
from parsl.executors.errors import InvalidResourceSpecification

from qpu_executors import QuantumTask
from qpu_executors.observing import Observer, results_in, task_of, tell

from .calls import OPTION
from .packing import is_run
from .specification import placement


class ObservedMemoizer(Memoizer):
    """Tells observers of quantum tasks, and leaves memoisation to another memoizer.

    A task counts from when it is launched first until it has ended for good; results from memory are nobody's news.

    >>> Config(memoizer=ObservedMemoizer([recorder]))
    """

    def __init__(self, observers: Sequence[Observer], memoizer: Memoizer | None = None) -> None:
        self._observers, self._memoizer = observers, memoizer or BasicMemoizer()
        self._launched: dict[int, QuantumTask] = {}

    def start(self, *, run_dir: str, config_run_dir: str) -> None:
        self._memoizer.start(run_dir=run_dir, config_run_dir=config_run_dir)

    def check_memo(self, task: TaskRecord) -> Future[Any] | None:
        known = self._memoizer.check_memo(task)
        if known is None and task["id"] not in self._launched and (quantum := _quantum_task(task)) is not None:
            self._launched[task["id"]] = quantum
            tell(self._observers, "submitted", quantum)
        return known

    def update_memo_result(self, task: TaskRecord, r: Any) -> None:
        self._memoizer.update_memo_result(task, r)
        if (quantum := self._launched.pop(task["id"], None)) is not None:
            tell(self._observers, "finished", quantum, results_in(r))

    def update_memo_exception(self, task: TaskRecord, e: BaseException) -> None:
        self._memoizer.update_memo_exception(task, e)
        if (quantum := self._launched.pop(task["id"], None)) is not None:
            tell(self._observers, "finished", quantum, e)

    def close(self) -> None:
        self._memoizer.close()

    def __getattr__(self, name: str) -> Any:
        """What the other one has besides, such as ``checkpoint``."""
        return getattr(self._memoizer, name)


def _quantum_task(task: TaskRecord) -> QuantumTask | None:
    """What a Parsl task runs on a QPU; None for a classical one."""
    func, args, kwargs = task["func"], task["args"], task["kwargs"]
    if is_run(func) and args and isinstance(args[0], QuantumTask):
        return args[0]
    try:
        where = placement(task["resource_specification"], func, tuple(args))
    except (ValueError, InvalidResourceSpecification):  # the executor says what is wrong
        return None
    if where is None:
        return None
    told = {name: kwargs.get(OPTION + name) for name in ("shots", "seed", "parameter_values")}
    try:
        return task_of(func, where.device_id, priority=where.priority, **told)
    except ValueError:
        return task_of(func, where.device_id)
