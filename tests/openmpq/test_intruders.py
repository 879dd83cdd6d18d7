"""What the bridge does with those who are not its clients, and with too many who are."""

import contextlib
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmpq_runtime import Bridge, serve, wire
from qpu_executors import QPU, QPUThreadPool

from .client import WireClient, connect
from .test_bridge import until

HELLO = b'{"is":"hello","openmpq":1,"client":"%s"}' % (b"0" * 32)


@pytest.fixture(scope="module")
def pool() -> Iterator[QPUThreadPool]:
    with QPUThreadPool([QPU("sv0", "statevector", 7)]) as opened:
        yield opened


@pytest.fixture(scope="module")
def bridge(pool: QPUThreadPool) -> Iterator[Bridge]:
    with serve(pool) as opened:
        yield opened


def works(bridge: Bridge) -> bool:
    with WireClient(bridge.address) as client:
        client.submit(1)
        return client.receive()["is"] == "result"


@pytest.mark.parametrize("greeted", [False, True])
@given(data=st.lists(st.one_of(st.binary(max_size=50), st.binary(max_size=50).map(wire.frame)), max_size=4))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_harms_nobody(bridge: Bridge, greeted: bool, data: list[bytes]) -> None:
    with connect(bridge.address) as intruder, contextlib.suppress(ConnectionError):  # it may be thrown out early
        intruder.sendall((wire.frame(HELLO) if greeted else b"") + b"".join(data))
    assert works(bridge)


def test_a_frame_that_is_too_long_is_refused_by_its_first_bytes(bridge: Bridge) -> None:
    with WireClient(bridge.address) as client:
        client.socket.sendall(struct.pack(">I", 2**32 - 1))
        assert [answer["kind"] for answer in client.rest()] == ["limit"]
    assert works(bridge)


def test_who_never_says_who_it_is_is_thrown_out(pool: QPUThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openmpq_runtime.bridge.HELLO_S", 0.3)
    with serve(pool) as bridge, connect(bridge.address) as slow, WireClient(bridge.address) as client:
        taken = 0
        with contextlib.suppress(ConnectionError):
            for drop in wire.frame(HELLO)[:40]:  # never silent for long
                slow.sendall(bytes([drop]))
                taken += 1
                time.sleep(0.1)
        assert 2 <= taken < 20
        client.submit(1)  # who did say so stays
        assert client.receive()["is"] == "result"


def test_over_tcp_only_who_knows_the_token_learns_that_there_is_no_room(pool: QPUThreadPool) -> None:
    with (
        serve(pool, "tcp:127.0.0.1:0", token="t", max_connections=2) as bridge,
        WireClient(bridge.address, token="t"),
        WireClient(bridge.address, token="t"),
    ):
        with WireClient(bridge.address, token="t") as third:
            assert third.welcome["kind"] == "limit"
        with connect(bridge.address) as stranger:
            stranger.settimeout(10)
            assert len(stranger.recv(100)) == 32  # the challenge, and nothing else
            stranger.sendall(bytes(64))
            assert len(stranger.recv(100)) in (0, 32)  # its proof


def test_connections_far_beyond_the_limit_cost_no_threads(pool: QPUThreadPool) -> None:
    with serve(pool, "tcp:127.0.0.1:0", max_connections=2) as bridge:
        silent = [connect(bridge.address) for _ in range(8)]
        for connection in silent:
            connection.settimeout(10)
        greeted = [len(connection.recv(100)) for connection in silent]
        for connection in silent:
            connection.close()
    assert greeted == [32] * 4 + [0] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_even_where_the_file_lets_him_in(pool: QPUThreadPool) -> None:
    path = Path(f"/tmp/openmpq-test-{os.getpid()}")
    program = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1000))"
    with serve(pool, f"unix:{path}"):
        path.chmod(0o666)
        command = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-I", "-c", program, str(path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert "the user who started it only" in said.stdout, said.stderr


def test_a_process_with_thousands_of_open_files_can_be_served(pool: QPUThreadPool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    held = [os.dup(0) for _ in range(1100)]
    try:
        with serve(pool) as bridge:
            until(lambda: works(bridge))
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
