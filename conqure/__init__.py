"""CONQURE: quantum processors as ordinary resources of Parsl and Dask.

>>> import conqure
>>> with conqure.open_engine("threads") as engine:
...     engine.qpus.submit(conqure.run, conqure.as_task(bell, shots=100)).result().counts
({'00': 52, '11': 48},)

Names load on first use, so importing this package costs next to nothing.
"""

from __future__ import annotations

import os.path
from importlib import import_module
from typing import TYPE_CHECKING, Any

_WAIST = "qpu_executors"
_HOME = {
    **dict.fromkeys(["QuantumTask", "QuantumResult", "Priority", "QPU", "Device", "run", "as_task"], _WAIST),
    **dict.fromkeys(["Site", "Group", "current_site", "installed_drivers", "open_device", "QPUThreadPool"], _WAIST),
    **dict.fromkeys(["ConqureError", "InvalidTask", "InvalidSite", "UnknownSite", "UnknownDevice"], _WAIST),
    **dict.fromkeys(["UnknownDriver", "UnknownEngine", "BrokenDriver", "MissingPackage", "NotOnQPU"], _WAIST),
    **dict.fromkeys(
        ["DeviceError", "DeviceBusy", "DeviceDrained", "DeviceFault", "DeviceLost", "RemoteFailed", "WorkerLost"],
        _WAIST,
    ),
    **dict.fromkeys(
        ["InvalidAddress", "ScriptsNotAllowed", "ScriptFailed", "SlurmError", "SlurmUnavailable", "NoSlurm"], _WAIST
    ),
    **dict.fromkeys(
        ["InvalidWork", "UnknownWork", "WorkConflict", "WorkNotDone", "WorkFailed", "WorkCanceled"], _WAIST
    ),
    **dict.fromkeys(["WorkTimeout", "WorkLost", "StoreError", "QueueUnavailable", "NotLoggedIn"], _WAIST),
    **dict.fromkeys(["NotAllowed", "AlreadyThere", "TooLarge", "UnknownUser", "TooMany"], _WAIST),
    **dict.fromkeys(["Budget", "BudgetExceeded"], _WAIST),
    **dict.fromkeys(["WorkRecord", "WorkStatus", "WorkloadFormat"], "conqure.queue.work"),
    **dict.fromkeys(["Store", "WorkQuery", "open_store"], "conqure.queue.store"),
    "UserClient": "conqure.queue.user_client",
    "Dispatcher": "conqure.queue.dispatcher",
    "load_site": "conqure.sites",
    "why_here": "conqure.why",
    "connect": "openmpq_runtime",
    "Engine": "conqure.engines",
    "open_engine": "conqure.engines",
}

__all__ = sorted(_HOME)

# In the wheel `workflows` lies beside this file; in a checkout one folder up.
_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isdir(os.path.join(_root, "workflows")) and os.path.isfile(os.path.join(_root, "pyproject.toml")):
    __path__.append(_root)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME, "__version__"]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("conqure")
    except PackageNotFoundError:  # the folders were copied, not installed
        return "0+unknown"


if TYPE_CHECKING:
    from openmpq_runtime import connect as connect
    from qpu_executors import QPU as QPU
    from qpu_executors import AlreadyThere as AlreadyThere
    from qpu_executors import BrokenDriver as BrokenDriver
    from qpu_executors import Budget as Budget
    from qpu_executors import BudgetExceeded as BudgetExceeded
    from qpu_executors import ConqureError as ConqureError
    from qpu_executors import Device as Device
    from qpu_executors import DeviceBusy as DeviceBusy
    from qpu_executors import DeviceDrained as DeviceDrained
    from qpu_executors import DeviceError as DeviceError
    from qpu_executors import DeviceFault as DeviceFault
    from qpu_executors import DeviceLost as DeviceLost
    from qpu_executors import Group as Group
    from qpu_executors import InvalidAddress as InvalidAddress
    from qpu_executors import InvalidSite as InvalidSite
    from qpu_executors import InvalidTask as InvalidTask
    from qpu_executors import InvalidWork as InvalidWork
    from qpu_executors import MissingPackage as MissingPackage
    from qpu_executors import NoSlurm as NoSlurm
    from qpu_executors import NotAllowed as NotAllowed
    from qpu_executors import NotLoggedIn as NotLoggedIn
    from qpu_executors import NotOnQPU as NotOnQPU
    from qpu_executors import Priority as Priority
    from qpu_executors import QPUThreadPool as QPUThreadPool
    from qpu_executors import QuantumResult as QuantumResult
    from qpu_executors import QuantumTask as QuantumTask
    from qpu_executors import QueueUnavailable as QueueUnavailable
    from qpu_executors import RemoteFailed as RemoteFailed
    from qpu_executors import ScriptFailed as ScriptFailed
    from qpu_executors import ScriptsNotAllowed as ScriptsNotAllowed
    from qpu_executors import Site as Site
    from qpu_executors import SlurmError as SlurmError
    from qpu_executors import SlurmUnavailable as SlurmUnavailable
    from qpu_executors import StoreError as StoreError
    from qpu_executors import TooLarge as TooLarge
    from qpu_executors import TooMany as TooMany
    from qpu_executors import UnknownDevice as UnknownDevice
    from qpu_executors import UnknownDriver as UnknownDriver
    from qpu_executors import UnknownEngine as UnknownEngine
    from qpu_executors import UnknownSite as UnknownSite
    from qpu_executors import UnknownUser as UnknownUser
    from qpu_executors import UnknownWork as UnknownWork
    from qpu_executors import WorkCanceled as WorkCanceled
    from qpu_executors import WorkConflict as WorkConflict
    from qpu_executors import WorkerLost as WorkerLost
    from qpu_executors import WorkFailed as WorkFailed
    from qpu_executors import WorkLost as WorkLost
    from qpu_executors import WorkNotDone as WorkNotDone
    from qpu_executors import WorkTimeout as WorkTimeout
    from qpu_executors import as_task as as_task
    from qpu_executors import current_site as current_site
    from qpu_executors import installed_drivers as installed_drivers
    from qpu_executors import open_device as open_device
    from qpu_executors import run as run

    from .engines import Engine as Engine
    from .engines import open_engine as open_engine
    from .queue.dispatcher import Dispatcher as Dispatcher
    from .queue.store import Store as Store
    from .queue.store import WorkQuery as WorkQuery
    from .queue.store import open_store as open_store
    from .queue.user_client import UserClient as UserClient
    from .queue.work import WorkloadFormat as WorkloadFormat
    from .queue.work import WorkRecord as WorkRecord
    from .queue.work import WorkStatus as WorkStatus
    from .sites import load_site as load_site
    from .why import why_here as why_here

    __version__: str
