"""Parsl with QPUs: ``@quantum_app``, the QPU executors, ``parsl_config(site)`` and ``pool(dfk)``.

Names load on first use; `parsl` itself is imported by the modules that are about it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "quantum_app": "app",
    "QPUExecutor": "executor",
    "CPUExecutor": "executor",
    "QPUThreadExecutor": "in_process",
    "PinnedHTEX": "htex",
    "safe_htex": "htex",
    "parsl_config": "config",
    "retry_transient": "config",
    "pool": "pools",
    "ParslPool": "pools",
    "open_engine": "pools",
    "session": "sessions",
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
    from .app import quantum_app as quantum_app
    from .config import parsl_config as parsl_config
    from .config import retry_transient as retry_transient
    from .executor import CPUExecutor as CPUExecutor
    from .executor import QPUExecutor as QPUExecutor
    from .htex import PinnedHTEX as PinnedHTEX
    from .htex import safe_htex as safe_htex
    from .in_process import QPUThreadExecutor as QPUThreadExecutor
    from .pools import ParslPool as ParslPool
    from .pools import open_engine as open_engine
    from .pools import pool as pool
    from .sessions import session as session
