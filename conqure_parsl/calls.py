"""The worker's side of ``@quantum_app``: what happens to a function and its options next to the QPU.

Options travel as keyword arguments whose names no Python function can have, so that futures among them are resolved
like any other argument, and memoisation sees them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from qpu_executors import NotOnQPU, QPUHandle, current_qpu
from qpu_executors.apps import call_with, run_made
from qpu_executors.records import ids_of_call

OPTION = "quantum:"  # before their names
CALL = "call"


def returning_circuits(func: Callable[..., Any]) -> Callable[..., Any]:
    """Style 1: the function returns a circuit, or a list of them, and we run it."""

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        from conqure_parsl.calls import run_returned  # travels by value: its globals are not there

        return run_returned(func, args, kwargs)

    return call


def taking_qpu(func: Callable[..., Any]) -> Callable[..., Any]:
    """Style 2: the function takes ``qpu`` and runs circuits itself."""

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        from conqure_parsl.calls import call_with_qpu

        return call_with_qpu(func, args, kwargs)

    return call


def run_returned(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call_id, options = _take_options(kwargs)
    with ids_of_call(call_id):
        with _hint_at_imports(func):
            made = func(*args, **kwargs)
        return run_made(made, options)


def call_with_qpu(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call_id, options = _take_options(kwargs)
    held = current_qpu()
    if held is None:
        raise NotOnQPU(f"{func.__name__!r} takes a QPU and ran where there is none. Call it as a @quantum_app.")
    with ids_of_call(call_id), _hint_at_imports(func):
        return call_with(func, QPUHandle(held, **options), args, kwargs)


@contextlib.contextmanager
def _hint_at_imports(func: Callable[..., Any]) -> Iterator[None]:
    try:
        yield
    except NameError as error:
        if func.__module__ == "__main__":
            error.add_note(
                f"{func.__name__!r} is defined in the script itself, and such a function travels without the script's "
                "names. Import what it needs inside the function, or move it into a module that workers can import."
            )
        raise


def _take_options(kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id of the call, the same in all its tries, and its options."""
    names = [name for name in kwargs if name.startswith(OPTION)]
    options = {name.removeprefix(OPTION): kwargs.pop(name) for name in names}
    options.pop("device", None)  # for memoisation only: it has brought us here
    return options.pop(CALL, ""), options
