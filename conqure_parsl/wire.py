"""Connections between the broker and its workers: Unix sockets in a private folder, and frames of bytes.

Nothing is unpickled before both sides have proved that they know the secret of this run. Across machines the same
connections go through an encrypted tunnel (`tunnel.py`); neither broker nor worker notices.
"""

from __future__ import annotations

import os
import struct
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from qpu_executors import handshake
from qpu_executors.handshake import SECRET_BYTES, NotOneOfUs

HELLO, WELCOME, LEASE, READY, FAILED, TASK, RESULT, DIED, STOP = (bytes([n]) for n in range(1, 10))
HANDSHAKE_S = 10.0  # a peer that has not proved itself by then is disconnected
MAX_HELLO = 64 * 2**10

_HEAD = struct.Struct("!cQ")


def new_secret(folder: Path) -> bytes:
    """Make the secret of this run and leave it in a file that only this user can read."""
    secret = os.urandom(SECRET_BYTES)
    with open(os.open(folder / "secret", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    return secret


def read_secret(folder: Path) -> bytes:
    return (folder / "secret").read_bytes()


def listen(path: Path) -> Listener:
    return Listener(str(path), "AF_UNIX", backlog=128)


def connect(path: Path, secret: bytes) -> Connection:
    """Connect to a broker and prove who we are; it does the same.

    Raises:
        NotOneOfUs: the other side has another secret; OSError: nobody listens.
    """
    connection = Client(str(path), "AF_UNIX")
    authenticate(connection, secret, b"worker", b"broker")
    return connection


def connect_silently(path: Path) -> None:
    """Knock and run."""
    Client(str(path), "AF_UNIX").close()


def authenticate(connection: Connection, secret: bytes, we: bytes, they: bytes) -> None:
    """Prove who we are, and let the other side do so; see `handshake.authenticate`."""
    handshake.authenticate(connection.send_bytes, partial(_receive_within, connection), secret, we, they)


def _receive_within(connection: Connection, n_bytes: int) -> bytes:
    if not connection.poll(HANDSHAKE_S):
        raise NotOneOfUs(f"the other side said nothing for {HANDSHAKE_S:.0f} s")
    return connection.recv_bytes(n_bytes)


def frame(kind: bytes, body: bytes = b"", task_id: int = 0) -> bytes:
    return _HEAD.pack(kind, task_id) + body


def split(data: bytes) -> tuple[bytes, int, memoryview]:
    """Kind, task id and body of a frame."""
    kind, task_id = _HEAD.unpack_from(data)
    return kind, task_id, memoryview(data)[_HEAD.size :]
