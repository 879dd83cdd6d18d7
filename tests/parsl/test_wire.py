"""Who may talk to the broker: nothing from a connection is unpickled before the other side has proved itself."""

import os
import pickle
import stat
import threading
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import pytest
from parsl.dataflow.dflow import DataFlowKernel

from conqure_parsl import quantum_app, wire
from qpu_executors import QPU
from qpu_executors.testing import BELL

from .conftest import qpu_executor

ION0 = QPU("ion0", "fake", 5)


@quantum_app
def bell() -> str:
    return BELL


class Trap:
    """Leaves a mark when somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def stranger(workers: DataFlowKernel) -> Connection:
    return Client(str(qpu_executor(workers).broker.socket), "AF_UNIX")


def talk(connection: Connection, echo: bool = False) -> None:
    """Until the other side has had enough."""
    while True:
        heard = connection.recv_bytes()
        if echo:
            connection.send_bytes(heard)


def test_the_secret_and_the_socket_are_this_users_alone(workers: DataFlowKernel) -> None:
    folder = qpu_executor(workers).broker.socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600


@pytest.mark.slow
def test_who_does_not_know_the_secret_is_sent_away(workers: DataFlowKernel) -> None:
    with pytest.raises((wire.NotOneOfUs, EOFError)):
        wire.connect(qpu_executor(workers).broker.socket, b"a guess" + bytes(25))
    assert bell(device="sv0").result()


def test_nothing_is_unpickled_from_a_stranger(workers: DataFlowKernel, tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "trapped"))
    for first in (trap, bytes(wire.SECRET_BYTES)):
        with stranger(workers) as connection:
            connection.send_bytes(first)
            for kind in (wire.HELLO, wire.RESULT, wire.READY):
                try:
                    connection.send_bytes(wire.frame(kind, b"p" + trap))
                except OSError:
                    break
            with pytest.raises((EOFError, OSError)):
                talk(connection)
    assert bell(device="sv0").result()
    assert not (tmp_path / "trapped").exists()


def test_an_echo_of_what_the_broker_says_proves_nothing(workers: DataFlowKernel) -> None:
    with stranger(workers) as connection, pytest.raises((EOFError, OSError)):
        talk(connection, echo=True)


def test_a_stranger_who_says_nothing_keeps_nobody_waiting(workers: DataFlowKernel) -> None:
    with stranger(workers):
        started = time.monotonic()
        assert bell(device="sv0").result()
        assert time.monotonic() - started < wire.HANDSHAKE_S


def test_both_sides_must_know_the_secret(tmp_path: Path) -> None:
    listener = wire.listen(tmp_path / "s")
    impostor = threading.Thread(target=_accept_with, args=(listener, bytes(32)))
    impostor.start()
    with pytest.raises((wire.NotOneOfUs, EOFError)):
        wire.connect(tmp_path / "s", os.urandom(32))
    impostor.join()
    listener.close()


def _accept_with(listener: Any, secret: bytes) -> None:
    with listener.accept() as connection, pytest.raises((wire.NotOneOfUs, EOFError)):
        wire.authenticate(connection, secret, b"broker", b"worker")
