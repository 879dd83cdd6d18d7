"""One at a time, among the threads of a program and among programs, also on different machines.

A lock of POSIX (`fcntl.lockf`) is the one that NFS carries to its server. It belongs to a process, and any close of the
file ends it; so the stores of a program on one folder share one lock, which threads take in turn. It ends with the
process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from qpu_executors.errors import StoreError

_shared: dict[Path, FolderLock] = {}
_sharing = threading.Lock()


class FolderLock:
    """Taken with ``with``; a thread that has it may take it once more. See `lock_of`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = threading.RLock()
        self._descriptor = -1
        self.depth = 0  # how often its holder has taken it

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if self.depth == 0:
                self._lock_file()
            self.depth += 1
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            os.close(self._descriptor)  # which ends the lock
        self._threads.release()

    def _lock_file(self) -> None:
        try:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{self._file} cannot be opened: {error.strerror}. May you write there?") from error
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        except BaseException as error:
            os.close(self._descriptor)
            if isinstance(error, OSError):
                raise StoreError(
                    f"{self._file} cannot be locked: {error.strerror}. Where the file system has no locks, keep the "
                    "works on a local disk: export CONQURE_STORE=tinydb:FOLDER"
                ) from error
            raise


def lock_of(folder: Path) -> FolderLock:
    """The same one for all stores of this process on one folder."""
    file = folder.resolve() / "lock"
    with _sharing:
        return _shared.setdefault(file, FolderLock(file))
