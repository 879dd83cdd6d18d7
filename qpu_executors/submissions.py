"""Submitted once: a machine that bills by the shot gets each task once, whoever dies or tries again.

Before a task is handed to a `RemoteDevice`, its *submission* is written down, and after that the machine's name for it.
Who tries the same task again (an engine's retry, another worker, a restarted program with the same ``task_id``) finds
the submission and attaches to it instead.

Between the two writes a program may die: then nobody here knows whether the machine has the task. A machine that can
be asked (`RemoteDevice.find`, by the key that travels with it) is asked, and the task is submitted once. Where it can't
be asked the task is submitted again: at least once. docs/submissions.md says which drivers can be asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

from .device import Counts, RemoteDevice
from .errors import DeviceError, RemoteFailed
from .files import user_state, write_whole
from .records import QuantumTask

FOLDER = "CONQURE_SUBMISSIONS"  # a folder that all workers see
KEPT_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Submission:
    """What is known of one task on one machine.

    Attributes:
        key: what travels with the task where the machine takes a tag.
        remote_id: the machine's name for it; empty while nobody knows whether it was submitted.
        at: seconds since the epoch.
        failures: submissions of this task that the machine ended without counts.
    """

    key: str
    task_id: str
    device_id: str
    remote_id: str
    at: float
    failures: int = 0


def key_of(task: QuantumTask, failures: int = 0) -> str:
    """The same for the same work: its task_id, program, rows, shots and seed. 40 letters, fit for a tag.

    A machine that knows a key answers with what it has under it. So what is submitted anew, after ``failures`` that
    the machine has under the earlier keys, needs another one.

    >>> key_of(task)
    'conqure-7d793037a0760186574b0282f2f435e7'
    """
    program = task.program.encode("utf-8", "surrogatepass") if isinstance(task.program, str) else task.program
    rest = json.dumps([task.task_id, task.language, task.parameter_values, task.shots, task.seed])
    again = b"\0%d" % failures if failures else b""
    return "conqure-" + hashlib.sha256(rest.encode() + b"\0" + program + again).hexdigest()[:32]


def execute_once(
    device: RemoteDevice, prepared: Any, task: QuantumTask, *, repeated: bool = False
) -> tuple[Sequence[Counts], str]:
    """Counts of each row, and the remote id: of the task's only submission, if that can be found.

    Args:
        repeated: somebody has tried this task before, perhaps where this folder is not seen: the machine is asked even
            if nothing is written down here.

    Raises:
        RemoteFailed: the machine ended it without counts; trying again submits anew. DeviceError: nothing can be
        written down. Whatever the device raises.
    """
    with _held(task, device.device_id) as path:
        known = _read(path)
        failures = known.failures if known else 0
        key = key_of(task, failures)
        remote_id = known.remote_id if known else ""
        if not remote_id and (known or repeated):
            remote_id = device.find(key)
        made = Submission(key, task.task_id, device.device_id, remote_id, time.time(), failures)
        if not remote_id:
            _write(path, made)
            remote_id = device.submit(prepared, task.parameter_values, task.shots, task.seed, key)
        if known is None or known.remote_id != remote_id:
            _write(path, replace(made, remote_id=remote_id))
    try:
        return device.fetch(remote_id, prepared, task.n_rows), remote_id
    except BaseException as error:
        if isinstance(error, RemoteFailed) or getattr(error, _OVER, False):
            _give_up(task, device.device_id, remote_id)
        raise


_OVER = "submission_is_over"
_Error = TypeVar("_Error", bound=BaseException)


def over(error: _Error) -> _Error:
    """Say of an error that `RemoteDevice.fetch` raises, and that is no `RemoteFailed`, that it ended the submission:
    who tries the same task again submits it anew.

    >>> raise over(WorkCanceled("canceled by its owner."))
    """
    setattr(error, _OVER, True)
    return error


def known_submission(task: QuantumTask, device_id: str) -> Submission | None:
    """What is written down of this task on this machine: it may have it, or have had it."""
    return _read(_path(task, device_id))


def submissions() -> list[Submission]:
    """All that are written down here, the newest first."""
    found = (_read(path) for path in _folder().glob("*/conqure-*.json"))
    return sorted((one for one in found if one is not None), key=lambda one: -one.at)


def forget(older_than_s: float = KEPT_S) -> int:
    """Remove the submissions that nobody will try again, and their locks; returns how many submissions."""
    oldest, gone = time.time() - older_than_s, 0
    for lock in _folder().glob("*/conqure-*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(lock, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not while somebody submits it
            path = lock.with_suffix(".json")
            known = path.stat().st_mtime if path.exists() else lock.stat().st_mtime
            if known < oldest:
                gone += path.exists()
                path.unlink(missing_ok=True)
                lock.unlink()
    return gone


def _folder() -> Path:
    return Path(os.environ.get(FOLDER) or user_state() / "submissions").expanduser()


def _path(task: QuantumTask, device_id: str) -> Path:
    return _folder() / quote(device_id, safe="") / f"{key_of(task)}.json"


def _give_up(task: QuantumTask, device_id: str, remote_id: str) -> None:
    """The machine ended this submission: the next try is another one, unless somebody has begun it already."""
    with _held(task, device_id) as path:
        known = _read(path)
        if known is not None and known.remote_id == remote_id:
            failures = known.failures + 1
            _write(path, replace(known, key=key_of(task, failures), remote_id="", at=time.time(), failures=failures))


@contextlib.contextmanager
def _held(task: QuantumTask, device_id: str) -> Iterator[Path]:
    """The task's file, while nobody else submits the same task. The lock ends with its process."""
    path = _path(task, device_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(path.with_suffix(".lock"))
    except OSError as error:
        raise DeviceError(
            f"device {device_id!r} gets no task that cannot be written down, and {path.parent} cannot be used: "
            f"{error.strerror}. Set {FOLDER} to a folder of yours that all workers see and where files can be locked."
        ) from error
    with lock:
        yield path


def _lock(path: Path) -> IO[str]:
    while True:
        lock = open(path, "w", opener=_for_me_alone)  # noqa: SIM115  (the caller closes it)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        except FileNotFoundError:
            pass  # `forget` was quicker: others would lock another file
        except BaseException:
            lock.close()
            raise
        lock.close()


def _read(path: Path) -> Submission | None:
    """None for no file. One that is not ours says as much as one without a remote id: it may have been submitted."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    try:
        known = Submission(**json.loads(text))
        whole = isinstance(known.remote_id, str) and type(known.failures) is int
    except (ValueError, TypeError):
        whole = False
    return known if whole else Submission(path.stem, "", path.parent.name, "", path.stat().st_mtime)


def _write(path: Path, submission: Submission) -> None:
    """One at a time: who writes holds the lock."""
    write_whole(path, json.dumps(asdict(submission)).encode(), beside=path.with_suffix(".new"))


def _for_me_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
