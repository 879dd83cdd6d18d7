"""``cluster(site)``: a Dask cluster whose QPU workers hold one QPU each, beside workers for classical tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, SpecCluster
from distributed.core import Status
from distributed.deploy import Cluster
from distributed.utils import get_ip, get_ip_interface

from qpu_executors import QPU, ConqureError, Site

from .resources import Resources, offered
from .scheduler import DaskQPUs
from .security import temporary_security
from .spawning import leave_out_the_script
from .worker import HoldQPU, QuickWorker

# What a cluster of ours sets differently from Dask, while it is made (the workers get it too).
CONFIG = {
    "distributed.worker.multiprocessing-method": "forkserver",  # imports once; a worker starts in 0.1 instead of 0.3 s
    "distributed.worker.profile.enabled": False,  # samples every 10 ms, also while a QPU waits
    "distributed.scheduler.work-stealing-interval": "100ms",  # from a busy QPU to an idle one; default 1 s
    "distributed.scheduler.no-workers-timeout": "60s",  # a QPU whose worker does not come back; default: for ever
    "distributed.admin.log-length": 1000,
    # Every nanny, worker and the scheduler look at themselves 50 times a second, and at the machine twice.
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
}
# Dask serves web pages without asking who reads them, by default on all interfaces, with or without a dashboard.
NO_PAGES: dict[str, Any] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
NOWHERE = "127.0.0.1:0"
CLOSES_WITHIN_S = 30.0  # at the second attempt

_log = logging.getLogger(__name__)


class QPUCluster(SpecCluster):
    """A `distributed.SpecCluster` that knows its site; `cluster` makes one."""

    def __init__(
        self,
        site: Site,
        workers: dict[str, Any],
        scheduler: dict[str, Any],
        *,
        expected: Mapping[str, Resources] | None = None,
        **options: Any,
    ) -> None:
        self.site = site
        expected = expected or {name: spec["options"]["resources"] for name, spec in workers.items()}
        self.qpu_plugin = DaskQPUs(expected)
        scheduler = {**scheduler, "options": {**scheduler["options"], "plugins": [self.qpu_plugin]}}
        super().__init__(workers, scheduler, **options)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Only take note of a lost worker: its nanny is starting it again.

        `SpecCluster` looks 15 s later whether a worker is there, and closes the nanny for good if it is not, even if it
        was there in between and has just been lost again.
        """
        Cluster._update_worker_status(self, op, msg)

    async def _close(self) -> None:
        """As Dask does; once more where that breaks off.

        Dask's scheduler breaks off when one of its connections is given up at the moment at which all of them are, and
        from then on whoever closes it waits for ever for the end of that first attempt.
        """
        try:
            await super()._close()
        except Exception:
            _log.warning("the Dask cluster has not closed in order; once more", exc_info=True)
            for part in filter(None, (self, self.scheduler)):
                if part.status == Status.closing:
                    part.status = Status.running
            try:
                await asyncio.wait_for(super()._close(), CLOSES_WITHIN_S)
            finally:
                self.status = Status.closed


def cluster(
    site: Site | str | Path | None = None,
    *,
    cpu_workers: int | None = None,
    cpu_threads: int = 1,
    security: Security | bool = True,
    dashboard_address: str | None = None,
    memory_limit: str | int | None = "auto",
    silence_logs: int = logging.CRITICAL,
    worker_class: Any = Nanny,
    worker_options: Mapping[str, Any] | None = None,
) -> QPUCluster:
    """Start a Dask cluster: a worker for each slot of each QPU, and workers for classical tasks.

    They are processes of this machine; where the site has groups, jobs of Slurm, which come and go with the work
    (`SlurmQPUCluster`). A QPU worker opens its QPU when it starts and keeps it; a lost one is started again. All
    processes and jobs end with this one, ``kill -9`` included.

    Args:
        site: a site, its name or its file; by default the site to use here (`Site.load`).
        cpu_workers: classical worker processes of this machine; by default as many as the site says, with one thread
            each, and none where jobs do that work.
        cpu_threads: threads in each of them, and in those of jobs.
        security: TLS with temporary certificates (default), a `distributed.Security`, or False for none: then every
            user of this machine can run code as you.
        dashboard_address: e.g. ``"127.0.0.1:8787"``; the default is no dashboard.
        memory_limit: of each classical worker, as in `distributed.LocalCluster`.
        silence_logs: Dask's log messages below this level are not shown.
        worker_class, worker_options: what starts a worker, and more of its keyword arguments.

    Raises:
        UnknownSite, InvalidSite; UnknownDriver, DeviceError, …: a QPU did not open, with its driver's message.

    >>> with cluster("laptop") as c, c.get_client() as client, pool(client) as qpus:
    ...     qpus.submit(run, task).result()
    """
    leave_out_the_script()
    site = Site.load(site)
    security = temporary_security() if security is True else security or Security()
    here = {"host": address_of(site), "security": security, "protocol": _protocol(security)}
    own = {"env": worker_environment(site), "dashboard": False, "dashboard_address": NOWHERE}
    common = {**here, "silence_logs": silence_logs, **own, **(worker_options or {})}
    n_cpu = (0 if site.classical_groups else site.cpu_workers) if cpu_workers is None else cpu_workers
    workers = worker_spec(site, n_cpu, cpu_threads, {"memory_limit": memory_limit}, worker_class, common)
    pages = {"dashboard": dashboard_address is not None, "dashboard_address": dashboard_address or NOWHERE}
    scheduler = {"cls": Scheduler, "options": {**here, "port": 0, **pages}}
    rest = {"security": security, "silence_logs": silence_logs, "name": f"conqure-{site.name}"}
    with dask.config.set(CONFIG | ({} if dashboard_address else NO_PAGES)), _plain_errors():
        if site.groups:
            from .slurm import SlurmQPUCluster  # dask-jobqueue, which only sites with jobs need

            return SlurmQPUCluster(site, workers, scheduler, threads=cpu_threads, **rest)
        return QPUCluster(site, workers, scheduler, **rest)


def worker_spec(
    site: Site, cpu_workers: int, cpu_threads: int, cpu_options: Mapping[str, Any], worker_class: Any, common: Any
) -> dict[str, Any]:
    """A site's workers on this machine as `distributed.SpecCluster` takes them: name, class and options of each."""
    spec = {}
    for qpu in site.qpus_of(""):
        for slot in range(qpu.slots):
            options = {"nthreads": 1, "resources": offered(qpu), "memory_limit": 0, "plugins": (HoldQPU(qpu),)}
            spec[_worker_name(qpu, slot)] = {"cls": worker_class, "options": {**options, **common}}
    for number in range(cpu_workers):
        options = {"nthreads": cpu_threads, "resources": {"CPU": cpu_threads}, "plugins": (QuickWorker(),)}
        spec[f"cpu{number}"] = {"cls": worker_class, "options": {**options, **cpu_options, **common}}
    return spec


def address_of(site: Site) -> str:
    """Where the scheduler listens: on this machine only, or where jobs of Slurm reach it."""
    if not site.groups:
        return "127.0.0.1"
    for name in filter(None, (group.interface for group in site.groups)):
        with contextlib.suppress(ValueError):  # a login node may lack the network between the nodes
            return str(get_ip_interface(name))
    return str(get_ip())


def worker_environment(site: Site) -> dict[str, str]:
    """The variables of this process, as they are now, and the mark that `run` looks for in a worker without a QPU."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"CONQURE_WORKER": "dask"} | ({"CONQURE_SITE": str(site.path)} if site.path else {})
    return mine | own


def _worker_name(qpu: QPU, slot: int) -> str:
    return qpu.device_id if qpu.slots == 1 else f"{qpu.device_id}.{slot}"


def _protocol(security: Security) -> str:
    return "tls://" if security.require_encryption else "tcp://"


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Dask wraps what a worker raised while it started; show the driver's error itself."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ConqureError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise type(cause)(str(cause)) from error
