"""The bridge over real thread pools: what is answered, what is refused, and what happens when somebody goes away."""

import json
import os
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import openmpq_runtime
from openmpq_runtime import Bridge, Tally, serve
from qpu_executors import InvalidAddress, QPUThreadPool, QuantumResult, QuantumTask

from .client import PROGRAM, ROW, WireClient, connect
from .conftest import SV


class Recorder:
    """Keeps what the bridge tells."""

    def __init__(self) -> None:
        self.submissions: list[QuantumTask] = []
        self.outcomes: list[QuantumResult | BaseException] = []

    def submitted(self, task: QuantumTask) -> None:
        self.submissions.append(task)

    def finished(self, task: QuantumTask, outcome: QuantumResult | BaseException) -> None:
        self.outcomes.append(outcome)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("waits", [True, False])
def test_a_circuit_is_run_and_its_result_comes_back(bridge: Bridge, waits: bool) -> None:
    with WireClient(bridge.address) as client:
        client.submit(1, rows=[ROW, ROW], seed=5, waits=waits)
        answer = client.receive()
    result = QuantumResult.from_json(json.dumps(answer["result"]))
    assert answer["request"] == 1
    assert [sum(row.values()) for row in result.counts] == [100, 100]
    assert result.task_id == f"openmpq-{client.client_id[:8]}-1"


def test_welcome_says_what_there_is(bridge: Bridge) -> None:
    with WireClient(bridge.address) as client:
        assert client.welcome["qpus"] == [["sv0", 7, 1], ["slow0", 7, 1]]
        assert client.welcome["scripts"] is False


def test_a_program_is_sent_once(bridge: Bridge) -> None:
    with WireClient(bridge.address) as client:
        client.submit(1, slot=3)
        client.send({"is": "submit", "request": 2, "oldest": 1, "slot": 3, "shots": 10, "rows": [ROW]})
        assert [client.receive()["is"] for _ in range(2)] == ["result", "result"]


def test_answers_come_in_the_order_they_are_ready(bridge: Bridge) -> None:
    with WireClient(bridge.address) as client:
        client.submit(1, device_id="slow0")
        client.submit(2, oldest=1, device_id="sv0")
        assert [client.receive()["request"] for _ in range(2)] == [2, 1]


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"device_id": "ion9"}, "unknown_device", "Known: 'sv0'"),
        ({"shots": 0}, "invalid_task", "shots must be from 1"),
        ({"shots": "many"}, "invalid_task", "shots must be a whole number"),
        ({"rows": [[1.0]]}, "invalid_task", "1 columns"),
        ({"rows": None}, "invalid_task", "rows of numbers"),
        ({"rows": [["x"]]}, "invalid_task", "sequence of numbers"),
        ({"priority": "NOW"}, "invalid_task", "HIGH, MEDIUM, LOW"),
        ({"seed": -5}, "invalid_task", "seed must be"),
        ({"program": "{}"}, "invalid_task", "not a gates program"),
        ({"program": 7}, "invalid_task", "text or bytes"),
        ({"program": PROGRAM.replace('"ry"', '"rq"')}, "invalid_task", "no gate 'rq'"),
        ({"device_id": {"a": 1}}, "invalid_task", "device_id"),
    ],
)
def test_a_bad_request_gets_an_error_and_the_connection_goes_on(
    bridge: Bridge, fields: dict[str, Any], kind: str, text: str
) -> None:
    with WireClient(bridge.address) as client:
        client.submit(1, **fields)
        answer = client.receive()
        assert (answer["is"], answer["kind"]) == ("failed", kind)
        assert text in answer["text"]
        client.submit(2)
        assert client.receive()["is"] == "result"


@pytest.mark.parametrize(
    "message",
    [
        {"is": "dance"},
        {"is": "submit", "request": 0, "oldest": 0, "slot": 0, "program": PROGRAM},
        {"is": "submit", "request": 1, "oldest": 2, "slot": 0, "program": PROGRAM},
        {"is": "submit", "request": "1", "oldest": 1, "slot": 0, "program": PROGRAM},
        {"is": "submit", "request": 1, "oldest": 1, "slot": 64, "program": PROGRAM},
        {"is": "submit", "request": 1, "oldest": 1, "slot": 5},
        {"is": "cancel"},
        [1, 2],
    ],
)
def test_who_breaks_the_protocol_is_told_and_sent_away(bridge: Bridge, message: Any) -> None:
    with WireClient(bridge.address) as client:
        client.send(message)
        assert [answer["is"] for answer in client.rest()] == ["refused"]
    with WireClient(bridge.address) as other:  # and nobody else notices
        other.submit(1)
        assert other.receive()["is"] == "result"


def test_another_version_is_refused_by_name(bridge: Bridge) -> None:
    with WireClient(bridge.address, hello=False) as client:
        client.send({"is": "hello", "openmpq": 99, "client": "0" * 32})
        (refused,) = client.rest()
    assert refused["kind"] == "version"


def test_what_is_sent_again_on_a_new_connection_does_not_run_again(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge:
        with WireClient(bridge.address) as client:
            client.submit(1, device_id="slow0")
            until(lambda: recorder.submissions)
        with WireClient(bridge.address, client.client_id) as again:
            again.submit(1, device_id="slow0")
            assert again.receive()["is"] == "result"
            again.submit(1, device_id="slow0")  # its answer got lost, say
            assert again.receive()["is"] == "result"
            again.submit(2, oldest=2)
            again.receive()
    assert [task.task_id[-2:] for task in recorder.submissions] == ["-1", "-2"]


def test_a_client_that_dies_frees_its_place(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, grace_s=0.1, observers=[recorder]) as bridge:
        client = WireClient(bridge.address)
        for request in range(1, 21):
            client.submit(request, oldest=1, device_id="slow0")
        until(lambda: len(recorder.submissions) == 20)
        client.socket.close()
        until(lambda: len(recorder.outcomes) == 20, seconds=5)  # not the 6 s that they would take
        cancelled = [outcome for outcome in recorder.outcomes if isinstance(outcome, BaseException)]
        assert len(cancelled) >= 15
        with WireClient(bridge.address) as other:
            started = time.monotonic()
            other.submit(1, device_id="slow0")
            other.receive()
            assert time.monotonic() - started < 3  # not behind the twenty


def test_a_request_is_cancelled_while_it_waits(bridge: Bridge) -> None:
    with WireClient(bridge.address) as client:
        client.submit(1, device_id="slow0")
        client.submit(2, oldest=1, device_id="slow0")
        client.send({"is": "cancel", "request": 2})
        client.send({"is": "cancel", "request": 77})  # unknown: nothing to do
        answers = {answer["request"]: answer for answer in (client.receive(), client.receive())}
    assert answers[1]["is"] == "result"
    assert answers[2]["kind"] == "cancelled"


@pytest.mark.slow
def test_no_more_than_so_many_requests_of_a_client_are_in_flight(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, max_in_flight=3, observers=[recorder]) as bridge, WireClient(bridge.address) as client:
        for request in range(1, 7):
            client.submit(request, oldest=1, device_id="slow0")
        time.sleep(0.2)
        assert len(recorder.submissions) == 3
        assert [client.receive()["request"] for _ in range(6)] == [1, 2, 3, 4, 5, 6]


def test_a_client_that_goes_while_the_bridge_waits_for_room_is_noticed(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, max_in_flight=2, grace_s=0.1, observers=[recorder]) as bridge:
        client = WireClient(bridge.address)
        for request in range(1, 9):
            client.submit(request, oldest=1, device_id="slow0")
        until(lambda: len(recorder.submissions) >= 2)
        client.socket.close()
        until(lambda: len(recorder.outcomes) == len(recorder.submissions), seconds=5)
        assert len(recorder.submissions) < 8


def test_a_client_that_does_not_read_holds_up_nobody(pool: QPUThreadPool) -> None:
    many_states = {"shots": 4000, "rows": [ROW] * 20}
    with serve(pool) as bridge, WireClient(bridge.address) as lazy, WireClient(bridge.address) as other:
        for request in range(1, 200):
            lazy.submit(request, oldest=1, **many_states)
        for request in range(1, 20):
            other.submit(request)
            assert other.receive()["is"] == "result"
        assert len([lazy.receive() for _ in range(199)]) == 199


def test_many_threads_at_once(bridge: Bridge) -> None:
    failures: list[BaseException] = []

    def loop() -> None:
        try:
            with WireClient(bridge.address) as client:
                for request in range(1, 51):
                    client.submit(request, device_id="sv0", waits=request % 2 == 0)
                    assert client.receive()["request"] == request
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loop) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_only_the_owner_gets_at_the_socket(bridge: Bridge) -> None:
    path = Path(bridge.address.removeprefix("unix:"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_is_left_when_the_bridge_ends(pool: QPUThreadPool, tmp_path: Path) -> None:
    before = threading.active_count()
    with serve(pool, f"unix:{tmp_path}/pool") as bridge:
        client = WireClient(bridge.address)
        client.submit(1, device_id="slow0")
        client.submit(2, oldest=1, device_id="slow0")
    assert not list(tmp_path.iterdir())
    with client:
        assert not [answer for answer in client.rest() if answer["is"] == "result" and answer["request"] == 2]
    until(lambda: threading.active_count() <= before)


def test_over_tcp_a_token_is_proved_and_never_sent(pool: QPUThreadPool) -> None:
    with serve(pool, "tcp:127.0.0.1:0") as bridge:
        environment = bridge.environment()
        file = Path(environment["OPENMPQ_TOKEN_FILE"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert environment["OPENMPQ_POOL"] == bridge.address
        with WireClient(bridge.address, token=file.read_text().strip()) as client:
            client.submit(1)
            assert client.receive()["is"] == "result"
        received = b""
        with connect(bridge.address) as wrong:
            wrong.sendall(os.urandom(32) + os.urandom(32))  # a challenge, and a guess
            wrong.settimeout(10)
            while more := wrong.recv(100):
                received += more
        assert len(received) <= 64  # its challenge and its proof, no welcome
    assert not file.exists()


def test_more_connections_than_allowed_are_refused(pool: QPUThreadPool) -> None:
    with serve(pool, max_connections=2) as bridge:
        with WireClient(bridge.address), WireClient(bridge.address), WireClient(bridge.address) as third:
            assert third.welcome["is"] == "refused"
            assert "max_connections" in third.welcome["text"]
        until(lambda: _welcomed(bridge))


def _welcomed(bridge: Bridge) -> bool:
    with WireClient(bridge.address) as client:
        return client.welcome["is"] == "welcome"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://x", "Use unix:"),
        ("tcp:nohost", "Use unix:"),
        ("tcp:127.0.0.1:99999", "Use unix:"),
        ("unix:/" + "x" * 200, "too long"),
    ],
)
def test_an_address_that_is_none_is_refused(pool: QPUThreadPool, address: str, text: str) -> None:
    with pytest.raises(InvalidAddress, match=text), serve(pool, address):
        pass


def test_a_socket_file_left_by_a_kill_is_replaced_and_one_that_answers_is_not(
    pool: QPUThreadPool, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/pool"
    with serve(pool, address), pytest.raises(InvalidAddress, match="another bridge"), serve(pool, address):
        pass
    import socket

    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "pool"))
    stale.close()
    with serve(pool, address) as bridge, WireClient(bridge.address) as client:
        assert client.welcome["is"] == "welcome"


def test_an_observer_that_fails_breaks_nothing(pool: QPUThreadPool) -> None:
    class Broken:
        def submitted(self, task: QuantumTask) -> None:
            raise ValueError("submitted")

        def finished(self, task: QuantumTask, outcome: object) -> None:
            raise ValueError("finished")

    with serve(pool, observers=[Broken()]) as bridge, WireClient(bridge.address) as client:
        client.submit(1)
        assert client.receive()["is"] == "result"


def test_the_tally_counts_what_passed(pool: QPUThreadPool) -> None:
    tally = Tally(pool.qpus)
    with serve(pool, observers=[tally]) as bridge, WireClient(bridge.address) as client:
        client.submit(1, device_id="slow0", rows=[ROW, ROW])
        client.submit(2, oldest=1, device_id="sv0")
        client.submit(3, oldest=1, device_id="nobody")
        client.submit(4, oldest=1, rows=[[1.0]])
        for _ in range(4):
            client.receive()
        until(lambda: tally.failures == 1)
    figures = tally.figures()
    assert (figures["circuits"], figures["tasks"], figures["shots"]) == (3, 3, 300)
    assert figures["qpus"]["slow0"]["circuits"] == 2
    assert figures["qpus"]["slow0"]["qpu_s"] >= 0.3
    assert 0 < figures["qpus"]["slow0"]["utilisation"] <= 1
    assert "3 circuits in 3 tasks, 300 shots, 1 failed" in tally.summary()


def test_any_executor_with_qpus_can_be_served() -> None:
    class Immediate:
        def submit(self, fn: Any, /, task: QuantumTask) -> Future[QuantumResult]:
            future: Future[QuantumResult] = Future()
            future.set_result(QuantumResult(task.task_id, "x", ({"0": task.shots},), task.shots, 0, 0, 0, 0))
            return future

    pool: Any = Immediate()
    with serve(pool, qpus=[SV]) as bridge, WireClient(bridge.address) as client:
        client.submit(1)
        assert client.receive()["result"]["counts"] == [{"0": 100}]


def test_public_names_are_there() -> None:
    for name in openmpq_runtime.__all__:
        assert getattr(openmpq_runtime, name) is not None
