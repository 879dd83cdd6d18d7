"""What a QPU executor does with a classical app.

Parsl sends an app without ``executors=`` to an executor drawn by lot (`random.choice`), so sooner or later every QPU
executor gets classical apps. It must not run them: a QPU's time is the scarce good.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from parsl.executors.base import ParslExecutor

from qpu_executors import NotOnQPU

Classical = Literal["refuse", "run"] | ParslExecutor


def run_classical(
    executor: Any,
    func: Callable[..., Any],
    specification: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Future[Any]:
    """Hand a classical task on to the classical executor, or refuse it.

    Raises:
        NotOnQPU: there is none.
    """
    if isinstance(executor.classical, ParslExecutor):
        future: Future[Any] = executor.classical.submit(func, specification, *args, **kwargs)
        return future
    name = getattr(func, "__name__", repr(func))
    raise NotOnQPU(
        f"{name!r} is a classical app and came to the QPU executor {executor.label!r}. Say executors=['cpu'] (or "
        "whatever your classical executor's label is) in its decorator; or give the QPU executor classical=<that "
        "executor>, so that it hands such apps on; or, if it does mean a QPU, use @quantum_app, or name one: "
        "parsl_resource_specification={'device_id': 'any'}."
    )
