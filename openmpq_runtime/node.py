"""How a program finds its node's relay, and starts it if nobody has.

libopenmpq.so does the same in ``src/relay.cpp``: the same folder, name, lock and command.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import relay

VARIABLE = "OPENMPQ_RELAY"
FOLDER = f"/tmp/openmpq-{os.geteuid()}"  # not $TMPDIR: it may differ between a node's ranks, and be long
START_S = 60.0  # for Python from a busy file system; the connection itself has a limit of its own


def command() -> str:
    """The shell command that starts a relay: what a bridge on TCP tells programs in ``OPENMPQ_RELAY``."""
    return shlex.join([sys.executable, "-I", "-S", str(Path(relay.__file__).resolve())])


def socket_path(pool: str, name: str, token: bytes) -> Path | None:
    """Where the relay to this pool listens on the node of this name; None if there is no folder that is only ours.

    Who has another token finds no relay, so it is not let in by one either.
    """
    folder = Path(FOLDER)
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o170077 == 0o040000:
            return folder / hashlib.sha256(f"{pool}\n{name}\n".encode() + token).hexdigest()[:16]
    return None


def reach(environment: Mapping[str, str] = os.environ) -> socket.socket | None:
    """A connection to this node's relay; None if the bridge is to be reached directly.

    Raises:
        OSError: the relay should be there and cannot be started.
    """
    pool, start = environment.get("OPENMPQ_POOL", ""), environment.get(VARIABLE, "")
    if not start or not pool.startswith("tcp:"):
        return None
    path = socket_path(pool, relay.node(environment), relay.token(environment))
    if path is None:
        return None
    with contextlib.suppress(OSError):
        return connect_to(path)
    with _alone(path.parent / "lock"):
        with contextlib.suppress(OSError):  # another rank was quicker
            return connect_to(path)
        # LD_PRELOAD is for the program.
        clean = {name: value for name, value in environment.items() if name != "LD_PRELOAD"}
        words = ["/bin/sh", "-c", f'{start} "$0"', str(path)]
        quiet = subprocess.DEVNULL
        subprocess.run(words, env=clean, stdin=quiet, stdout=quiet, stderr=quiet, timeout=START_S, check=False)
        return connect_to(path)


def connect_to(path: Path) -> socket.socket:
    """A connection to a Unix socket; `OSError` if nobody answers there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else of this user starts a relay on this node meanwhile."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
