"""The narrow waist of CONQURE: ``pool.submit(run, QuantumTask(...)) -> Future[QuantumResult]``.

The nouns (`QuantumTask`, `QuantumResult`, `QPU`, `Device`, `Site`, errors), the one function that travels (`run`),
the registry of drivers, and the thread pool whose threads hold QPUs. Names load on first use, so importing this
package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "QuantumTask": "records",
    "QuantumResult": "records",
    "Priority": "records",
    "QPU": "device",
    "Device": "device",
    "RemoteDevice": "device",
    "Counts": "device",
    "Selector": "selector",
    "select": "selector",
    "open_device": "registry",
    "installed_drivers": "registry",
    "broken_drivers": "registry",
    "run": "running",
    "hold": "running",
    "current_qpu": "running",
    "HeldDevice": "running",
    "QPUHandle": "running",
    "Entry": "task_queue",
    "TaskQueue": "task_queue",
    "QPUThreadPool": "threads",
    "FailoverPool": "failover",
    "Budget": "budget",
    "Estimator": "estimating",
    "when_ready": "futures",
    "as_task": "translation",
    "Site": "site",
    "Group": "group",
    "current_site": "site",
    "ConqureError": "errors",
    "InvalidTask": "errors",
    "InvalidSite": "errors",
    "UnknownSite": "errors",
    "UnknownDevice": "errors",
    "UnknownDriver": "errors",
    "UnknownEngine": "errors",
    "BrokenDriver": "errors",
    "MissingPackage": "errors",
    "NotOnQPU": "errors",
    "DeviceError": "errors",
    "DeviceBusy": "errors",
    "DeviceDrained": "errors",
    "DeviceFault": "errors",
    "RemoteFailed": "errors",
    "DeviceLost": "errors",
    "WorkerLost": "errors",
    "BudgetExceeded": "errors",
    "SlurmError": "errors",
    "NoSlurm": "errors",
    "SlurmUnavailable": "errors",
    "InvalidAddress": "errors",
    "ScriptFailed": "errors",
    "InvalidWork": "errors",
    "UnknownWork": "errors",
    "WorkConflict": "errors",
    "WorkNotDone": "errors",
    "WorkFailed": "errors",
    "WorkCanceled": "errors",
    "WorkTimeout": "errors",
    "WorkLost": "errors",
    "StoreError": "errors",
    "QueueUnavailable": "errors",
    "NotLoggedIn": "errors",
    "NotAllowed": "errors",
    "TooLarge": "errors",
    "TooMany": "errors",
    "AlreadyThere": "errors",
    "UnknownUser": "errors",
    "ScriptsNotAllowed": "errors",
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
    from .budget import Budget as Budget
    from .device import QPU as QPU
    from .device import Counts as Counts
    from .device import Device as Device
    from .device import RemoteDevice as RemoteDevice
    from .errors import AlreadyThere as AlreadyThere
    from .errors import BrokenDriver as BrokenDriver
    from .errors import BudgetExceeded as BudgetExceeded
    from .errors import ConqureError as ConqureError
    from .errors import DeviceBusy as DeviceBusy
    from .errors import DeviceDrained as DeviceDrained
    from .errors import DeviceError as DeviceError
    from .errors import DeviceFault as DeviceFault
    from .errors import DeviceLost as DeviceLost
    from .errors import InvalidAddress as InvalidAddress
    from .errors import InvalidSite as InvalidSite
    from .errors import InvalidTask as InvalidTask
    from .errors import InvalidWork as InvalidWork
    from .errors import MissingPackage as MissingPackage
    from .errors import NoSlurm as NoSlurm
    from .errors import NotAllowed as NotAllowed
    from .errors import NotLoggedIn as NotLoggedIn
    from .errors import NotOnQPU as NotOnQPU
    from .errors import QueueUnavailable as QueueUnavailable
    from .errors import RemoteFailed as RemoteFailed
    from .errors import ScriptFailed as ScriptFailed
    from .errors import ScriptsNotAllowed as ScriptsNotAllowed
    from .errors import SlurmError as SlurmError
    from .errors import SlurmUnavailable as SlurmUnavailable
    from .errors import StoreError as StoreError
    from .errors import TooLarge as TooLarge
    from .errors import TooMany as TooMany
    from .errors import UnknownDevice as UnknownDevice
    from .errors import UnknownDriver as UnknownDriver
    from .errors import UnknownEngine as UnknownEngine
    from .errors import UnknownSite as UnknownSite
    from .errors import UnknownUser as UnknownUser
    from .errors import UnknownWork as UnknownWork
    from .errors import WorkCanceled as WorkCanceled
    from .errors import WorkConflict as WorkConflict
    from .errors import WorkerLost as WorkerLost
    from .errors import WorkFailed as WorkFailed
    from .errors import WorkLost as WorkLost
    from .errors import WorkNotDone as WorkNotDone
    from .errors import WorkTimeout as WorkTimeout
    from .estimating import Estimator as Estimator
    from .failover import FailoverPool as FailoverPool
    from .futures import when_ready as when_ready
    from .group import Group as Group
    from .records import Priority as Priority
    from .records import QuantumResult as QuantumResult
    from .records import QuantumTask as QuantumTask
    from .registry import broken_drivers as broken_drivers
    from .registry import installed_drivers as installed_drivers
    from .registry import open_device as open_device
    from .running import HeldDevice as HeldDevice
    from .running import QPUHandle as QPUHandle
    from .running import current_qpu as current_qpu
    from .running import hold as hold
    from .running import run as run
    from .selector import Selector as Selector
    from .selector import select as select
    from .site import Site as Site
    from .site import current_site as current_site
    from .task_queue import Entry as Entry
    from .task_queue import TaskQueue as TaskQueue
    from .threads import QPUThreadPool as QPUThreadPool
    from .translation import as_task as as_task
