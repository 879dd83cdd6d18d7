"""One way to open any engine: a pool whose workers hold QPUs, and a pool for classical work.

The engine is a name because a workflow is written once and run on any of them; what each one is lives in
`conqure_parsl`, `conqure_dask` and, for ``threads``, here.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qpu_executors.errors import MissingPackage, UnknownEngine
from qpu_executors.failover import FailoverPool
from qpu_executors.observing import observers
from qpu_executors.site import Site
from qpu_executors.threads import QPUThreadPool

from .cpu_threads import CPUThreadPool

Pools = tuple[Executor, Executor]
GRACE_S = 5.0  # after an error or Ctrl-C, this long is left to the circuits that run, so that devices close in order


@dataclass(frozen=True)
class Engine:
    """An open engine.

    Attributes:
        qpus: pool of the site's QPUs: ``qpus.submit(run, task)``.
        cpus: pool for classical work. Futures of either pool are accepted as arguments by both.
    """

    name: str
    site: Site
    qpus: Executor
    cpus: Executor


@contextmanager
def open_engine(name: str | None = None, site: Site | str | Path | None = None, **options: Any) -> Iterator[Engine]:
    """Open an engine on a site; it is closed at the end of the block, and waiting tasks are cancelled on an error.

    Args:
        name: ``parsl``, ``dask`` or ``threads``; by default what the site prefers.
        site: a site, its name or its file; by default the site to use here (`Site.load`).
        options: what the engine's own ``open_engine`` takes.

    Raises:
        UnknownEngine, UnknownSite, InvalidSite; MissingPackage: the engine's package is not installed.

    >>> with open_engine("threads", "laptop") as engine:
    ...     engine.cpus.submit(max, 1, 2).result()
    2
    """
    site = Site.load(site)
    name = name or site.engine
    with _opener(name)(site, **options) as (qpus, cpus):
        yield Engine(name, site, FailoverPool(qpus, site.qpus) if len(site.qpus) > 1 else qpus, cpus)


def quickest_engine(site: Site) -> str:
    """The engine that starts at once, ``threads``, unless jobs of Slurm hold QPUs of the site: then what it prefers.

    >>> quickest_engine(Site.load("workstation"))
    'threads'
    """
    if not any(qpu.group for qpu in site.qpus):
        return "threads"
    return site.engine if site.engine != "threads" else "parsl"


def check_engine(name: str) -> None:
    """`UnknownEngine` or `MissingPackage` if this engine cannot be opened here; imports nothing."""
    if name not in _ENGINES:
        near = difflib.get_close_matches(name, _ENGINES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownEngine(f"no engine {name!r}.{hint} Engines: {', '.join(_ENGINES)}.")
    package = _ENGINES[name][1]
    if package and find_spec(package) is None:
        raise MissingPackage(
            f"engine {name!r} needs the package {package!r}, which is not installed. "
            f"Install it: pip install 'conqure[{name}]'. The engine 'threads' needs nothing more."
        )


def _opener(name: str) -> Callable[..., AbstractContextManager[Pools]]:
    check_engine(name)
    opener: Callable[..., AbstractContextManager[Pools]] = (
        import_module(_ENGINES[name][0]).open_engine if _ENGINES[name][0] else _open_threads
    )
    return opener


@contextmanager
def _open_threads(site: Site) -> Iterator[Pools]:
    qpus, cpus = QPUThreadPool(site.qpus, observers=observers("threads")), CPUThreadPool(site.cpu_workers)
    try:
        yield qpus, cpus
    except BaseException:
        cpus.shutdown(wait=False, cancel_futures=True)
        ending = threading.Thread(target=qpus.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        ending.start()
        ending.join(GRACE_S)
        raise
    # First the classical pool: its calls may wait for circuits, and what circuits wait for has been submitted.
    cpus.shutdown()
    qpus.shutdown()


# Name: the module with its open_engine ('' is here), and the package that must be installed.
_ENGINES = {"parsl": ("conqure_parsl", "parsl"), "dask": ("conqure_dask", "distributed"), "threads": ("", "")}
ENGINE_NAMES = tuple(_ENGINES)
