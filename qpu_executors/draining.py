"""Drained QPUs: no new task goes there, and everybody is told why.

A QPU is drained by a small file, its *notice*, that all programs of the site see: one file for each QPU, in
``$CONQURE_DRAINED``, else in the site's ``shared`` folder, else in the user's own state. Pools look for it before they
choose a QPU, at most every `LOOK_S` seconds. What was accepted before still runs; a session that is open goes on.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import choice

from .device import QPU
from .errors import DeviceDrained, InvalidSite, about_device
from .files import user_state, write_whole

FOLDER = "CONQURE_DRAINED"
LOOK_S = 0.5  # a notice is seen after so long; looking costs a file system a microsecond, or a server a question


@dataclass(frozen=True, slots=True)
class Drain:
    """Why a QPU takes nothing new.

    Attributes:
        message: for those who want to use it. by: who drained it.
        since, until: seconds since the epoch; None where it lasts until it is resumed.
    """

    message: str
    by: str
    since: float
    until: float | None = None

    def sentence(self) -> str:
        """``calibration (since 2026-11-27 14:02, until 2026-11-27 16:00, by anna)``"""
        until = f", until {_clock(self.until)}" if self.until is not None else ""
        by = f", by {self.by}" if self.by else ""
        return f"{self.message} (since {_clock(self.since)}{until}{by})"


def notice_of(site: str, device_id: str, shared: Path | None) -> str:
    """Where the notice of a site's QPU lies."""
    folder = Path(os.environ.get(FOLDER) or (shared or user_state()) / "drained")
    return str(folder.expanduser() / re.sub(r"[^\w.-]", "_", site) / f"{device_id}.json")


def drained(qpu: QPU) -> Drain | None:
    """Why the QPU takes nothing new, as of at most `LOOK_S` ago; None if it takes what comes."""
    if not qpu.notice:
        return None
    looked, found = _seen.get(qpu.notice, (float("-inf"), None))
    if time.monotonic() - looked >= LOOK_S:
        found = _read(qpu.notice, found)
        _seen[qpu.notice] = time.monotonic(), found
    return found if found is None or found.until is None or found.until > time.time() else None


def drain(qpu: QPU, message: str, until: float | None = None) -> Drain:
    """Let no new task go to the QPU, from now on and in every program of the site.

    Raises:
        InvalidSite: the QPU has no place for its notice (it is not of a site file), or that can't be written.
    """
    notice = _place(qpu)
    made = Drain(message, _user(), time.time(), until)
    try:
        notice.parent.mkdir(parents=True, exist_ok=True)
        write_whole(notice, json.dumps(asdict(made)).encode() + b"\n", mode=0o644)  # all users of the site read it
    except OSError as error:
        raise _not_written(qpu, error) from error
    _seen.pop(qpu.notice, None)
    return made


def resume(qpu: QPU) -> bool:
    """Let tasks go there again; whether it was drained."""
    notice = _place(qpu)
    was = drained(qpu)
    try:
        notice.unlink(missing_ok=True)
    except OSError as error:
        raise _not_written(qpu, error) from error
    _seen.pop(qpu.notice, None)
    return was is not None


def serving(qpus: Sequence[QPU]) -> list[QPU]:
    """Those of the QPUs that are not drained; all of them where every one is."""
    return [qpu for qpu in qpus if drained(qpu) is None] or list(qpus)


def accepting(device_id: str, qpus: Iterable[QPU]) -> list[QPU]:
    """Those of the QPUs that fit a new task for ``device_id`` and take one.

    Raises:
        DeviceDrained: none; the text has the message of each.
    """
    qpus = list(qpus)
    found = [qpu for qpu in qpus if drained(qpu) is None]
    if found:
        return found
    why = "; ".join(f"{qpu.device_id!r} is drained: {drain.sentence()}" for qpu in qpus if (drain := drained(qpu)))
    error = DeviceDrained(
        f"no QPU takes a task for {device_id!r} now: {why or 'its notice has just gone'}.\n"
        "Choose another QPU or a selector that more of them fit ('any', 'tag:NAME', 'qubits>=N'), or wait; "
        "'conqure devices' lists them, 'conqure devices resume NAME' lets tasks go there again."
    )
    raise about_device(error, qpus[0].device_id)


def steered(device_id: str, qpus: Sequence[QPU]) -> str:
    """What to ask an engine for that knows nothing of drained QPUs: where some of those that fit are, another by name.

    Raises:
        DeviceDrained: all of them are.
    """
    found = accepting(device_id, qpus)
    return device_id if len(found) == len(qpus) else choice(found).device_id


_seen: dict[str, tuple[float, Drain | None]] = {}  # by notice: when it was read, and what it said


def _read(notice: str, before: Drain | None) -> Drain | None:
    try:
        text = Path(notice).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # a file system that fails for a moment changes nothing
        return before
    try:
        return Drain(**json.loads(text))
    except (ValueError, TypeError):  # somebody wrote it by hand; that they meant to drain it is plain
        return Drain(text.strip()[:200] or "no reason given", "", Path(notice).stat().st_mtime)


def _place(qpu: QPU) -> Path:
    if not qpu.notice:
        raise InvalidSite(
            f"device {qpu.device_id!r} is not from a site file, so it has no notice that other programs see. "
            "Write it into one: docs/sites.md."
        )
    return Path(qpu.notice)


def _not_written(qpu: QPU, error: OSError) -> InvalidSite:
    return InvalidSite(
        f"the notice of device {qpu.device_id!r} cannot be changed: {qpu.notice}: {error.strerror}. "
        f"Ask who owns the folder, or set {FOLDER} to one that all users of the site see and you may write."
    )


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return str(os.getuid())


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
