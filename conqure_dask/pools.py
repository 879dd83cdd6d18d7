"""Pools of the standard library over a Dask cluster, and ``open_engine``."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from distributed import Client

from qpu_executors import QPU, QuantumTask, Site, run, select
from qpu_executors.draining import steered
from qpu_executors.futures import when_ready
from qpu_executors.observing import follow, observers, outcome

from .borrowing import LINGER_IN_JOBS_S, LINGER_S, BorrowedQPUs
from .calls import call_beside_qpu, is_task
from .clusters import cluster
from .priorities import dask_priority
from .resources import CLASSICAL, qpus_of_client, wanted
from .sessions import QPUSession, session
from .tasks import TaskSubmitter


def pool(
    client: Client, device: str = "any", *, leases: bool = True, retries: int = 0, linger_s: float | None = None
) -> QPUPool:
    """A standard-library executor over the QPU workers of a Dask cluster.

    ``submit(run, task)`` goes to a QPU that ``task.device_id`` selects, by ``task.priority``; any other call goes, as a
    Dask task, to any QPU of the pool. Futures of this client's pools and of Dask are accepted as arguments, also in
    lists. A waiting task can be cancelled.

    Args:
        client: of a cluster made by `cluster`, or of any with workers like its own.
        device: the QPUs this pool uses, a name or a selector.
        leases: the pool borrows QPUs from Dask and sends circuits over connections of its own (0.3 ms instead of 5 to
            12); each is given back when there is nothing to do for ``linger_s`` seconds (30; 2 where jobs of Slurm
            hold the QPUs), or, every 0.1 s, when other Dask tasks wait for it. False makes every circuit a Dask task,
            for clients that workers can't connect to; Dask then repeats circuits that were lost with a worker, and
            their results say so.
        retries: how often a task is repeated when its worker is lost or its device reports a transient fault; the
            result then has ``metadata["attempts"]``. The default 0 leaves that decision to you.

    Raises:
        UnknownDevice: the cluster has no such QPU.

    >>> with pool(client) as qpus:
    ...     qpus.submit(run, QuantumTask(program, shots=100)).result()
    """
    if client.asynchronous:
        raise TypeError("a pool waits in threads and needs an ordinary client: Client(cluster), not asynchronous=True.")
    qpus = select(device, qpus_of_client(client), "this Dask cluster")
    if linger_s is None:
        site = getattr(client.cluster, "site", None)
        linger_s = LINGER_IN_JOBS_S if site is not None and site.groups else LINGER_S
    return QPUPool(client, qpus, device, leases, retries, linger_s)


def cpu_pool(client: Client) -> CPUPool:
    """A standard-library executor over the classical workers of a Dask cluster; nothing lands on a QPU worker.

    >>> with cpu_pool(client) as cpus:
    ...     cpus.submit(max, 1, 2).result()
    2
    """
    return CPUPool(client)


@contextlib.contextmanager
def open_engine(
    site: Site | str | Path | None = None, *, retries: int = 0, leases: bool = True, **options: Any
) -> Iterator[tuple[QPUPool, CPUPool]]:
    """A cluster for a site and its two pools: QPUs and classical work. ``options`` are those of `cluster`.

    >>> with open_engine("laptop") as (qpus, cpus):
    ...     cpus.submit(energy, qpus.submit(run, task)).result()
    """
    with cluster(site, **options) as started, Client(started) as client:
        qpus, cpus = pool(client, retries=retries, leases=leases), cpu_pool(client)
        failed = True
        try:
            yield qpus, cpus
            failed = False
        finally:
            # First the classical pool: its calls may wait for circuits, and what circuits wait for has been submitted.
            cpus.shutdown(wait=not failed, cancel_futures=failed)
            qpus.shutdown(wait=not failed, cancel_futures=failed)


class CPUPool(Executor):
    """See `cpu_pool`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._closed = False
        self._tasks = TaskSubmitter(client, CLASSICAL)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return self._tasks.submit(fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library."""
        self._closed = True
        if cancel_futures:
            self._tasks.cancel_all()
        if wait:
            self._tasks.wait()
            self._tasks.close()


class QPUPool(Executor):
    """See `pool`. ``qpus`` are the QPUs it uses."""

    def __init__(
        self, client: Client, qpus: list[QPU], device: str, leases: bool, retries: int, linger_s: float
    ) -> None:
        self.client, self.qpus, self._device = client, qpus, device
        self._closed = False
        self._later: set[Future[Any]] = set()
        self._tasks = TaskSubmitter(client, wanted(device), call_beside_qpu)
        self._borrowed = BorrowedQPUs(client, device, qpus, retries, linger_s) if leases else None
        self._observers = observers("dask")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`; `UnknownDevice` at once if no QPU of the pool fits the task."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if is_task(fn, args, kwargs):
            return self._run(args[0])
        if fn is run and len(args) == 1 and isinstance(args[0], Future):
            return self._run_later(args[0])
        return self._tasks.submit(fn, args, kwargs)

    def _run(self, task: QuantumTask) -> Future[Any]:
        future = self._start(task)
        if self._observers:
            follow(self._observers, task, future, outcome)
        return future

    def _start(self, task: QuantumTask) -> Future[Any]:
        if self._borrowed is not None:
            return self._borrowed.submit(task)
        where = steered(task.device_id, select(task.device_id, self.qpus, "this pool"))
        asked = wanted(f"{self._device},{where}")
        return self._tasks.submit(run, (task,), {}, resources=asked, priority=dask_priority(task.priority))

    def _run_later(self, promised: Future[Any]) -> Future[Any]:
        """A task that another call makes: where it goes is known when it is there."""
        promise: Future[Any] = Future()
        self._later.add(promise)
        promise.add_done_callback(self._later.discard)

        def go(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException | None) -> None:
            if not promise.set_running_or_notify_cancel():
                return
            try:
                if error is not None:
                    raise error
                self._run(args[0]).add_done_callback(lambda done: _copy(done, promise))
            except BaseException as problem:
                promise.set_exception(problem)

        when_ready((promised,), {}, go)
        return promise

    def session(self, device: str | None = None, **options: Any) -> contextlib.AbstractContextManager[QPUSession]:
        """Hold one QPU for a loop; see `conqure_dask.session`."""
        return session(self.client, device or self._device, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library: waiting tasks still run, unless ``cancel_futures``."""
        self._closed = True
        later = list(self._later)
        if cancel_futures:
            for future in later:
                future.cancel()
            self._tasks.cancel_all()
        if wait:
            concurrent.futures.wait(later)
        if self._borrowed is not None:
            self._borrowed.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._tasks.wait()
            self._tasks.close()


def _copy(done: Future[Any], outcome: Future[Any]) -> None:
    try:
        outcome.set_result(done.result())
    except BaseException as error:
        outcome.set_exception(error)
