"""One connection of a node for all its programs: who shares it, what happens when it, a rank or the bridge dies."""

from __future__ import annotations

import itertools
import os
import random
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import openmpq_runtime
from openmpq_runtime import Bridge, link, node, relay, serve
from openmpq_runtime.trunk import WINDOW, Broken, Trunk
from qpu_executors import QPU, QPUThreadPool, QuantumTask, run

from .client import PROGRAM, ROW, WireClient, connect
from .compiling import GCC
from .compiling import run as run_program
from .conftest import SLOW
from .test_bridge import Recorder, until

_names = itertools.count()
SV = QPU("sv0", "statevector", 7, slots=4)
RANK = """
import openmpq_runtime, sys
from qpu_executors import QuantumTask, run
pool = openmpq_runtime.connect()
task = QuantumTask(sys.argv[1], device_id=sys.argv[2], shots=10, parameter_values=[.1, .2, .3, .4])
future = pool.submit(run, task)
print("submitted", flush=True)
future.result()
"""


def task(device_id: str = "sv0") -> QuantumTask:
    return QuantumTask(PROGRAM, device_id=device_id, shots=100, parameter_values=[ROW])


@contextmanager
def served(recorder: Recorder | None = None, grace_s: float = 2.0) -> Iterator[Bridge]:
    told = {"grace_s": grace_s, "observers": [recorder] if recorder else []}
    with QPUThreadPool([SV, SLOW]) as pool, serve(pool, "tcp:127.0.0.1:0", **told) as bridge:  # type: ignore[arg-type]
        yield bridge


def on_node(bridge: Bridge, name: str | None = None) -> dict[str, str]:
    """The environment of a program on a node of this name; by default one that has no relay yet."""
    return bridge.environment() | {"SLURMD_NODENAME": name or f"n{os.getpid()}-{next(_names)}"}


def relays_of(environment: dict[str, str]) -> list[psutil.Process]:
    """The relay processes that were started with this node's name and pool."""
    found = []
    for process in psutil.process_iter():
        try:
            words, theirs = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        if any(word.endswith("relay.py") for word in words) and process.status() != psutil.STATUS_ZOMBIE:
            names = ("OPENMPQ_POOL", "SLURMD_NODENAME")
            found += [process] if all(theirs.get(name) == environment[name] for name in names) else []
    return found


def test_programs_of_a_node_in_both_languages_share_one_connection(tmp_path: Path) -> None:
    bells = GCC.compile("bells.cpp")
    with served() as bridge:
        environment = on_node(bridge)
        ranks = [subprocess.Popen([bells, "20"], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        pools = [openmpq_runtime.connect(environment) for _ in range(4)]
        futures = [pool.submit(run, task()) for pool in pools for _ in range(20)]
        assert all(sum(future.result(20).counts[0].values()) == 100 for future in futures)
        assert [rank.communicate(timeout=20)[0] for rank in ranks] == ["20 of 20\n"] * 4
        assert bridge.n_accepted == 1
        assert bridge.nodes == {environment["SLURMD_NODENAME"]}
        with openmpq_runtime.connect(on_node(bridge)) as elsewhere:
            elsewhere.submit(run, task()).result(20)
        assert bridge.n_accepted == 2
        for pool in pools:
            pool.shutdown()


@pytest.mark.slow
def test_a_relay_that_is_killed_is_replaced_and_nothing_runs_twice() -> None:
    recorder = Recorder()
    with served(recorder) as bridge:
        environment = on_node(bridge)
        program = [GCC.compile("asynchronous.cpp"), "5"]  # on QPU 0
        with openmpq_runtime.connect(environment) as pool:
            futures = [pool.submit(run, task("slow0")) for _ in range(4)]
            other = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True)
            until(lambda: len(recorder.submissions) == 9)
            (before,) = relays_of(environment)
            before.kill()
            assert {future.result(20).device_id for future in futures} == {"slow0"}
            assert other.communicate(timeout=20)[0].split() == ["submitted", *["ok"] * 5]
            (after,) = relays_of(environment)
            assert after.pid != before.pid
        assert len(recorder.submissions) == 9
        assert bridge.n_accepted == 2


@pytest.mark.slow
def test_a_rank_that_dies_frees_what_it_waited_for_and_leaves_the_others_alone() -> None:
    recorder = Recorder()
    with served(recorder, grace_s=0.1) as bridge:
        environment = on_node(bridge)
        with openmpq_runtime.connect(environment) as pool:
            rank = subprocess.Popen(
                [sys.executable, "-c", RANK, PROGRAM, "slow0"], env=environment, stdout=subprocess.PIPE, text=True
            )
            busy = [pool.submit(run, task("slow0")) for _ in range(12)]
            assert rank.stdout is not None
            assert rank.stdout.readline() == "submitted\n"
            until(lambda: len(recorder.submissions) == 13)
            rank.kill()
            rank.communicate()
            assert all(future.result(20) for future in busy)
            until(lambda: len(recorder.outcomes) == 13)
        cancelled = [outcome for outcome in recorder.outcomes if isinstance(outcome, BaseException)]
        assert [getattr(each, "kind", "") for each in cancelled] == ["cancelled"]
        assert bridge.n_accepted == 1


def test_many_ranks_that_begin_at_once_start_one_relay() -> None:
    with served() as bridge:
        environment = on_node(bridge)
        with ThreadPoolExecutor(12) as threads:
            pools = list(threads.map(openmpq_runtime.connect, [environment] * 12))
        assert (bridge.n_accepted, len(relays_of(environment))) == (1, 1)
        for pool in pools:
            pool.shutdown()


def test_the_relay_ends_with_its_bridge() -> None:
    with served() as bridge:
        environment = on_node(bridge)
        pool = openmpq_runtime.connect(environment)
        (process,) = relays_of(environment)
        path = Path(process.cmdline()[-1])
        assert path.is_socket()
    until(lambda: not relays_of(environment))
    assert not path.exists()
    pool.shutdown()


def test_the_relay_ends_when_nobody_has_needed_it_for_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(relay, "IDLE_S", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs, relay.listen(str(tmp_path / "relay")) as listener:
        relay.relay(ours, listener)


def test_it_keeps_nothing_open_that_somebody_waits_for() -> None:
    with served() as bridge:
        bells = GCC.compile("bells.cpp")
        done = subprocess.run([bells, "1"], env=on_node(bridge), capture_output=True, text=True, timeout=20)
        assert done.stdout == "1 of 1\n"  # subprocess.run waits until the pipes are closed
        assert not done.stderr


@pytest.mark.parametrize("command", ["/nonexistent/python", "false"])
def test_without_a_relay_each_rank_connects_by_itself_and_says_so(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with served() as bridge:
        environment = on_node(bridge) | {"OPENMPQ_RELAY": command}
        done = run_program(GCC.compile("bells.cpp"), environment, "3")
        assert done.stdout == "3 of 3\n"
        assert done.stderr.startswith("openmpq: no relay on this node, so each thread connects to the pool by itself.")
        link._warn_without_relay.cache_clear()
        with openmpq_runtime.connect(environment) as pool:
            pool.submit(run, task()).result(20)
        assert capfd.readouterr().err.startswith("openmpq: no relay on ")
        assert (bridge.n_accepted, bridge.nodes) == (2, set())


def test_who_does_not_know_the_token_is_not_let_in_by_the_relay_of_who_does(tmp_path: Path) -> None:
    with served() as bridge:
        environment = on_node(bridge)
        with openmpq_runtime.connect(environment):
            (tmp_path / "wrong").write_text("wrong\n")
            with pytest.raises(openmpq_runtime.Unreachable, match="another token"):
                openmpq_runtime.connect(environment | {"OPENMPQ_TOKEN_FILE": str(tmp_path / "wrong")})


def test_its_folder_is_refused_if_others_could_look_into_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node, "FOLDER", str(tmp_path / "relays"))
    path = node.socket_path("tcp:a:1", "c1", b"t")
    assert path is not None
    assert path != node.socket_path("tcp:a:1", "c2", b"t") != node.socket_path("tcp:a:1", "c2", b"u")
    path.parent.chmod(0o755)
    assert node.socket_path("tcp:a:1", "c1", b"t") is None
    path.parent.rmdir()
    path.parent.symlink_to("/tmp")
    assert node.socket_path("tcp:a:1", "c1", b"t") is None


def test_the_command_works_from_anywhere_without_an_environment(tmp_path: Path) -> None:
    with served() as bridge:
        environment = {name: bridge.environment()[name] for name in ("OPENMPQ_POOL", "OPENMPQ_TOKEN_FILE")}
        words = [*shlex.split(node.command()), str(tmp_path / "relay")]
        done = subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        connect(f"unix:{tmp_path}/relay").close()
        wrong = subprocess.run(
            words, env={"OPENMPQ_POOL": "tcp:127.0.0.1:1"}, capture_output=True, text=True, timeout=20
        )
        assert wrong.returncode == 1
        assert "openmpq: no relay on" in wrong.stderr


# -- the trunk itself --


class Ends:
    """A relay's end and a bridge's end of a trunk, carried by a thread each; what the bridge accepted is in `far`."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        self.far: list[socket.socket] = []
        self.near = Trunk(near)
        self.threads = [threading.Thread(target=self._carry, args=(Trunk(far, self._accept),))]
        self.sockets = near, far

    def _accept(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.far.append(theirs)
        return ours

    def program(self) -> socket.socket:
        """A new program, whose stream ends at the last of `far`."""
        mine, local = socket.socketpair()
        self.near.open(local)
        mine.settimeout(20)
        return mine

    def begin(self) -> None:
        self.threads.append(threading.Thread(target=self._carry, args=(self.near,)))
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _carry(trunk: Trunk) -> None:
        with trunk:
            try:
                while True:
                    trunk.serve()
            except (OSError, EOFError):
                return

    def end(self) -> None:
        for each in self.sockets:
            each.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(20)
        for each in [*self.sockets, *self.far]:
            each.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.end()


def read(source: socket.socket, n: int) -> bytes:
    source.settimeout(20)
    data = bytearray()
    while len(data) < n and (more := source.recv(1 << 20)):
        data += more
    return bytes(data)


def test_streams_arrive_whole_and_apart_in_both_directions(ends: Ends) -> None:
    programs = [ends.program() for _ in range(5)]
    ends.begin()
    until(lambda: len(ends.far) == 5)
    texts = [random.Random(k).randbytes(3 * WINDOW + 1000 * k) for k in range(5)]
    for sources, sinks in ((programs, ends.far), (ends.far, programs)):
        with ThreadPoolExecutor(10) as threads:
            sent = [threads.submit(source.sendall, text) for source, text in zip(sources, texts, strict=True)]
            got = [threads.submit(read, sink, len(text)) for sink, text in zip(sinks, texts, strict=True)]
            assert [future.result() for future in got] == texts
            assert all(future.result() is None for future in sent)
    for program in programs:
        program.close()


def test_a_program_that_does_not_read_stops_only_itself(ends: Ends) -> None:
    deaf, other = ends.program(), ends.program()
    ends.begin()
    until(lambda: len(ends.far) == 2)
    ends.far[0].settimeout(0.5)
    with pytest.raises(TimeoutError):
        ends.far[0].sendall(bytes(8 * WINDOW))
    other.sendall(b"ping")
    assert read(ends.far[1], 4) == b"ping"
    ends.far[1].sendall(bytes(WINDOW))
    assert len(read(other, WINDOW)) == WINDOW
    deaf.close()
    other.close()


def test_what_was_said_before_the_end_arrives_before_the_end(ends: Ends) -> None:
    program = ends.program()
    ends.begin()
    until(lambda: ends.far)
    ends.far[0].sendall(b"last words")
    ends.far[0].close()
    assert read(program, 100) == b"last words"
    program.close()


@pytest.mark.parametrize("chunk", [b"\x09" + bytes(8), b"\x01" + bytes(4) + b"\xff\xff\xff\xff"])
def test_nonsense_ends_the_trunk(chunk: bytes) -> None:
    near, far = socket.socketpair()
    far.sendall(chunk)
    with Trunk(near) as trunk, pytest.raises(Broken):
        trunk.serve(5)
    near.close()
    far.close()


def test_a_relay_that_speaks_another_version_is_refused() -> None:
    with served() as bridge:
        token = Path(bridge.environment()["OPENMPQ_TOKEN_FILE"]).read_text().strip()
        with WireClient(bridge.address, token=token, hello=False) as client:
            client.send({"is": "node", "openmpq": 2, "node": "c1"})
            assert client.receive()["kind"] == "version"


def test_a_stopped_relay_does_not_stop_the_bridge() -> None:
    """A node that hangs: its connection stands, and nothing comes."""
    with served() as bridge:
        hanging, alive = on_node(bridge), on_node(bridge)
        with openmpq_runtime.connect(alive) as pool:
            stuck = openmpq_runtime.connect(hanging)
            (process,) = relays_of(hanging)
            process.suspend()
            try:
                futures = [stuck.submit(run, task()) for _ in range(3)]
                began = time.monotonic()
                assert pool.submit(run, task()).result(20)
                assert time.monotonic() - began < 5
            finally:
                process.resume()
            assert all(future.result(20) for future in futures)
            stuck.shutdown()
