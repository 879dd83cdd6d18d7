"""What goes wrong between a program and its pool: lost connections, killed bridges, time limits; also for futures."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, Observer, Tally, serve
from qpu_executors import QPU, QPUThreadPool, QuantumTask

from .compiling import CLANG, GCC, Compiler, run
from .relay import Relay
from .test_offload_policy import kill, serving

pytestmark = pytest.mark.slow


@pytest.fixture(params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def either(request: pytest.FixtureRequest) -> Compiler:
    compiler: Compiler = request.param
    compiler.require()
    return compiler


class Breaking(Tally):
    """Breaks the program's connection when its first circuit has arrived."""

    relay: Relay

    def submitted(self, task: QuantumTask) -> None:
        super().submitted(task)
        if self.tasks == 1:
            self.relay.break_connections()


@contextmanager
def slow_pool(job_s: float, observer: Observer) -> Iterator[Bridge]:
    device = QPU("slow0", "emulated", 7, options={"driver": "statevector", "job_s": job_s})
    with QPUThreadPool([device]) as pool, serve(pool, observers=[observer]) as bridge:
        yield bridge


@pytest.mark.parametrize(
    ("source", "argument", "expected", "circuits"),
    [
        ("once.cpp", "0", ["qpus 1", "ok slow0 "], 1),
        ("asynchronous.cpp", "5", ["submitted", *["ok "] * 5], 5),
    ],
)
def test_a_connection_that_breaks_is_made_again_and_nothing_runs_twice(
    either: Compiler, tmp_path: Path, source: str, argument: str, expected: list[str], circuits: int
) -> None:
    tally = Breaking()
    with slow_pool(0.1, tally) as bridge, Relay(bridge.address, f"unix:{tmp_path}/relay") as tally.relay:
        environment = bridge.environment() | {"OPENMPQ_POOL": tally.relay.address}
        done = run(either.compile(source), environment, argument)
        assert tally.relay.connections == tally.relay.broken + 1 > 1
    assert done.stdout.splitlines() == expected, done.stderr
    assert (tally.tasks, tally.failures) == (circuits, 0)


def test_futures_of_a_pool_that_is_killed_are_disconnected(either: Compiler, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/pool"
    server = serving(address, 5.0)
    command = [either.compile("asynchronous.cpp"), "300"]  # more than the bridge takes at once
    environment = os.environ | {"OPENMPQ_POOL": address, "OPENMPQ_FALLBACK": "none"}
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "submitted\n"
    kill(server)
    lines = program.communicate(timeout=20)[0].splitlines()
    assert program.returncode == 0
    assert [line.split()[0] for line in lines] == ["disconnected"] * 256 + ["unreachable"] * 44


def test_mandatory_offload_holds_for_futures(either: Compiler) -> None:
    environment = os.environ | {"OPENMPQ_POOL": "unix:/nonexistent/pool", "OMP_TARGET_OFFLOAD": "MANDATORY"}
    done = run(either.compile("asynchronous.cpp"), environment, "3")
    assert done.returncode == 70
    assert done.stderr.count("OMP_TARGET_OFFLOAD=MANDATORY") == 1


def test_without_a_pool_futures_are_the_hosts(either: Compiler) -> None:
    done = run(either.compile("asynchronous.cpp"), os.environ | {"OPENMPQ_POOL": "unix:/nonexistent/pool"}, "3")
    assert done.stdout.splitlines() == ["submitted", "ok ", "ok ", "ok "]
    assert done.stderr.count("own state vector") == 1


def test_a_time_limit_holds_for_each_future(either: Compiler) -> None:
    with slow_pool(0.5, Tally()) as bridge:
        done = run(either.compile("asynchronous.cpp"), bridge.environment(), "3", OPENMPQ_TIMEOUT="0.8")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["submitted", "ok", "timeout", "timeout"]


def test_a_device_that_fails_is_quoted(either: Compiler) -> None:
    broken = QPU("broken0", "emulated", 7, options={"driver": "statevector", "failure_rate": 1.0})
    with QPUThreadPool([broken]) as pool, serve(pool) as bridge:
        done = run(either.compile("once.cpp"), bridge.environment(), "0")
        assert done.returncode == 1
        assert done.stdout.splitlines()[1].startswith("device_error  ")
        done = run(either.compile("once.cpp"), bridge.environment(), "0", OMP_TARGET_OFFLOAD="MANDATORY")
    assert done.returncode == 70
    assert "device_error: " in done.stderr
