"""Files that are whole or not there: written beside, flushed, and put in place in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from qpu_executors.errors import StoreError, UnknownWork

from ...work import content_hash

UNFINISHED = ".part"  # the end of names of files that are being written, or were when somebody was killed


def make_folder(folder: Path) -> None:
    """With those above it; nobody else may look into it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _flush_folder(folder.parent)


def replace_file(file: Path, content: bytes) -> None:
    """After this the file has the new content, also after a loss of power; until then the old one."""
    part = file.with_name(f"{file.name}.{os.getpid()}-{secrets.token_hex(4)}{UNFINISHED}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as new:
            rest = memoryview(content)
            while rest:
                rest = rest[new.write(rest) :]
            os.fsync(new.fileno())
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(file.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PayloadFiles:
    """Payloads in a folder. Who keeps or forgets some holds the lock of the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, payload: bytes) -> str:
        content = content_hash(payload)
        file = self._file(content)
        if not file.exists():
            make_folder(file.parent)
            replace_file(file, payload)
        return content

    def get(self, content: str) -> bytes:
        file = self._file(content)
        try:
            payload = file.read_bytes()
        except (FileNotFoundError, ValueError):
            raise UnknownWork(f"no payload {content[:12]!r}…: it was never uploaded, or purged.") from None
        if content_hash(payload) != content:
            raise StoreError(f"{file} is damaged: its bytes do not have its name. Restore it from a backup.")
        return payload

    def contents(self) -> Iterator[tuple[str, Path]]:
        """All hashes and their files, and the unfinished files that somebody who was killed has left."""
        for file in self.folder.glob("??/*"):
            yield file.name, file

    def _file(self, content: str) -> Path:
        return self.folder / content[:2] / content
