"""The connection of a lease: only who knows the secret gets in, and nothing is read as anything but a record."""

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from distributed import Client

from conqure_dask.channel import FAILED, HELLO, RESULT, TASK, Channel, NotOneOfUs, accept, connect
from conqure_dask.lending import answer
from conqure_dask.security import temporary_security
from qpu_executors import QPU, HeldDevice, QuantumResult, QuantumTask
from qpu_executors.testing import BELL


def meet(client: Callable[[tuple[str, int]], Any], secret: bytes = b"s" * 32, tls: Any = None) -> tuple[Any, Any]:
    """What `accept` made of a client, and what the client made of it (values or errors)."""
    made: list[Any] = []

    def run_client() -> None:
        try:
            made.append(client(listener.getsockname()))
        except Exception as error:
            made.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run_client)
        thread.start()
        connection, _ = listener.accept()
        try:
            found: Any = accept(connection, secret, tls)
        except Exception as error:
            found = error
        thread.join()
    return found, made[0]


def test_who_knows_the_secret_gets_in_and_is_heard() -> None:
    (server, greeting), client = meet(lambda address: connect(address, b"s" * 32, b"hello", None))
    assert greeting == b"hello"
    client.send(TASK, b"x" * 30_000)
    assert server.wait(5) == "frame"
    assert server.receive() == (TASK, b"x" * 30_000)
    server.close()
    with pytest.raises(OSError):
        client.receive()
    client.close()


def test_another_secret_is_refused_by_both_sides() -> None:
    refused, told = meet(lambda address: connect(address, b"wrong" * 8, b"hello", None))
    assert isinstance(refused, NotOneOfUs)
    assert isinstance(told, OSError)


def test_an_echo_is_refused() -> None:
    def echo(address: tuple[str, int]) -> None:
        with socket.create_connection(address) as connection:
            while data := connection.recv(64):
                connection.sendall(data)

    refused, _ = meet(echo)
    assert isinstance(refused, (NotOneOfUs, ConnectionError))


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n" * 10, b"\x80\x04\x95" * 100])
def test_noise_is_refused(noise: bytes) -> None:
    def shout(address: tuple[str, int]) -> None:
        with socket.create_connection(address) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(64):
                pass

    refused, _ = meet(shout)
    assert isinstance(refused, OSError)


def test_a_connection_is_encrypted_where_the_cluster_is() -> None:
    security = temporary_security()
    server_tls = security.get_listen_args("client")["ssl_context"]
    worker_tls = security.get_connection_args("worker")["ssl_context"]
    (server, _), client = meet(lambda address: connect(address, b"s" * 32, b"", worker_tls), tls=server_tls)
    client.send(TASK, b"secret program")
    assert server.receive() == (TASK, b"secret program")
    client.close()
    server.close()
    refused, _ = meet(lambda address: connect(address, b"s" * 32, b"", None), tls=server_tls)
    assert isinstance(refused, OSError)


def test_the_certificates_of_another_cluster_are_refused() -> None:
    ours = temporary_security().get_listen_args("client")["ssl_context"]
    theirs = temporary_security().get_connection_args("worker")["ssl_context"]
    refused, _ = meet(lambda address: connect(address, b"s" * 32, b"", theirs), tls=ours)
    assert isinstance(refused, OSError)


def test_a_wait_ends_when_it_is_woken() -> None:
    (server, _), client = meet(lambda address: connect(address, b"s" * 32, b"", None))
    assert server.wait(0.01) == "timeout"
    threading.Timer(0.05, server.wake).start()
    assert server.wait(5) == "woken"
    client.close()
    server.close()


def test_a_task_is_answered_with_its_result_or_its_error() -> None:
    held = HeldDevice(QPU("f0", "fake", 3))
    task = QuantumTask(BELL, shots=3)
    kind, body = answer(held, task.to_json().encode())
    assert (kind, QuantumResult.from_json(body).task_id) == (RESULT, task.task_id)
    for bad in (b"no json", b"{}", task.replace(program='{"gates":1}').to_json().encode()):
        kind, body = answer(held, bad)
        assert (kind, json.loads(body)["kind"]) == (FAILED, "invalid_task")


def test_a_stranger_at_the_desk_does_not_disturb_it(client: Client) -> None:
    from conqure_dask.leases import LeaseDesk

    came: list[Any] = []
    arrived = threading.Event()

    def come(lease: Any) -> None:
        came.append(lease)
        arrived.set()

    desk = LeaseDesk(client, come, lambda *_: None)
    with socket.create_connection(desk.address) as stranger:
        stranger.sendall(b"let me in")
        desk.ask("ion0", "HIGH")
        assert arrived.wait(30)
    assert came[0].device_id == "ion0"
    came[0].close()
    desk.close()


def test_the_parts_of_a_frame_may_come_one_by_one() -> None:
    one, other = socket.socketpair()
    with one:
        channel = Channel(other)
        for byte in b"\x00\x00\x00\x02" + HELLO + b"ab":
            one.sendall(bytes([byte]))
        assert channel.receive() == (HELLO, b"ab")
        one.sendall(b"\xff" * 5)
        with pytest.raises(ConnectionError, match="no record"):
            channel.receive()
        channel.close()
