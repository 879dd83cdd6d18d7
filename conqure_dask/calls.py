"""What travels to a QPU worker: a user's function, and what we do with what it returns."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from distributed import get_worker

from qpu_executors import HeldDevice, NotOnQPU, QPUHandle, QuantumTask, Selector, as_task, current_qpu, run

Kwargs = dict[str, Any]  # of the user's function; as one argument, since `Client.submit` has keywords of its own

ATTEMPT = "conqure-attempt"  # an annotation: how often Dask has handed this task to a worker


def run_returned(device_id: str, func: Callable[..., Any], settings: Kwargs, kwargs: Kwargs, *args: Any) -> Any:
    """Style 1: the function returns a circuit, or a list of them, and we run it."""
    with this_qpu(func, device_id):
        made = func(*args, **kwargs)
        if not isinstance(made, (list, tuple)):
            return run(as_task(made, **settings))
        seed = settings.pop("seed", None)  # equal circuits in one list are separate samples
        seeds = [None if seed is None else seed + n for n in range(len(made))]
        return [run(as_task(each, seed=seed, **settings)) for each, seed in zip(made, seeds, strict=True)]


def call_with_qpu(device_id: str, func: Callable[..., Any], settings: Kwargs, kwargs: Kwargs, *args: Any) -> Any:
    """Style 2: the function takes ``qpu`` and runs circuits itself."""
    with this_qpu(func, device_id) as held:
        return _with_qpu(func, QPUHandle(held, **settings), args, kwargs)


def call_beside_qpu(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Any function on a QPU worker, `run` among them."""
    with this_qpu(func):
        return func(*args, **kwargs)


def _with_qpu(func: Callable[..., Any], qpu: QPUHandle, args: tuple[Any, ...], kwargs: Kwargs) -> Any:
    """The call, with the handle in the place of the parameter ``qpu``: the caller counts as if it were not there."""
    place = list(inspect.signature(func).parameters).index("qpu")
    keyword_only = inspect.signature(func).parameters["qpu"].kind is inspect.Parameter.KEYWORD_ONLY
    if keyword_only or place > len(args):
        return func(*args, qpu=qpu, **kwargs)
    return func(*args[:place], qpu, *args[place:], **kwargs)


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
