"""Payloads as files that are whole or not there, in folders that nobody else looks into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qpu_executors.errors import StoreError, UnknownWork
from qpu_executors.files import flush_folder, write_whole

from ...work import content_hash

# The end of names of files that `write_whole` is writing, or was when somebody was killed.
UNFINISHED = ".part"


def make_folder(folder: Path) -> None:
    """With those above it; nobody else may look into it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_folder(folder.parent)


class PayloadFiles:
    """Payloads in a folder. Who keeps or forgets some holds the lock of the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, payload: bytes) -> str:
        content = content_hash(payload)
        file = self._file(content)
        if not file.exists():
            make_folder(file.parent)
            write_whole(file, payload)
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
