"""The standard library's `Executor` over Parsl: `pool(dfk)` for the QPUs, and a whole engine from a site."""

from __future__ import annotations

import contextlib
import functools
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from types import FrameType
from typing import Any

from parsl.app.errors import wrap_error
from parsl.dataflow.dflow import DataFlowKernel, DataFlowKernelLoader
from parsl.dataflow.errors import PropagatedException
from parsl.dataflow.futures import AppFuture
from parsl.executors import MPIExecutor

from qpu_executors import QPU, QuantumTask, Site, run

from .config import parsl_config
from .executor import CPUExecutor
from .placing import Labels, choose, qpu_executors
from .sessions import session_for
from .specification import PARAMETER, TICKET, Ticket


class PoolFuture(Future[Any]):
    """Follows a Parsl task; unlike an `AppFuture` it can be cancelled while the task waits."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__()
        self._ticket = ticket
        self._once = itertools.count()

    def cancel(self) -> bool:
        if self.done():
            return self.cancelled()
        if not self._ticket.cancel():  # if it does, Parsl's own future fails, and we may follow it before this returns
            return False
        self._become_cancelled()
        return True

    def _become_cancelled(self) -> None:
        if next(self._once) == 0:
            super().cancel()
            self.set_running_or_notify_cancel()

    def running(self) -> bool:
        return not self.done() and self._ticket.running()

    def follow(self, app_future: AppFuture) -> None:
        error = app_future.exception()
        if self._ticket.cancelled:
            self._become_cancelled()
        elif error is not None:
            # Of a task whose arguments failed, what went wrong in the first place, as in the standard library.
            self.set_exception((isinstance(error, PropagatedException) and error.__cause__) or error)
        else:
            self.set_result(app_future.result())


class ParslPool(Executor):
    """Executors of a running Parsl as one pool with the standard library's contract.

    Futures, of this pool or of apps, are accepted as arguments (inside lists and dicts where the `Config` resolves
    them, as `parsl_config` does). `shutdown` waits for this pool's tasks; Parsl itself goes on.

    Args:
        dfk: the running Parsl.
        labels: which executors; ``"all"`` for all that hold QPUs.
        quantum: whether these executors hold QPUs.
    """

    def __init__(self, dfk: DataFlowKernel, labels: Labels, quantum: bool) -> None:
        self._dfk, self._labels, self._quantum = dfk, labels, quantum
        self._cancels = quantum or all(isinstance(dfk.executors[label], CPUExecutor) for label in labels)
        self._lock = threading.Lock()
        self._futures: set[PoolFuture] = set()
        self._closed = False
        self._call = functools.lru_cache(maxsize=1024)(wrap_error)  # one wrapper per function, serialised once

    @property
    def qpus(self) -> list[QPU]:
        """The QPUs that the pool's workers hold."""
        return [qpu for each in qpu_executors(self._dfk, self._labels) for qpu in each.qpus] if self._quantum else []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PoolFuture:
        """As `concurrent.futures.Executor.submit`; `UnknownDevice` at once if no QPU of the pool fits the task."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = PoolFuture(Ticket())
        if self._quantum:
            labels = self._place(fn, args, kwargs, future)
        else:
            labels = list(self._labels)
            if self._cancels:
                kwargs[PARAMETER] = {TICKET: future._ticket}
        with self._lock:
            self._futures.add(future)
        future.add_done_callback(self._forget)
        try:
            app_future = self._dfk.submit(
                self._call(fn), app_args=args, executors=labels, cache=False, ignore_for_cache=None, app_kwargs=kwargs
            )
        except BaseException:
            self._forget(future)
            raise
        app_future.add_done_callback(future.follow)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library, for the tasks of this pool."""
        self._closed = True
        with self._lock:
            futures = set(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            _wait(futures)

    def _place(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], future: PoolFuture
    ) -> list[str]:
        task = args[0] if fn is run and args and isinstance(args[0], QuantumTask) else None
        specification: dict[str, Any] = {"device_id": task.device_id if task else "any", TICKET: future._ticket}
        if task is not None:
            specification["priority"] = task.priority
        if current := session_for(specification["device_id"]):
            specification |= current.specification
        kwargs[PARAMETER] = specification
        return [choose(self._dfk, self._labels, specification["device_id"], specification.get("session")).label]

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._futures.discard(future)


_wait = wait  # `shutdown` has an argument of that name


def pool(dfk: DataFlowKernel | None = None, executors: Labels = "all") -> ParslPool:
    """The QPUs of a running Parsl as a standard-library executor.

    Args:
        dfk: the running Parsl; by default the one that `parsl.load` made.
        executors: labels of QPU executors; by default all of them.

    Raises:
        NotOnQPU: Parsl has no QPU executor, or a label means something else.

    >>> with parsl.load(parsl_config("laptop")) as dfk:
    ...     pool(dfk).submit(run, task).result().counts
    """
    dfk = dfk or DataFlowKernelLoader.dfk()
    qpu_executors(dfk, executors)
    return ParslPool(dfk, executors, quantum=True)


@contextlib.contextmanager
def open_engine(site: Site | str | Path | None = None, **options: Any) -> Iterator[tuple[ParslPool, ParslPool]]:
    """Start Parsl for a site; gives the pool of its QPUs and the pool of its classical workers.

    ``options`` are those of `parsl_config`. If no Parsl is loaded yet, this one is, so that apps find it.
    The block ends when all that was submitted has; by an error, Ctrl-C or SIGTERM it ends at once.

    >>> with open_engine("laptop") as (qpus, cpus):
    ...     qpus.submit(run, task).result()
    """
    with _orderly_sigterm():
        dfk = DataFlowKernel(parsl_config(site, **options))
        loaded = DataFlowKernelLoader._dfk is None
        if loaded:
            DataFlowKernelLoader._dfk = dfk
        try:
            quantum = [each.label for each in qpu_executors(dfk)]
            # MPI programs are asked for by name: they are apps with a number of nodes, not calls of a pool.
            others = [label for label in dfk.executors if label not in quantum and label != "_parsl_internal"]
            classical = [label for label in others if not isinstance(dfk.executors[label], MPIExecutor)]
            qpus, cpus = ParslPool(dfk, quantum, quantum=True), ParslPool(dfk, classical, quantum=False)
            yield qpus, cpus
            # First the classical pool: its calls may wait for circuits, and what circuits wait for has been submitted.
            cpus.shutdown()
            qpus.shutdown()
            dfk.wait_for_current_tasks()  # of apps
        finally:
            dfk.cleanup()


@contextlib.contextmanager
def _orderly_sigterm() -> Iterator[None]:
    """Let SIGTERM end the program as an exception, so that ``finally`` runs; unless the program has its own way."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)
