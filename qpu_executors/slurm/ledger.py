"""The jobs of this program, on disk: for `conqure why`, and so that they end with the program whatever ends it.

Every job carries the program's mark as its comment (``sbatch --comment``). A small process of our own (`reaper`) waits
for the end of the program; if it died without closing its ledger, the reaper cancels every job with that mark. So
nothing has to be written down in time, and a job that was being submitted when the program was killed is found, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import user_state

MARK = "conqure-"


class Ledger:
    """What a program has asked of Slurm and why it waits, one for each open engine; `close` it when all jobs are over.

    Attributes:
        comment: the mark that each of its jobs carries.
        path: the file, which only its user can read.
    """

    def __init__(self, engine: str, site: str, site_file: Path | None = None) -> None:
        self.comment = f"{MARK}{uuid.uuid4().hex[:12]}"
        self.path = folder() / f"{self.comment}.json"
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {
            "comment": self.comment,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": sys.argv,
            "started_at": time.time(),
            "engine": engine,
            "site": site,
            "site_file": str(site_file) if site_file else None,
            "waiting": {},
            "trouble": {},
        }
        self._write()
        self._reaper = _start_reaper(self.path, self.comment)

    @property
    def token(self) -> str:
        """What makes the names of this program's jobs its own."""
        return self.comment.removeprefix(MARK)

    def waiting(self, counts: Mapping[str, int]) -> None:
        """How many tasks wait for each QPU or group."""
        self._tell("waiting", {name: n for name, n in counts.items() if n})

    def trouble(self, name: str, text: str | None) -> None:
        """Why no job can be submitted for a QPU or group at the moment; None when it can again."""
        told = dict(self._told["trouble"])
        if text is None:
            told.pop(name, None)
        else:
            told[name] = text
        self._tell("trouble", told)

    def close(self) -> None:
        """All jobs have ended or were cancelled: forget them, and let the reaper go."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        if self._reaper.stdin:
            self._reaper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._reaper.wait(5)

    def _tell(self, what: str, value: Any) -> None:
        if self._told[what] != value:
            self._told[what] = value
            self._write()

    def _write(self) -> None:
        with self._lock:
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps(self._told))
            part.replace(self.path)


def folder() -> Path:
    """Where the ledgers of this user lie on this machine: a folder that only they can read."""
    for each in (user_state() / "slurm", Path(tempfile.gettempdir()) / f"conqure-{os.getuid()}"):
        with contextlib.suppress(OSError):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            if each.stat().st_uid == os.getuid():
                each.chmod(0o700)
                return each
    return Path(tempfile.mkdtemp(prefix="conqure-"))


def ledgers() -> Iterator[dict[str, Any]]:
    """The ledgers of programs that run on this machine now, oldest first."""
    found = []
    for path in folder().glob(f"{MARK}*.json"):
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(path.read_text())
            if told["host"] == socket.gethostname() and Path(f"/proc/{told['pid']}").exists():
                found.append(told)
    yield from sorted(found, key=lambda told: told["started_at"])


def _start_reaper(path: Path, comment: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("reaper.py")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(script), str(path), comment, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is for the program
    )
