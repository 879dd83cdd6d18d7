"""Dask with QPUs: ``@quantum_app``, ``cluster(site)``, ``pool(client)`` and ``session(client)``.

Names load on first use; `dask` and `distributed` are imported by the modules that are about them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "quantum_app": "app",
    "cluster": "clusters",
    "QPUCluster": "clusters",
    "pool": "pools",
    "cpu_pool": "pools",
    "open_engine": "pools",
    "session": "sessions",
    "classical": "app",
    "worker_arguments": "preload",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]


if TYPE_CHECKING:
    from .app import classical as classical
    from .app import quantum_app as quantum_app
    from .clusters import QPUCluster as QPUCluster
    from .clusters import cluster as cluster
    from .pools import cpu_pool as cpu_pool
    from .pools import open_engine as open_engine
    from .pools import pool as pool
    from .preload import worker_arguments as worker_arguments
    from .sessions import session as session
