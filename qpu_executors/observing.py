"""Who watches the quantum tasks of a program: the summary of a bridge, or a recorder that keeps them in a store.

With ``CONQURE_RECORD`` in the environment (``1``, or what the observer makes of another value, such as the URL of a
store) every engine tells the observers that packages registered under the entry point group ``conqure.observers``:
``name = "package.module:callable"``, a ``callable(source, value) -> Observer``. Without it nothing is loaded.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextvars import ContextVar
from functools import cache
from typing import Any, Protocol

from .records import QuantumResult, QuantumTask

log = logging.getLogger("conqure")

VARIABLE = "CONQURE_RECORD"
GROUP = "conqure.observers"

Outcome = QuantumResult | Sequence[QuantumResult] | BaseException | None


class Observer(Protocol):
    """Told of every quantum task, from any thread; must be quick. What it raises is logged and ignored."""

    def submitted(self, task: QuantumTask) -> None:
        """The engine has accepted this task. For a function that makes its circuits next to the QPU it is one of the
        language ``python`` with the function's name as its program."""
        ...

    def finished(self, task: QuantumTask, outcome: Outcome) -> None:
        """It is done, failed or cancelled; called once for each that was submitted, with the same object. A function
        may give one result, several, or none that is a `QuantumResult`."""
        ...


_unobserved: ContextVar[bool] = ContextVar("unobserved", default=False)


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """What is opened inside this block tells nobody: whoever opens it keeps records of its own.

    >>> with unobserved():
    ...     engine = stack.enter_context(open_engine("threads", site))
    """
    token = _unobserved.set(True)
    try:
        yield
    finally:
        _unobserved.reset(token)


def observers(source: str) -> tuple[Observer, ...]:
    """Those who want to know what this engine runs; loaded once per process, none in an engine's worker."""
    if _unobserved.get() or not os.environ.get(VARIABLE) or os.environ.get("CONQURE_WORKER"):
        return ()
    return _load(source, os.environ[VARIABLE])


@cache
def _load(source: str, value: str) -> tuple[Observer, ...]:
    from importlib.metadata import entry_points

    found: list[Observer] = []
    for point in {point.value: point for point in entry_points(group=GROUP)}.values():
        try:
            found.append(point.load()(source, value))
        except Exception as error:  # a program runs whether or not it can be recorded
            log.warning("%s=%s: the observer %s cannot be had: %s", VARIABLE, value, point.value, error)
    return tuple(found)


def tell(watching: Iterable[Observer], event: str, *facts: Any) -> None:
    for observer in watching:
        try:
            getattr(observer, event)(*facts)
        except Exception:
            log.exception("an observer failed in %s", event)


def follow(watching: Sequence[Observer], task: QuantumTask, future: Any, outcome_of: Callable[[Any], Outcome]) -> None:
    """Tell of a task that was submitted, and of its end; ``outcome_of`` reads the future when it is done."""

    def end(done: Any) -> None:
        try:
            found = outcome_of(done)
        except (Exception, CancelledError) as error:
            found = error
        tell(watching, "finished", task, found)

    tell(watching, "submitted", task)
    future.add_done_callback(end)


def outcome(future: Any) -> Outcome:
    """What a future of the standard library holds that is done."""
    return results_in(future.result(timeout=0))


def results_in(value: Any) -> Outcome:
    """The results that a call gave, if it gave nothing else."""
    if isinstance(value, QuantumResult):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, QuantumResult) for part in value):
        return list(value)
    return None


def task_of(function: Callable[..., Any], device_id: str, **fields: Any) -> QuantumTask:
    """A task that stands for the call of a function whose circuits are made next to the QPU."""
    name = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"
    return QuantumTask(name, "python", device_id, **{key: value for key, value in fields.items() if value is not None})
