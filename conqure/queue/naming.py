"""The name of a dispatcher, by which its claims are known."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
import tempfile
from pathlib import Path

from qpu_executors.errors import AlreadyThere


class DispatcherName:
    """A name that no other dispatcher has at the same time.

    Made up, it is another one each time. A fixed name gets this machine and user added, and a lock on it is held until
    `release`: the next process of this name may then take over what the one before has claimed, without waiting for
    its leases to end.

    Raises:
        AlreadyThere: a dispatcher of this name runs on this machine.
    """

    def __init__(self, name: str = "", store_url: str = "") -> None:
        self.is_fixed = bool(name)
        self._lock: int | None = None
        if not name:
            self.text = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
            return
        self.text = f"{name}@{socket.gethostname()}:{os.getuid()}"
        self._lock = self._take(name, hashlib.sha256(f"{store_url}\0{self.text}".encode()).hexdigest()[:16])

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self, name: str, content: str) -> int:
        folder = Path(tempfile.gettempdir()) / f"conqure-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / f"dispatcher-{content}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise AlreadyThere(
                f"a dispatcher named {name!r} runs on this machine for this store already. Stop it, or give this one "
                "another name."
            ) from None
        return lock
