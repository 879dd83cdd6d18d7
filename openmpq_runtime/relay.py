"""The relay of a node: the one connection of its programs to the bridge (docs/mpi.md).

``python relay.py SOCKET`` connects to the bridge of ``$OPENMPQ_POOL``, listens at the Unix socket SOCKET, and returns
when programs can connect; a process that stays carries them. It ends with the bridge, or when nobody has been connected
for `IDLE_S`. `node.reach` and libopenmpq.so start it, one at a time. It uses the standard library only, and starts
without an environment: in some 30 ms.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from openmpq_runtime.trunk import Broken, Trunk
from qpu_executors.handshake import NotOneOfUs, authenticate

IDLE_S = 5.0
CONNECT_S = 10.0
_KEEP_ALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4))  # seconds, seconds, times


class CannotRelay(Exception):
    """There is no bridge for us; the text says why."""


def main() -> None:
    os.closerange(3, 1 << 16)  # what the program that started us has open is not ours
    path, name = sys.argv[1], node(os.environ)
    try:
        connection = connect(os.environ.get("OPENMPQ_POOL", ""), token(os.environ), name)
        listener = listen(path)
    except (CannotRelay, NotOneOfUs, OSError, EOFError) as error:
        sys.exit(f"openmpq: no relay on {name}: {error or 'the bridge closed the connection'}.")
    if os.fork():
        os._exit(0)
    become_a_service()
    here = os.stat(path).st_ino
    try:
        with contextlib.suppress(OSError, EOFError, Broken):
            relay(connection, listener)
    finally:  # a program that connects just now is turned away, and starts the next relay
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == here:
                os.unlink(path)


def node(environment: Mapping[str, str]) -> str:
    """This node's name. Slurm's, where it has one: nodes that share a machine share its host name."""
    return environment.get("SLURMD_NODENAME") or socket.gethostname()


def token(environment: Mapping[str, str]) -> bytes:
    """What the bridge asks for; `OSError` if its file cannot be read."""
    path = environment.get("OPENMPQ_TOKEN_FILE")
    text = Path(path).read_text().split("\n", 1)[0] if path else environment.get("OPENMPQ_TOKEN", "")
    return text.encode()


def admitted(host: str, port: int, secret: bytes) -> socket.socket:
    """A connection to a bridge on TCP, where both sides have proved that they know the token.

    Raises:
        NotOneOfUs, EOFError: they do not; OSError.
    """
    connection = socket.create_connection((host, port), timeout=CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine may go without a word
    for option, value in _KEEP_ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    receive = partial(exactly, connection)
    try:
        authenticate(connection.sendall, receive, secret, b"openmpq-client", b"openmpq-server")
    except BaseException:
        connection.close()
        raise
    return connection


def exactly(connection: socket.socket, n: int) -> bytes:
    """The next n bytes; `EOFError` if there are no more."""
    data = b""
    while len(data) < n:
        if not (more := connection.recv(n - len(data))):
            raise EOFError
        data += more
    return data


def connect(pool: str, secret: bytes, name: str) -> socket.socket:
    """The connection to the bridge, greeted as a node's.

    Raises:
        CannotRelay: it is no bridge for us; and what `admitted` raises.
    """
    kind, _, place = pool.partition(":")
    host, _, port = place.rpartition(":")
    if kind != "tcp" or not port.isdigit():
        raise CannotRelay(f"OPENMPQ_POOL is {pool!r}, not tcp:HOST:PORT")
    connection = admitted(host, int(port), secret)
    body = json.dumps({"is": "node", "openmpq": 1, "node": name}).encode()
    connection.sendall(struct.pack(">I", len(body)) + body)
    answer = json.loads(exactly(connection, struct.unpack(">I", exactly(connection, 4))[0]))
    if answer.get("is") != "welcome":
        raise CannotRelay(str(answer.get("text", "what answers is not a bridge")).rstrip("."))
    return connection


def listen(path: str) -> socket.socket:
    """The node's socket, for its user only. Who starts us holds the lock, so what lies there is of one that died."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def become_a_service() -> None:
    """Hold nothing that anybody waits for: srun and mpirun wait until their programs' output is closed."""
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)


def relay(connection: socket.socket, listener: socket.socket) -> None:
    """Carry the node's programs until nobody needs it."""

    def welcome() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                local = listener.accept()[0]
                _, uid, _ = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if uid in (0, os.geteuid()):
                    trunk.open(local)
                else:
                    local.close()

    with Trunk(connection) as trunk:
        trunk.also(listener, welcome)
        while trunk.serve(None if trunk.n_channels else IDLE_S) or trunk.n_channels:
            pass


if __name__ == "__main__":
    main()
