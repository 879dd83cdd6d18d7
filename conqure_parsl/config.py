"""`parsl_config`: the whole `parsl.Config` of a site."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from parsl import Config
from parsl.dataflow.dependency_resolvers import DEEP_DEPENDENCY_RESOLVER
from parsl.executors import MPIExecutor
from parsl.executors.base import ParslExecutor
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.providers.base import ExecutionProvider

from qpu_executors import Group, InvalidSite, Site
from qpu_executors.observing import observers

from .addresses import address_on
from .executor import CPUExecutor, QPUExecutor
from .htex import PinnedHTEX, safe_htex
from .in_process import QPUThreadExecutor
from .recording import ObservedMemoizer
from .slurm import ProviderPerQPU, Queue
from .steps import provider_for

QPU_MODES = ("threads", "workers", "htex")
CPU_MODES = ("workers", "htex")


def parsl_config(
    site: Site | str | Path | None = None,
    *,
    qpu_mode: str | None = None,
    cpu_workers: int | None = None,
    cpu_mode: str | None = None,
    qpu_provider: ExecutionProvider | None = None,
    cpu_provider: ExecutionProvider | None = None,
    address: str | None = None,
    executors: Sequence[ParslExecutor] = (),
    run_dir: str | None = None,
    retries: int = 2,
    **options: Any,
) -> Config:
    """A `parsl.Config` with the site's QPUs and classical workers, here or, where the site says so, on Slurm.

    Args:
        site: a `Site`, a site file or a site's name; the default is the site to use here (see `Site.load`).
        qpu_mode: where QPU tasks run: in ``threads`` of this program, on ``workers`` that hold a QPU each
            (`QPUExecutor`), or on stock ``htex`` workers (`PinnedHTEX`, one executor per QPU). Default: the site's.
        cpu_workers: classical tasks at the same time, on an executor named ``cpu``; 0 for no classical executor.
            Default: the site's. Each classical group of the site has an executor of its name instead.
        cpu_mode: ``workers`` (`CPUExecutor`) or ``htex`` (Parsl's own, for many workers). Default: ``htex`` with a
            ``cpu_provider``, else ``workers``.
        qpu_provider, cpu_provider: Parsl providers for the blocks; the default is jobs of Slurm for what the site's
            groups hold (`GroupProvider`), and one block on this machine for the rest.
        address: where blocks on other machines reach this program; by default whichever of its addresses answers.
        executors: executors of your own, besides these.
        run_dir: Parsl's folder for logs and checkpoints; the default is a temporary one, removed at exit. Blocks on
            other machines must see it, so with a provider of yours it is in your cache folder (``$XDG_CACHE_HOME``).
        retries: how often a task is tried again after an error that may pass (`retry_transient`).
        options: any other argument of `parsl.Config`.

    The rest is quiet: no log files unless asked (``initialize_logging=True``), no usage tracking. Futures inside
    lists and dicts of arguments are resolved. A classical app without ``executors=`` always runs on ``cpu``.

    >>> with parsl.load(parsl_config("laptop")): ...
    """
    site = Site.load(site)
    logging.getLogger("parsl").addHandler(logging.NullHandler())  # errors reach the futures, not also the terminal
    queue = Queue(site.name, site.path)
    cpu: list[ParslExecutor] = []
    if site.classical_groups and cpu_provider is None and cpu_workers != 0:
        cpu += [_group_executor(group, queue, cpu_mode or "workers") for group in site.classical_groups]
    else:
        workers = site.cpu_workers if cpu_workers is None else cpu_workers
        cpu += _cpu_executor(cpu_mode or ("htex" if cpu_provider else "workers"), workers, cpu_provider, address)
    mode = qpu_mode or site.qpu_mode
    classical = next((each for each in cpu if not isinstance(each, MPIExecutor)), "refuse")
    here, in_jobs = [q for q in site.qpus if not q.group], [q for q in site.qpus if q.group]
    if qpu_provider is not None:
        here, in_jobs = list(site.qpus), []
    quantum: list[ParslExecutor] = []
    if in_jobs:
        provider = ProviderPerQPU([provider_for(site.group(qpu.group), qpu, queue) for qpu in in_jobs])
        interfaces = {site.group(qpu.group).interface for qpu in in_jobs}
        address_ = address or (address_on(interfaces.pop()) if len(interfaces) == 1 else None)
        quantum += [QPUExecutor(qpus=in_jobs, provider=provider, classical=classical, address=address_)]
    label = "qpu-here" if in_jobs else "qpu"
    if mode not in QPU_MODES:
        raise InvalidSite(f"qpu_mode is {mode!r}. Choose one of {', '.join(QPU_MODES)}.")
    if here and mode == "threads":
        quantum += [QPUThreadExecutor(label, qpus=here, classical=classical)]
    elif here and mode == "workers":
        quantum += [QPUExecutor(label, qpus=here, provider=qpu_provider, classical=classical, address=address)]
    elif here:
        quantum += [PinnedHTEX(qpu, classical=classical) for qpu in here]
    defaults: dict[str, Any] = {
        "executors": [*quantum, *cpu, *executors],
        "run_dir": run_dir or _temporary_folder(_shared_folder(site, bool(qpu_provider or cpu_provider))),
        "retries": retries,
        "retry_handler": retry_transient,
        "dependency_resolver": DEEP_DEPENDENCY_RESOLVER,
        "initialize_logging": False,
        "usage_tracking": 0,
        "strategy": "simple",
        "strategy_period": 0.25,  # the first blocks start after this; looking costs some microseconds
    }
    if site.groups and not executors:
        defaults["max_idletime"] = 10**6  # executors on Slurm give back their own idle blocks (`SlurmBlocks`)
    if watching := observers("parsl"):
        options["memoizer"] = ObservedMemoizer(watching, options.get("memoizer"))
    return Config(**(defaults | options))


def _cpu_executor(
    mode: str, workers: int, provider: ExecutionProvider | None, address: str | None
) -> list[ParslExecutor]:
    if mode not in CPU_MODES:
        raise InvalidSite(f"cpu_mode is {mode!r}. Choose one of {', '.join(CPU_MODES)}.")
    if workers == 0:
        return []
    if mode == "htex":
        return [safe_htex(workers=workers, provider=provider)]
    return [CPUExecutor(workers=workers, provider=provider, address=address)]


def _group_executor(group: Group, queue: Queue, mode: str) -> ParslExecutor:
    """The executor of a classical group of a site, labelled with its name."""
    provider, address = provider_for(group, None, queue), address_on(group.interface)
    if group.mpi:
        from .mpi import mpi_executor

        return mpi_executor(group, provider)
    if mode not in CPU_MODES:
        raise InvalidSite(f"cpu_mode is {mode!r}. Choose one of {', '.join(CPU_MODES)}.")
    if mode == "htex":
        return safe_htex(group.name, group.workers_for(), provider, address=address)
    slots = group.workers_for() * group.nodes * provider.max_blocks
    return CPUExecutor(group.name, workers=slots, provider=provider, address=address)


def retry_transient(exception: Exception, task_record: Any) -> float:
    """A retry handler for `parsl.Config`: try again what may pass, e.g. a lost device, and nothing else.

    >>> Config(retries=2, retry_handler=retry_transient)
    """
    if isinstance(exception, CancelledError):
        return float("inf")
    lost = isinstance(exception, (WorkerLost, ManagerLost))
    return 1.0 if lost or getattr(exception, "transient", False) else float("inf")


def _shared_folder(site: Site, shared: bool) -> Path | None:
    """Where the blocks on other machines look for us, if there are any."""
    if site.groups:
        return site.groups[0].shared_folder
    return Group("").shared_folder if shared else None


def _temporary_folder(within: Path | None) -> str:
    if within is not None:
        within.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="conqure-parsl-", dir=within)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
