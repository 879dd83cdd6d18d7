"""One connection of a Python program to the bridge, through its node's relay where there is one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError
from qpu_executors.handshake import NotOneOfUs
from qpu_executors.records import QuantumTask

from . import node, relay, wire

CONNECT_S = 10.0
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")  # Open MPI, MPICH and Intel MPI, Slurm


class Unreachable(ConqureError, ConnectionError):
    """No bridge answers, or it does not want to talk to us."""

    kind = "unreachable"


class Lost(ConnectionError):
    """The connection broke."""


def connected(environment: Mapping[str, str], client_id: str) -> Link:
    """A connection that has said who it is.

    Raises:
        Unreachable: there is no bridge, or it does not want to talk to us.
    """
    pool = environment.get("OPENMPQ_POOL", "")
    if not pool:
        raise Unreachable(
            "OPENMPQ_POOL is not set, so there is no pool of QPUs. Start the program with openmpq-run, or with the "
            "environment of a bridge (openmpq_runtime.serve)."
        )
    for _ in range(2):  # a relay may end just when we connect to it; then there will be another
        try:
            through = node.reach(environment)
        except (OSError, subprocess.TimeoutExpired):
            break
        if through is None:
            return _at_once(pool, environment, client_id)
        with contextlib.suppress(Lost):
            return Link(through, client_id)
    link = _at_once(pool, environment, client_id)
    _warn_without_relay()
    return link


@cache
def _warn_without_relay() -> None:
    """Once: what works, and is hardly meant."""
    why = f"To see why: ${node.VARIABLE} /tmp/relay"
    print(
        f"openmpq: no relay on {relay.node(os.environ)}, so this rank connects to the pool by itself. {why}",
        file=sys.stderr,
    )


def _at_once(pool: str, environment: Mapping[str, str], client_id: str) -> Link:
    try:
        return Link(_direct(pool, environment), client_id)
    except Lost as lost:
        raise Unreachable(f"the pool at {pool} closed the connection at once. Is it ending?") from lost


def _direct(pool: str, environment: Mapping[str, str]) -> socket.socket:
    kind, _, place = pool.partition(":")
    host, _, port = place.rpartition(":")
    try:
        if kind == "unix":
            return node.connect_to(Path(place))
        return relay.admitted(host, int(port), relay.token(environment))
    except ValueError:
        raise Unreachable(f"OPENMPQ_POOL is {pool!r}. Use unix:/path/of/socket or tcp:HOST:PORT.") from None
    except (NotOneOfUs, EOFError):
        raise Unreachable(
            f"the pool at {pool} has another token than ours. Set OPENMPQ_TOKEN_FILE to the file that the bridge wrote "
            "(openmpq-run does)."
        ) from None
    except OSError as error:
        raise Unreachable(f"nobody answers at {pool}: {error.strerror or error}.") from error


class Link:
    """A connection that is greeted.

    Attributes:
        server: which bridge it is. qpus: what that offers.

    Raises:
        Lost: it broke at once; Unreachable: the bridge refuses us.
    """

    def __init__(self, connection: socket.socket, client_id: str) -> None:
        self._socket = connection
        self._reader = wire.Reader(connection.recv)
        self._slots: dict[str, int] = {}
        self.closed = False
        try:
            self._greet(client_id)
        except BaseException:
            self.close()
            raise

    def _greet(self, client_id: str) -> None:
        self._socket.settimeout(CONNECT_S)
        rank = next((int(os.environ[name]) for name in _RANKS if os.environ.get(name, "").isdigit()), 0)
        who = {"name": Path(sys.argv[0] if sys.argv else "python").name, "pid": os.getpid(), "rank": rank}
        self._say({"is": "hello", "openmpq": wire.VERSION, "client": client_id, **who})
        answer = self.receive()
        self._socket.settimeout(None)
        if answer.get("is") != "welcome":
            raise Unreachable(str(answer.get("text", "what answers at OPENMPQ_POOL is not a bridge.")))
        self.server = answer["server"]
        self.qpus = [QPU(device_id, "bridge", n_qubits, slots) for device_id, n_qubits, slots in answer["qpus"]]

    def submit(self, number: int, oldest: int, task: QuantumTask) -> None:
        """Ask for a task, as this request; ``oldest`` is the smallest that is still waited for. `Lost`."""
        message: dict[str, Any] = {"is": "submit", "request": number, "oldest": oldest, **self._program(task)}
        message |= {"device_id": task.device_id, "shots": task.shots, "priority": task.priority}
        message["rows"] = task.parameter_values
        if task.seed is not None:
            message["seed"] = task.seed
        self._say(message)

    def cancel(self, number: int) -> None:
        self._say({"is": "cancel", "request": number})

    def receive(self) -> dict[str, Any]:
        """The next message. `Lost`."""
        try:
            return self._reader.message()
        except (OSError, EOFError, wire.Refusal) as error:
            raise Lost(f"the connection to the bridge was lost{f': {error}' if str(error) else ''}.") from error

    def end(self) -> None:
        """Who reads sees the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.closed = True
        self.end()
        self._socket.close()

    def _program(self, task: QuantumTask) -> dict[str, Any]:
        """The program travels once, and then as the number of its slot; the oldest makes room."""
        assert isinstance(task.program, str)
        language = {} if task.language == "gates" else {"language": task.language}
        if task.program in self._slots:
            return {"slot": self._slots[task.program], **language}
        slot = len(self._slots)
        if slot == wire.SLOTS:
            slot = self._slots.pop(next(iter(self._slots)))
        self._slots[task.program] = slot
        return {"slot": slot, "program": task.program, **language}

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(wire.frame(wire.encode(message)), socket.MSG_NOSIGNAL)
        except OSError as error:
            raise Lost(f"the connection to the bridge was lost: {error.strerror or error}.") from error
