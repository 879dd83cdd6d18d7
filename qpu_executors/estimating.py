"""How long QPUs will be busy with tasks, as far as their drivers know: before anything is run.

A driver's class may have a method ``estimate(task) -> seconds``, the time on the QPU without waiting. It is called on a
device that is opened for that alone; nothing is executed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from .device import QPU
from .errors import ConqureError
from .records import QuantumTask
from .registry import driver, open_device
from .selector import Selector

Stated = Callable[[QuantumTask], float]
_HELD = ("gres", "license", "partition")  # only a job of Slurm may open these


class Estimator:
    """Asks the drivers of some QPUs; close it, or use it as a context manager, to let go of them.

    >>> with Estimator(site.qpus) as estimator:
    ...     estimator.seconds(QuantumTask(program, device_id="ion0", shots=1000))
    1.3
    """

    def __init__(self, qpus: Iterable[QPU]) -> None:
        self._qpus = list(qpus)
        self._lock = threading.Lock()
        self._stated: dict[str, Stated | None] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def seconds(self, task: QuantumTask) -> float | None:
        """On the slowest QPU that the task may run on, of those that state their times; None if none does."""
        fitting = filter(Selector.parse(task.device_id).matches, self._qpus)
        found = [stated(task) for qpu in fitting if (stated := self._times_of(qpu)) is not None]
        return max(found, default=None)

    def close(self) -> None:
        with self._lock:
            self._stated.clear()
            self._stack.close()

    def _times_of(self, qpu: QPU) -> Stated | None:
        with self._lock:
            if qpu.device_id not in self._stated:
                self._stated[qpu.device_id] = self._ask(qpu)
            return self._stated[qpu.device_id]

    def _ask(self, qpu: QPU) -> Stated | None:
        try:
            if qpu.reach in _HELD or not hasattr(driver(qpu.driver), "estimate"):
                return None
            device = open_device(qpu)
        except ConqureError:  # who runs a task there is told
            return None
        self._stack.callback(device.close)
        stated: Stated | None = getattr(device, "estimate", None)
        return stated
