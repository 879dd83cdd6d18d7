"""What travels to a QPU worker: a user's function, and what we do with what it returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from distributed import get_worker

from qpu_executors import HeldDevice, NotOnQPU, QPUHandle, QuantumTask, as_task, current_qpu, run

ATTEMPT = "conqure-attempt"  # an annotation: how often Dask has handed this task to a worker


def run_returned(func: Callable[..., Any], settings: dict[str, Any], /, *args: Any, **kwargs: Any) -> Any:
    """Style 1: the function returns a circuit, or a list of them, and we run it."""
    with this_qpu(func):
        made = func(*args, **kwargs)
        if not isinstance(made, (list, tuple)):
            return run(as_task(made, **settings))
        seed = settings.pop("seed", None)  # equal circuits in one list are separate samples
        seeds = [None if seed is None else seed + n for n in range(len(made))]
        return [run(as_task(each, seed=seed, **settings)) for each, seed in zip(made, seeds, strict=True)]


def call_with_qpu(func: Callable[..., Any], settings: dict[str, Any], /, *args: Any, **kwargs: Any) -> Any:
    """Style 2: the function takes ``qpu`` and runs circuits itself."""
    with this_qpu(func) as held:
        return func(*args, qpu=QPUHandle(held, **settings), **kwargs)


def call_beside_qpu(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Any function on a QPU worker, `run` among them."""
    with this_qpu(func):
        return func(*args, **kwargs)


@contextlib.contextmanager
def this_qpu(func: Callable[..., Any]) -> Iterator[HeldDevice]:
    """The QPU of this worker, for one task.

    Raises:
        NotOnQPU: Dask has put the task on a worker without one (array and bag graphs lose annotations when optimised).
    """
    held = current_qpu()
    if held is None:
        raise NotOnQPU(
            f"{getattr(func, '__name__', func)!r} needs a QPU and ran on a worker that holds none. Call it as a "
            "@quantum_app or through conqure_dask.pool; inside graphs use app.delayed(…), not map_blocks or bag.map."
        )
    attempt = _attempt()
    held.metadata = {"attempts": attempt} if attempt > 1 else {}
    try:
        yield held
    finally:
        held.metadata = {}


def _attempt() -> int:
    """2 or more if an earlier worker with this task, or with its result, was lost; `DaskQPUs` counts."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return int(((task.annotations if task else None) or {}).get(ATTEMPT, 1))


def is_task(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this is the call that passes the waist, ``run(QuantumTask)``."""
    return func is run and len(args) == 1 and not kwargs and isinstance(args[0], QuantumTask)
