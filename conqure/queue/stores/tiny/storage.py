"""Where TinyDB keeps its tables: one file, safe for several programs at once.

TinyDB's own storage reads and writes the file at each step without a lock, so that two writers lose each other's
records. Here a change reads, changes and replaces the file while nobody else does.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from tinydb import Storage

from qpu_executors.errors import StoreError
from qpu_executors.files import write_whole

from .lock import FolderLock

VERSION = 1
Tables = dict[str, dict[str, Any]]
_HEAD = 64  # bytes at the start of the file, of which a part is new each time it is written


class _Seen(NamedTuple):
    """What the file held when it was read last, and by what we know that it is still the same."""

    mark: tuple[int, int, int, bytes]
    tables: Tables


class LockedStorage(Storage):
    """See `tinydb.Storage`. Tables are read at any time, and written inside `changing` only."""

    def __init__(self, file: Path, lock: FolderLock) -> None:
        self.file = file
        self._lock = lock
        self._seen: _Seen | None = None
        self._draft: Tables = {}
        self._changed = False
        self._changer = 0  # the thread that changes something now

    def read(self) -> Tables:
        """To the thread that changes something, what it has changed; to others what is durable."""
        return self._draft if self._changer == threading.get_ident() else self._durable()

    def write(self, data: Tables) -> None:
        assert self._changer == threading.get_ident(), "tables are written inside LockedStorage.changing() only"
        self._draft, self._changed = data, True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile. At the end the file is written once, or not at all after an error."""
        with self._lock:
            if self._changer:  # a verb inside a verb
                yield
                return
            self._draft, self._changed = dict(self._durable()), False
            self._changer = threading.get_ident()
            try:
                yield
                if self._changed:
                    self._replace()
            finally:
                self._changer, self._draft = 0, {}

    def _durable(self) -> Tables:
        # Opened and then asked, for a network file system may answer `stat` of a name from its memory.
        try:
            descriptor = os.open(self.file, os.O_RDONLY)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self.file} cannot be read: {error.strerror}.") from error
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            mark = (found.st_ino, found.st_mtime_ns, found.st_size, os.pread(descriptor, _HEAD, 0))
            seen = self._seen
            if seen is None or seen.mark != mark:
                seen = self._seen = _Seen(mark, self._parse(file.read()))
            return seen.tables

    def _parse(self, content: bytes) -> Tables:
        try:
            tables: Tables = _loads(content)
            version = tables["store"]["1"]["version"]
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"{self.file} cannot be read as a table of works: {error}. Nothing was changed. Restore it from a "
                f"backup; or, to begin anew and keep the old one: mv {self.file} {self.file}.damaged"
            ) from error
        if version > VERSION:
            raise StoreError(
                f"{self.file} was written by a newer CONQURE: its version is {version}, this one knows up to "
                f"{VERSION}. Update it: pip install --upgrade conqure"
            )
        return tables

    def _replace(self) -> None:
        about = {"1": {"version": VERSION, "written": secrets.token_hex(8)}}
        tables = {"store": about} | {name: table for name, table in self._draft.items() if name != "store"}
        try:
            write_whole(self.file, _dumps(tables))
        except OSError as error:
            raise StoreError(f"{self.file} cannot be written: {error.strerror}. Nothing was changed.") from error
        self._seen = None
        with open(self.file, "rb") as file:
            found = os.fstat(file.fileno())
            self._seen = _Seen((found.st_ino, found.st_mtime_ns, found.st_size, file.read(_HEAD)), tables)


def _loads(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        return json.loads(content)  # takes what orjson does not: half of a surrogate pair, an integer beyond 64 bits


def _dumps(tables: Tables) -> bytes:
    try:
        return orjson.dumps(tables)
    except TypeError:
        return json.dumps(tables).encode()
