"""The worker's side of ``@quantum_app``: what happens to a function and its options next to the QPU.

Options travel as keyword arguments whose names no Python function can have, so that futures among them are resolved
like any other argument, and memoisation sees them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from qpu_executors import NotOnQPU, QPUHandle, as_task, current_qpu, run

PREFIX = "quantum:"
SPECIFICATION = "parsl_resource_specification"


def returning_circuits(func: Callable[..., Any], keep_specification: bool) -> Callable[..., Any]:
    """Style 1: the function returns a circuit, or a list of them, and we run it."""

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        from conqure_parsl.calls import run_returned  # travels by value: its globals are not there

        return run_returned(func, keep_specification, args, kwargs)

    return call


def taking_qpu(func: Callable[..., Any], keep_specification: bool) -> Callable[..., Any]:
    """Style 2: the function takes ``qpu`` and runs circuits itself."""

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        from conqure_parsl.calls import call_with_qpu

        return call_with_qpu(func, keep_specification, args, kwargs)

    return call


def run_returned(
    func: Callable[..., Any], keep_specification: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    options = _take_options(kwargs, keep_specification)
    made = func(*args, **kwargs)
    if not isinstance(made, (list, tuple)):
        return run(as_task(made, **options))
    seed = options.pop("seed", None)  # equal circuits in one list are separate samples
    seeds = [None if seed is None else seed + n for n in range(len(made))]
    return [run(as_task(each, seed=seed, **options)) for each, seed in zip(made, seeds, strict=True)]


def call_with_qpu(
    func: Callable[..., Any], keep_specification: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    options = _take_options(kwargs, keep_specification)
    held = current_qpu()
    if held is None:
        raise NotOnQPU(f"{func.__name__!r} takes a QPU and ran where there is none. Call it as a @quantum_app.")
    return func(*args, qpu=QPUHandle(held, **options), **kwargs)


def stamp(kwargs: dict[str, Any]) -> None:
    """Note in the arguments of a quantum app's call when an executor got it: from then on it is in the queue."""
    if PREFIX + "device" in kwargs:
        kwargs[PREFIX + "created_at"] = time.time()


def _take_options(kwargs: dict[str, Any], keep_specification: bool) -> dict[str, Any]:
    if not keep_specification:
        kwargs.pop(SPECIFICATION, None)
    names = [name for name in kwargs if name.startswith(PREFIX)]
    options = {name.removeprefix(PREFIX): kwargs.pop(name) for name in names}
    options.pop("device", None)  # for memoisation only: it has brought us here
    return options
