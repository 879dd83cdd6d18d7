"""What travels to a QPU worker: a user's function, and what we do with what it returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from distributed import get_worker

from qpu_executors import HeldDevice, NotOnQPU, QPUHandle, QuantumTask, Selector, current_qpu, run
from qpu_executors.apps import call_with, run_made
from qpu_executors.records import ids_of_call

Kwargs = dict[str, Any]  # of the user's function; as one argument, since `Client.submit` has keywords of its own

ATTEMPT = "conqure-attempt"  # an annotation: how often Dask has handed this task to a worker


def run_returned(device_id: str, func: Callable[..., Any], settings: Kwargs, kwargs: Kwargs, *args: Any) -> Any:
    """Style 1: the function returns a circuit, or a list of them, and we run it."""
    with this_qpu(func, device_id):
        return run_made(func(*args, **kwargs), settings)


def call_with_qpu(device_id: str, func: Callable[..., Any], settings: Kwargs, kwargs: Kwargs, *args: Any) -> Any:
    """Style 2: the function takes ``qpu`` and runs circuits itself."""
    with this_qpu(func, device_id) as held:
        return call_with(func, QPUHandle(held, **settings), args, kwargs)


def call_beside_qpu(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Any function on a QPU worker, `run` among them."""
    with this_qpu(func):
        return func(*args, **kwargs)


@contextlib.contextmanager
def this_qpu(func: Callable[..., Any], device_id: str = "any") -> Iterator[HeldDevice]:
    """The QPU of this worker, for one task.

    Raises:
        NotOnQPU: Dask has put the task on another worker (array and bag graphs lose annotations when optimised).
    """
    held = current_qpu()
    if held is None or not Selector.parse(device_id).matches(held.qpu):
        raise NotOnQPU(
            f"{getattr(func, '__name__', func)!r} needs a QPU ({device_id}) and ran on a worker that holds "
            f"{held.qpu.device_id if held else 'none'}. Call it as a @quantum_app or through conqure_dask.pool; inside "
            "graphs use app.delayed(…), not map_blocks or bag.map."
        )
    attempt = _attempt()
    held.metadata = {"attempts": attempt} if attempt > 1 else {}
    try:
        with ids_of_call(get_worker().get_current_task()):  # Dask repeats a task under its key
            yield held
    finally:
        held.metadata = {}


def _attempt() -> int:
    """2 or more if an earlier worker with this task, or with its result, was lost; `DaskQPUs` counts."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return int(((task.annotations if task else None) or {}).get(ATTEMPT, 1))


def device_of(task: Any) -> str | None:
    """Which QPU a node of a Dask graph is for, if it is a call of a quantum app; read from the node itself."""
    if getattr(task, "func", None) in (run_returned, call_with_qpu) and task.args and isinstance(task.args[0], str):
        return task.args[0]
    return None


def is_task(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Kwargs) -> bool:
    """Whether this is the call that passes the waist, ``run(QuantumTask)``."""
    return func is run and len(args) == 1 and not kwargs and isinstance(args[0], QuantumTask)
