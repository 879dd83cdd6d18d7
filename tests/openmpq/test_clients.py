"""How often a request runs: connections that break, clients that come back, soon or too late, and bridges that end."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from openmpq_runtime import clients, outbox, serve
from qpu_executors import QPU, QPUThreadPool, QuantumResult

from .client import ROW, WireClient
from .conftest import SLOW, SV
from .test_bridge import Recorder, until


@pytest.fixture
def pool() -> Iterator[QPUThreadPool]:
    with QPUThreadPool([SV, SLOW]) as opened:
        yield opened


def numbers(recorder: Recorder) -> list[int]:
    """The requests that the pool was given."""
    return [int(task.task_id.rpartition("-")[2]) for task in recorder.submissions]


def test_what_the_client_has_is_not_run_again_when_it_arrives_late(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge, WireClient(bridge.address) as client:
        answers = []
        for number in (1, 2):  # `oldest` is 2 from here on
            client.submit(number)
            answers.append(client.receive()["request"])
        with WireClient(bridge.address, client.client_id) as late:  # what a broken connection had still in it
            late.submit(1)
            assert [answer["is"] for answer in late.rest()] == ["refused"]
    assert answers == [1, 2]
    assert numbers(recorder) == [1, 2]


def test_what_the_client_no_longer_waits_for_is_cancelled(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge, WireClient(bridge.address) as client:
        client.submit(1, device_id="slow0")
        client.submit(2, oldest=1, device_id="slow0")
        client.submit(3, oldest=3)
        until(lambda: len(recorder.outcomes) == 3)
    done = {outcome.task_id[-1] for outcome in recorder.outcomes if isinstance(outcome, QuantumResult)}
    assert "3" in done
    assert "2" not in done  # 1 may have begun


def test_who_comes_back_too_late_is_told_and_nothing_runs_again(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, grace_s=0, observers=[recorder]) as bridge:
        with WireClient(bridge.address) as client:
            client.submit(1)
            client.receive()
        time.sleep(0.6)  # two sweeps
        with WireClient(bridge.address, client.client_id) as again:
            again.submit(1)
            answer = again.receive()
            assert (answer["request"], answer["kind"]) == (1, "disconnected")
            again.submit(2)
            assert again.receive()["is"] == "result"
    assert numbers(recorder) == [1, 2]


@pytest.mark.slow
def test_the_welcome_comes_before_any_answer(pool: QPUThreadPool) -> None:
    with serve(pool) as bridge:
        client = WireClient(bridge.address)
        for request in range(1, 1001, 20):
            for number in range(request, request + 20):
                client.submit(number, oldest=request, device_id="sv0")
            again = WireClient(bridge.address, client.client_id)
            client.socket.close()
            assert again.welcome["is"] == "welcome"
            client = again
        client.socket.close()


def test_answers_that_are_kept_for_long_take_no_more_than_their_share(
    pool: QPUThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MAX_KEPT", 5000)
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge, WireClient(bridge.address) as client:
        client.submit(1, device_id="slow0", rows=[ROW] * 4)
        for number in range(2, 101):
            client.submit(number, oldest=1, device_id="sv0")
        received = [client.receive()["request"] for _ in range(100)]
        assert sorted(received) == list(range(1, 101))
        with WireClient(bridge.address, client.client_id) as again:
            for number in (2, received[-1]):
                again.submit(number, oldest=1)
            assert [again.receive().get("kind") for _ in range(2)] == ["disconnected", None]
    assert numbers(recorder) == list(range(1, 101))


def test_nothing_runs_on_for_a_bridge_that_ended(pool: QPUThreadPool) -> None:
    recorder = Recorder()
    with serve(pool, max_in_flight=2, observers=[recorder]) as bridge:
        client = WireClient(bridge.address)
        for number in range(1, 21):  # as some are cancelled, the reading thread finds room for others
            client.submit(number, oldest=1, device_id="slow0")
        until(lambda: len(recorder.submissions) == 2)
    until(lambda: len(recorder.outcomes) == len(recorder.submissions), seconds=2)
    done = [outcome for outcome in recorder.outcomes if not isinstance(outcome, BaseException)]
    assert len(done) <= 1
    client.socket.close()


def test_an_outcome_that_cannot_be_sent_is_an_answer_all_the_same() -> None:
    class Odd(QPUThreadPool):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            def odd(task: Any) -> Any:
                result = fn(task)
                result.metadata["what"] = object()  # some driver's
                return result

            return super().submit(odd, *args, **kwargs)

    with Odd([QPU("sv0", "statevector", 7)]) as pool, serve(pool) as bridge, WireClient(bridge.address) as client:
        client.submit(1)
        answer = client.receive()
    assert (answer["is"], answer["kind"]) == ("failed", "error")


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "value"), [("PATIENCE_S", 1), ("MAX_BACKLOG", 10_000)])
def test_a_client_that_never_reads_is_given_up(
    pool: QPUThreadPool, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(outbox, limit, value)
    recorder = Recorder()
    with serve(pool, observers=[recorder]) as bridge, WireClient(bridge.address) as client:
        for number in range(1, 101):
            client.submit(number, oldest=1, device_id="sv0", rows=[ROW] * 200)  # 1 MB of answers in all
        until(lambda: len(recorder.outcomes) == 100)
        time.sleep(1.5)
        assert len(list(client.rest())) < 100
        with WireClient(bridge.address, client.client_id) as again:  # if it reads now, nothing is lost
            for number in range(1, 101):
                again.submit(number, oldest=1, device_id="sv0", rows=[ROW] * 200)
                assert again.receive()["request"] == number
    assert numbers(recorder) == list(range(1, 101))
