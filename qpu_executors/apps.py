"""What happens next to the QPU to the functions that people decorate, on any engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .errors import UnknownDevice
from .records import QuantumResult
from .running import QPUHandle, current_qpu, run
from .selector import Selector
from .translation import as_task


def run_made(made: Any, options: dict[str, Any]) -> QuantumResult | list[QuantumResult]:
    """Style 1: run what a function returned, a circuit or a list of circuits, on the QPU at hand.

    Args:
        options: ``shots``, ``seed``, ``parameter_values``, … as for `as_task`. With a seed, the circuits of a list get
            seeds of their own made from it, since equal circuits in one list are separate samples.

    Raises:
        UnknownDevice: the function returned a task for another QPU.
    """
    if not isinstance(made, (list, tuple)):
        return _run_one(made, options)
    seed = options.get("seed")
    seeds = [None if seed is None else seed + n for n in range(len(made))]
    return [_run_one(each, options | {"seed": seed}) for each, seed in zip(made, seeds, strict=True)]


def _run_one(circuit: Any, options: dict[str, Any]) -> QuantumResult:
    task, held = as_task(circuit, **options), current_qpu()
    if held is not None and not Selector.parse(task.device_id).matches(held.qpu):
        raise UnknownDevice(
            f"the function returned a task for {task.device_id!r} and ran on {held.qpu.device_id!r}: where an app runs "
            f"is decided before it does. Say @quantum_app(device={task.device_id!r}), or give device= in the call."
        )
    return run(task)


def call_with(func: Callable[..., Any], qpu: QPUHandle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Style 2: call a function with the handle as its parameter ``qpu``; for the caller that parameter is not there.

    >>> call_with(lambda qpu, angle: angle, handle, (0.5,), {})
    0.5
    """
    place = list(inspect.signature(func).parameters).index("qpu")
    keyword_only = inspect.signature(func).parameters["qpu"].kind is inspect.Parameter.KEYWORD_ONLY
    if keyword_only or place > len(args):
        return func(*args, qpu=qpu, **kwargs)
    return func(*args[:place], qpu, *args[place:], **kwargs)
