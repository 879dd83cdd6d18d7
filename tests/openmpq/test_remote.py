"""`openmpq_runtime.connect`: the QPUs behind a bridge as an executor, for ranks in Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest

import openmpq_runtime
from openmpq_runtime import Bridge, serve
from qpu_executors import (
    DeviceLost,
    InvalidTask,
    QPUThreadPool,
    QuantumResult,
    QuantumTask,
    UnknownDevice,
    run,
)

from .client import PROGRAM, ROW
from .relay import Relay
from .test_bridge import Recorder, until
from .test_offload_policy import kill, serving


@pytest.fixture
def remote(bridge: Bridge) -> Iterator[openmpq_runtime.RemotePool]:
    with openmpq_runtime.connect(bridge.environment()) as opened:
        yield opened


def task(device_id: str = "sv0", **fields: object) -> QuantumTask:
    given = {"device_id": device_id, "shots": 100, "parameter_values": [ROW]} | fields
    return QuantumTask(PROGRAM, **given)  # type: ignore[arg-type]


def test_a_result_is_what_the_pool_itself_gives(remote: openmpq_runtime.RemotePool, pool: QPUThreadPool) -> None:
    wanted = task(parameter_values=[ROW, ROW[::-1]], seed=7)
    here, there = pool.submit(run, wanted).result(), remote.submit(run, wanted).result()
    assert there.counts == here.counts
    assert (there.task_id, there.device_id, there.shots) == (wanted.task_id, "sv0", 100)
    assert there.ended_at >= there.started_at >= wanted.created_at - 1


def test_it_knows_the_qpus(remote: openmpq_runtime.RemotePool) -> None:
    assert [(qpu.device_id, qpu.n_qubits, qpu.slots) for qpu in remote.qpus] == [("sv0", 7, 1), ("slow0", 7, 1)]


def test_more_tasks_than_the_bridge_reads_at_once_all_come_back(remote: openmpq_runtime.RemotePool) -> None:
    tasks = [task(seed=k) for k in range(600)]
    results = [future.result(30) for future in [remote.submit(run, each) for each in tasks]]
    assert [result.task_id for result in results] == [each.task_id for each in tasks]


def test_programs_that_take_turns_are_never_mixed_up(remote: openmpq_runtime.RemotePool) -> None:
    def flips(bits: int) -> QuantumTask:
        ops = [["x", [q]] for q in range(7) if bits >> q & 1]
        program = {"gates": 1, "qubits": 7, "registers": [["m", 7]], "parameters": []}
        return QuantumTask(json.dumps(program | {"ops": [*ops, ["measure", list(range(7)), list(range(7))]]}), shots=1)

    order = [k % 100 for k in range(0, 700, 7)] * 2  # more programs than slots
    futures = [remote.submit(run, flips(bits)) for bits in order]
    assert [next(iter(future.result(30).counts[0])) for future in futures] == [f"{bits:07b}" for bits in order]


def test_openqasm_passes_and_what_is_not_text_does_not(remote: openmpq_runtime.RemotePool) -> None:
    with pytest.raises(InvalidTask, match="a program in qpy does not pass a bridge; gates, openqasm2, openqasm3 do"):
        remote.submit(run, QuantumTask(b"QISKIT", "qpy"))
    qasm = 'OPENQASM 3.0; include "stdgates.inc"; qubit[1] q; bit[1] c; x q[0]; c[0] = measure q[0];'
    assert remote.submit(run, QuantumTask(qasm, "openqasm3")).result(30).counts == ({"1": 1024},)


def test_other_calls_than_circuits_are_refused(remote: openmpq_runtime.RemotePool) -> None:
    with pytest.raises(InvalidTask, match=r"takes submit\(conqure.run, task\) and nothing else"):
        remote.submit(max, 1, 2)
    with pytest.raises(InvalidTask, match="a bridge takes a QuantumTask, not int"):
        remote.submit(run, 3).result(10)


def test_an_error_keeps_its_type_and_text(remote: openmpq_runtime.RemotePool) -> None:
    with pytest.raises(UnknownDevice, match="nosuch"):
        remote.submit(run, task("nosuch")).result(10)
    with pytest.raises(InvalidTask, match="parameter"):
        remote.submit(run, task(parameter_values=[[1.0]])).result(10)


def test_a_future_is_accepted_as_the_task(remote: openmpq_runtime.RemotePool) -> None:
    later: Future[QuantumTask] = Future()
    result = remote.submit(run, later)
    assert not result.done()
    later.set_result(task())
    assert result.result(10).shots == 100
    failed: Future[QuantumTask] = Future()
    failed.set_exception(ValueError("no task"))
    with pytest.raises(ValueError, match="no task"):
        remote.submit(run, failed).result(10)


def test_map_keeps_the_order(remote: openmpq_runtime.RemotePool) -> None:
    tasks = [task(seed=k) for k in range(5)]
    done = list(remote.map(run, tasks))
    assert [result.task_id for result in done] == [each.task_id for each in tasks]


def test_a_task_that_waits_is_taken_back(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge, openmpq_runtime.connect(bridge.environment()) as remote:
        first, second, third = (remote.submit(run, task("slow0")) for _ in range(3))
        until(lambda: len(recorder.submissions) == 3)
        assert second.cancel()
        with pytest.raises(CancelledError):
            second.result(1)
        assert all(future.result(10) for future in (first, third))
        until(lambda: len(recorder.outcomes) == 3)
    assert [isinstance(outcome, QuantumResult) for outcome in recorder.outcomes].count(True) == 2


def test_after_shutdown_nothing_is_accepted_and_what_was_accepted_is_done(bridge: Bridge) -> None:
    remote = openmpq_runtime.connect(bridge.environment())
    futures = [remote.submit(run, task("slow0")) for _ in range(2)]
    remote.shutdown()
    assert all(future.done() and future.result() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        remote.submit(run, task())


def test_shutdown_may_cancel_what_waits(bridge: Bridge) -> None:
    remote = openmpq_runtime.connect(bridge.environment())
    futures = [remote.submit(run, task("slow0")) for _ in range(20)]
    remote.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)


@pytest.mark.slow
def test_a_connection_that_breaks_is_made_again_and_nothing_runs_twice(pool: QPUThreadPool, tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        serve(pool, observers=[recorder]) as bridge,
        Relay(bridge.address, f"unix:{tmp_path}/relay") as between,
        openmpq_runtime.connect(bridge.environment() | {"OPENMPQ_POOL": between.address}) as remote,
    ):
        futures = [remote.submit(run, task("slow0")) for _ in range(4)]
        until(lambda: len(recorder.submissions) == 4)
        between.break_connections()
        assert all(future.result(10) for future in futures)
        assert between.connections == 2
    assert len(recorder.submissions) == 4


def test_a_bridge_that_is_killed_loses_what_was_under_way_and_the_pool_says_so(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/pool"
    server = serving(address, 5.0)
    remote = openmpq_runtime.connect({"OPENMPQ_POOL": address})
    futures = [remote.submit(run, QuantumTask(PROGRAM, parameter_values=[ROW])) for _ in range(300)]
    kill(server)
    errors = [future.exception(20) for future in futures]
    assert {type(error) for error in errors} == {DeviceLost}
    assert all(error.transient for error in errors if isinstance(error, DeviceLost))
    assert sum("ran once or not at all" in str(error) for error in errors) == 256
    assert sum("did not run" in str(error) for error in errors) == 44
    with pytest.raises(RuntimeError, match="after the bridge has gone"):
        remote.submit(run, task())
    remote.shutdown()


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ("", "OPENMPQ_POOL is not set, so there is no pool of QPUs. Start the program with openmpq-run"),
        ("pipe:x", "OPENMPQ_POOL is 'pipe:x'. Use unix:/path/of/socket or tcp:HOST:PORT."),
        ("unix:/nonexistent", "nobody answers at unix:/nonexistent: No such file or directory."),
        ("tcp:127.0.0.1:1", "nobody answers at tcp:127.0.0.1:1: Connection refused."),
    ],
)
def test_without_a_bridge_it_says_what_to_do(pool: str, said: str) -> None:
    with pytest.raises(openmpq_runtime.Unreachable) as raised:
        openmpq_runtime.connect({"OPENMPQ_POOL": pool, "OPENMPQ_TOKEN": "t"})
    assert str(raised.value).startswith(said)


def test_a_program_may_end_without_closing_it(bridge: Bridge) -> None:
    program = "import openmpq_runtime; pool = openmpq_runtime.connect(); print(len(pool.qpus))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=bridge.environment(), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
