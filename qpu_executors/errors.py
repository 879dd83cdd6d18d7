"""The one tree of errors.

Every error says what is wrong, which choices there are and what to do next, in the text it was raised with.
Programs look at two attributes: ``kind`` (a stable word, also used on the wire) and ``transient`` (whether the same
task may succeed when it is tried again; retry handlers go by it).
"""

from __future__ import annotations

from typing import ClassVar, TypeVar


class ConqureError(Exception):
    """Something went wrong in CONQURE."""

    kind: ClassVar[str] = "error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class InvalidTask(ConqureError, ValueError):
    """The task cannot be run as it is: bad program, parameters, shots or a gate the device lacks."""

    kind = "invalid_task"


class InvalidSite(ConqureError, ValueError):
    """The site file is not valid."""

    kind = "invalid_site"


class UnknownSite(ConqureError, LookupError):
    """No site file has this name."""

    kind = "unknown_site"


class UnknownDevice(ConqureError, LookupError):
    """No QPU of the site has this name or fits this selector."""

    kind = "unknown_device"


class UnknownEngine(ConqureError, LookupError):
    """There is no engine of this name."""

    kind = "unknown_engine"


class UnknownDriver(ConqureError, LookupError):
    """No installed package offers a driver of this name."""

    kind = "unknown_driver"


class BrokenDriver(ConqureError, RuntimeError):
    """A driver is installed but cannot be loaded."""

    kind = "broken_driver"


class MissingPackage(ConqureError, ImportError):
    """An optional package is needed for this and is not installed."""

    kind = "missing_package"


class NotOnQPU(ConqureError, RuntimeError):
    """Quantum code runs in a worker that holds no QPU."""

    kind = "not_on_qpu"


class DeviceError(ConqureError, RuntimeError):
    """The device refused or failed."""

    kind = "device_error"
    device_id: str = ""  # which, where that is known


class DeviceBusy(DeviceError):
    """The device is running another task and takes one at a time."""

    kind = "device_busy"
    transient = True


class DeviceFault(DeviceError):
    """The device reported a passing fault; the same task may succeed when tried again."""

    kind = "device_fault"
    transient = True


class DeviceDrained(DeviceError):
    """Every QPU that fits the task is drained: it takes nothing new until it is resumed."""

    kind = "device_drained"
    transient = True


class RemoteFailed(DeviceFault):
    """The machine ended the submission without counts; trying again submits anew."""

    kind = "remote_failed"


class DeviceLost(DeviceError):
    """The worker that held the device is gone; nobody knows whether the task ran."""

    kind = "device_lost"
    transient = True


class WorkerLost(ConqureError, RuntimeError):
    """The classical worker is gone; nobody knows whether the task ran."""

    kind = "worker_lost"
    transient = True


class SlurmError(ConqureError, RuntimeError):
    """Slurm refused."""

    kind = "slurm_error"


class NoSlurm(SlurmError):
    """Slurm cannot be used from here: its commands or its configuration are missing."""

    kind = "no_slurm"


class SlurmUnavailable(SlurmError):
    """Slurm does not answer at the moment."""

    kind = "slurm_unavailable"
    transient = True


class InvalidAddress(ConqureError, ValueError):
    """The address cannot be served."""

    kind = "invalid_address"


class ScriptsNotAllowed(ConqureError, PermissionError):
    """The owner of this pool does not allow this script."""

    kind = "scripts_not_allowed"


class ScriptFailed(ConqureError, RuntimeError):
    """The script raised an error."""

    kind = "script_failed"


class InvalidWork(ConqureError, ValueError):
    """The cloud queue cannot take this: bad workload, device, priority or another argument."""

    kind = "invalid_work"


class UnknownWork(ConqureError, LookupError):
    """The cloud queue has no such work."""

    kind = "unknown_work"


class WorkConflict(ConqureError, RuntimeError):
    """The status of the work does not allow this (any more)."""

    kind = "work_conflict"


class WorkNotDone(ConqureError, RuntimeError):
    """get_results error: workload is not in DONE status"""

    kind = "work_not_done"


class WorkFailed(ConqureError, RuntimeError):
    """The work ended in ERROR."""

    kind = "work_failed"


class WorkCanceled(ConqureError, RuntimeError):
    """The work was canceled."""

    kind = "work_canceled"


class WorkTimeout(ConqureError, TimeoutError):
    """The work was not done in time; it goes on."""

    kind = "work_timeout"


class WorkLost(ConqureError, RuntimeError):
    """Who had claimed the work is gone; nobody knows whether it ran."""

    kind = "work_lost"
    transient = True


class StoreError(ConqureError, RuntimeError):
    """The store of works cannot be opened, read or written."""

    kind = "store_error"


class QueueUnavailable(ConqureError, ConnectionError):
    """The cloud queue does not answer."""

    kind = "queue_unavailable"
    transient = True


class NotLoggedIn(ConqureError, PermissionError):
    """The cloud queue does not know you: the token or the password is missing, wrong, or over."""

    kind = "not_logged_in"


class NotAllowed(ConqureError, PermissionError):
    """You have no right to do this."""

    kind = "not_allowed"


class UnknownUser(ConqureError, LookupError):
    """The cloud queue has no such user."""

    kind = "unknown_user"


class AlreadyThere(ConqureError, ValueError):
    """The cloud queue has one of this name already."""

    kind = "already_there"


class TooLarge(ConqureError, ValueError):
    """It is larger than the cloud queue takes."""

    kind = "too_large"


class TooMany(ConqureError, RuntimeError):
    """More than the cloud queue takes from one user at a time."""

    kind = "too_many"
    transient = True


_Error = TypeVar("_Error", bound=BaseException)


def about_device(error: _Error, device_id: str, *, at_opening: bool = False) -> _Error:
    """Say which QPU an error is about, and whether it could not be opened; who knew that earlier knew better."""
    if not getattr(error, "device_id", ""):
        error.device_id = device_id  # type: ignore[attr-defined]
        if at_opening:
            error.at_opening = True  # type: ignore[attr-defined]
    return error


class BudgetExceeded(ConqureError, RuntimeError):
    """The task would cost more than what is left of the budget."""

    kind = "budget_exceeded"


def _tree(root: type[ConqureError]) -> dict[str, type[ConqureError]]:
    found = {root.kind: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def error_of_kind(kind: str, message: str) -> ConqureError:
    """Rebuild an error that crossed a wire as ``kind`` and text; an unknown kind becomes a plain `ConqureError`.

    >>> error_of_kind("invalid_task", "shots must be positive").transient
    False
    """
    return _tree(ConqureError).get(kind, ConqureError)(message)
