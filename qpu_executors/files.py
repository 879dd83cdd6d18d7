"""The files that several parts of CONQURE keep for a user: where they lie, and how they are written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def user_state() -> Path:
    """The user's folder for what programs keep: ``$XDG_STATE_HOME/conqure``, else ``~/.local/state/conqure``."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    home = Path(configured) if os.path.isabs(configured) else Path.home() / ".local" / "state"
    return home / "conqure"


def write_whole(file: Path, content: bytes, *, beside: Path | None = None, mode: int = 0o600) -> None:
    """After this the file has the new content, also after a loss of power; until then the old one.

    Args:
        beside: what is written first, in the same folder; by default a name of its own, so that several may write.
        mode: of the file, whatever the umask.
    """
    beside = beside or file.with_name(f"{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as new:
            rest = memoryview(content)
            while rest:
                rest = rest[new.write(rest) :]
            os.fchmod(new.fileno(), mode)
            os.fsync(new.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    flush_folder(file.parent)


def flush_folder(folder: Path) -> None:
    """What was created, renamed or removed there is on disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
