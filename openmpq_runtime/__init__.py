"""OpenMP-Q: C, C++ and Fortran programs offload quantum regions to the pool that serves Python.

>>> with conqure.open_engine("threads") as engine, openmpq_runtime.serve(engine.qpus) as bridge:
...     subprocess.run(["./vqe"], env=bridge.environment())

The library that programs are linked with is C++ (``src/``); here is the bridge it talks to, and `connect`, for ranks of
mpi4py. Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "serve": "bridge",
    "Bridge": "bridge",
    "connect": "remote",
    "RemotePool": "remote",
    "Unreachable": "link",
    "Observer": "tally",
    "Tally": "tally",
    "run_script": "scripts",
    "prefix": "installation",
    "library": "installation",
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
    from .bridge import Bridge as Bridge
    from .bridge import serve as serve
    from .installation import library as library
    from .installation import prefix as prefix
    from .link import Unreachable as Unreachable
    from .remote import RemotePool as RemotePool
    from .remote import connect as connect
    from .scripts import run_script as run_script
    from .tally import Observer as Observer
    from .tally import Tally as Tally
