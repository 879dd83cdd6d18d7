"""`HeldWorks`: what a device client keeps on its disk, so that nothing that has run is lost with it.

```
STATE/lock                        one client per folder
STATE/instance                    what the queue knows this client by; after a restart it is the same
STATE/works/WORK_ID.ATTEMPT/      0700, gone when the queue has taken the outcome
    work.json                     the record, as it was given out
    workload, results             what a program of the lab reads and writes
    outcome.json                  the attempt has ended: this is to be handed in, with `results`
```
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from qpu_executors.errors import DeviceBusy, DeviceLost, StoreError
from qpu_executors.files import user_state, write_whole

from .outcome import Outcome
from .work import WorkRecord

MARK = "CONQURE_WORK_FOLDER"  # in the environment of the programs that a work has started


def state_folder(device_id: str) -> Path:
    """Where a device client keeps its works when nobody says: systemd's folder of the service, else the user's."""
    name = quote(device_id, safe="")
    if service := os.environ.get("STATE_DIRECTORY"):
        return Path(service.partition(":")[0]) / name
    return user_state() / "devices" / name


class HeldWorks:
    """The works of one device client.

    Attributes:
        instance: the name of this folder's client among those of its device, 32 hexadecimal digits.

    Args:
        folder: where; it is made with mode 0700.

    Raises:
        DeviceBusy: another client uses the folder; StoreError: it cannot be made or written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self._works = self.folder / "works"
        try:
            self._works.mkdir(0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the folder for works that run cannot be used: {error}. Name another: --state") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DeviceBusy(
                f"another device client uses {self.folder}. One device has one client; end that one, or name another "
                "folder for another device: --state FOLDER"
            ) from None
        try:
            self.instance = _instance(self.folder / "instance")
        except OSError as error:
            os.close(self._lock)
            raise StoreError(f"the folder for works that run cannot be used: {error}. Name another: --state") from error

    def begin(self, work: WorkRecord) -> Path:
        """The folder of an attempt that starts now."""
        folder = self._works / f"{work.work_id}.{work.attempts}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(0o700)
        _write(folder / "work.json", work.to_json().encode())
        return folder

    def end(self, outcome: Outcome, results: bytes = b"") -> None:
        """Keep what became of it until the queue has it; on disk when this returns."""
        folder = self._place(outcome)
        if outcome.is_done:
            _write(folder / "results", results)
        _write(folder / "outcome.json", json.dumps(outcome.describe()).encode())

    def has(self, work: WorkRecord) -> bool:
        """Whether this attempt runs here, or has run and is not handed in yet."""
        return (self._works / f"{work.work_id}.{work.attempts}").exists()

    def forget(self, outcome: Outcome) -> None:
        """The queue has it, or wants it no more."""
        shutil.rmtree(self._place(outcome), ignore_errors=True)

    def left(self) -> Iterator[tuple[Outcome, bytes]]:
        """What a client that is gone has left: outcomes, and works whose run it did not see the end of."""
        for folder in sorted(self._works.iterdir()):
            try:
                yield _outcome_in(folder)
            except (OSError, ValueError, TypeError):  # it ended between two writes
                _end_programs(folder)
                try:
                    work = WorkRecord.from_values(json.loads((folder / "work.json").read_bytes()))
                except (OSError, ValueError, TypeError):
                    shutil.rmtree(folder, ignore_errors=True)  # it had not begun
                    continue
                yield Outcome.of_error(work, DeviceLost("the device client ended while the work ran.")), b""

    def close(self) -> None:
        os.close(self._lock)

    def _place(self, outcome: Outcome) -> Path:
        return self._works / f"{outcome.work_id}.{outcome.attempt}"


def _instance(path: Path) -> str:
    """What is kept there; a new one where there is none, or half of one."""
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        kept = path.read_text()
        if re.fullmatch(r"[0-9a-f]{32}", kept):
            return kept
    new = uuid.uuid4().hex
    _write(path, new.encode())
    return new


def _outcome_in(folder: Path) -> tuple[Outcome, bytes]:
    outcome = Outcome(**json.loads((folder / "outcome.json").read_bytes()))
    return outcome, (folder / "results").read_bytes() if outcome.is_done else b""


def _write(path: Path, payload: bytes) -> None:
    """All of it or nothing, and on disk."""
    write_whole(path, payload, beside=path.with_name(path.name + ".new"))


def _end_programs(folder: Path) -> None:
    """Kill what a lost client has started for a work: the QPU must not run two at a time (Linux; elsewhere nobody can
    be found)."""
    mark = f"{MARK}={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
