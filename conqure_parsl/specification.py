"""What a task says about where it runs: its Parsl resource specification, read and checked.

The one rule that keeps classical apps off the QPUs: **a task is quantum if it says which QPU it is for**, by
``device_id`` or ``session`` in its resource specification (``@quantum_app`` and the pools write it), or because it is
``run`` of a `QuantumTask`, which names its device itself. Every other task is classical.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from typing import Any

from parsl.executors.errors import InvalidResourceSpecification

from qpu_executors import InvalidTask, Priority, QuantumTask

from .calls import OPTION
from .packing import is_run

OURS = ("device_id", "priority", "session")
ADVISORY = (  # Parsl's own keys for classical resources: a QPU worker has nothing to do with them and lets them pass
    "cores",
    "cpus",
    "disk",
    "gpus",
    "memory",
    "num_nodes",
    "num_ranks",
    "ranks_per_node",
    "launcher_options",
    "running_time_min",
)
TICKET = "_ticket"


PARAMETER = "parsl_resource_specification"


def arguments(func: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments to call a task's function with.

    Parsl leaves the resource specification among them, which suits only functions that have such a parameter; so any
    app can be called with one here. A quantum app's call gets the time: from now on it is in the queue.
    """
    if PARAMETER in kwargs and not _takes_specification(func):
        del kwargs[PARAMETER]
    if OPTION + "device" in kwargs:
        kwargs[OPTION + "created_at"] = time.time()
    return kwargs


@lru_cache(maxsize=1024)
def _takes_specification(func: Callable[..., Any]) -> bool:
    try:
        parameters = signature(func).parameters
    except (TypeError, ValueError):  # a built-in function
        return False
    return PARAMETER in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


class Ticket:
    """What goes with a task through all its tries: it counts them, and a pool cancels by it wherever the task is."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # cancelling runs callbacks, which may ask us again
        self._cancelled = self._launched = False
        self.attempts = 0  # how often an executor was given the task
        self._future: Future[Any] | None = None

    def launched(self, future: Future[Any] | None) -> None:
        """The executor has the task now, as a future that can be cancelled, or as ``None`` if it can't take it back.

        Raises:
            CancelledError: it was cancelled before.
        """
        with self._lock:
            if self._cancelled:
                raise CancelledError
            self._launched, self._future = True, future
            self.attempts += 1

    def cancel(self) -> bool:
        """Whether the task will not run."""
        with self._lock:
            if not self._cancelled:
                self._cancelled = True  # before: the future's callbacks ask
                if self._launched and not (self._future and self._future.cancel()):
                    self._cancelled = False
            return self._cancelled

    @property
    def cancelled(self) -> bool:
        with self._lock:
            return self._cancelled

    def running(self) -> bool:
        future = self._future
        return self._launched if future is None else future.running()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(None), ()  # stays at home: its locks mean nothing in another process


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a quantum task may run, and how urgent it is."""

    device_id: str = "any"
    priority: Priority = Priority.MEDIUM
    session: str | None = None
    ticket: Ticket | None = None


def placement(
    specification: Mapping[str, Any] | None, func: Callable[..., Any], args: tuple[Any, ...], *, any_task: bool = False
) -> Placement | None:
    """The placement of a quantum task, ``None`` for a classical one unless ``any_task`` may run on a QPU.

    Raises:
        InvalidResourceSpecification: a key that nobody knows; InvalidTask: a priority that does not exist.
    """
    specification = specification or {}
    _check_keys(specification)
    task = args[0] if is_run(func) and args and isinstance(args[0], QuantumTask) else None
    if task is None and "device_id" not in specification and "session" not in specification:
        return Placement() if any_task else None
    return Placement(
        device_id=specification.get("device_id") or (task.device_id if task else "any"),
        priority=read_priority(specification.get("priority") or (task.priority if task else Priority.MEDIUM)),
        session=specification.get("session"),
        ticket=specification.get(TICKET),
    )


def read_priority(value: Any) -> Priority:
    try:
        return Priority(value)
    except ValueError:
        choices = ", ".join(Priority)
        raise InvalidTask(f"priority is {value!r}. Give one of {choices} (numbers are HTEX's own way).") from None


def _check_keys(specification: Mapping[str, Any]) -> None:
    unknown = set(specification).difference(OURS, ADVISORY, (TICKET,))
    if unknown:
        raise InvalidResourceSpecification(
            unknown,
            f"A QPU executor reads {', '.join(OURS)}; it lets pass {', '.join(ADVISORY)}.",
        )
