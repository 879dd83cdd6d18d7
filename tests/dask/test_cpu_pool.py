"""The pool of classical workers: the standard library's contract, and results of every size and kind."""

import threading
import time
from concurrent.futures import CancelledError, wait
from typing import Any

import pytest
from distributed import Client

from conqure_dask import cpu_pool, pool, quantum_app
from conqure_dask.pools import CPUPool
from conqure_dask.tasks import MAX_PUSHED
from qpu_executors import InvalidTask, QuantumTask, run
from qpu_executors.testing import BELL, a_thousand, fail, total

from . import functions as f


@pytest.fixture
def cpus(client: Client) -> Any:
    with cpu_pool(client) as opened:
        yield opened


def test_calls_run_on_classical_workers_only(cpus: CPUPool) -> None:
    assert {*cpus.map(f.where, range(30), timeout=30)} <= {"cpu0", "cpu1"}


def test_results_of_every_size_come_back(cpus: CPUPool) -> None:
    sizes = [0, 1, MAX_PUSHED - 100, MAX_PUSHED, MAX_PUSHED + 1, 3_000_000]
    assert [len(data) for data in cpus.map(bytes, sizes, timeout=30)] == sizes


def test_errors_keep_their_type(cpus: CPUPool) -> None:
    with pytest.raises(InvalidTask, match="too bad"):
        cpus.submit(fail, "too bad").result(timeout=30)
    with pytest.raises(ZeroDivisionError):
        cpus.submit(divmod, 1, 0).result(timeout=30)


def test_what_cannot_be_pickled_is_an_error_of_the_future(cpus: CPUPool) -> None:
    with pytest.raises(TypeError, match="serialize"):
        cpus.submit(id, threading.Lock()).result(timeout=30)
    with pytest.raises(TypeError, match=r"serialize|pickle"):
        cpus.submit(threading.Lock).result(timeout=30)


def test_keywords_are_the_functions_also_where_dask_has_some_of_that_name(cpus: CPUPool) -> None:
    kwargs = {"key": 1, "workers": 2, "resources": 3, "pure": 4}
    assert cpus.submit(f.named_like_dasks_own, **kwargs).result(timeout=30) == (1, 2, 3, 4)


def test_functions_of_the_script_itself_travel(cpus: CPUPool) -> None:
    offset = 7
    assert cpus.submit(lambda x: x + offset, 1).result(timeout=30) == 8


def test_futures_of_all_kinds_are_arguments(client: Client, cpus: CPUPool) -> None:
    with pool(client) as qpus:
        quantum = qpus.submit(run, QuantumTask(BELL, shots=5))
        app = quantum_app(f.bell)(shots=6)
        first = cpus.submit(f.shots_of, quantum)
        second = cpus.submit(f.shots_of, app)
        assert cpus.submit(total, [first, second, 1], more=first).result(timeout=30) == 5 + 6 + 1 + 5
        assert cpus.submit(f.total_shots, [quantum, app]).result(timeout=30) == 11
        assert qpus.submit(total, [first, second]).result(timeout=30) == 11


def test_a_result_that_goes_to_another_call_stays_on_the_workers(client: Client, cpus: CPUPool) -> None:
    big = cpus.submit(bytes, 2_000_000)
    assert cpus.submit(len, big).result(timeout=30) == 2_000_000


def test_an_argument_that_fails_or_is_cancelled_fails_the_call(cpus: CPUPool) -> None:
    with pytest.raises(InvalidTask, match="too bad"):
        cpus.submit(a_thousand, cpus.submit(fail, "too bad")).result(timeout=30)
    blockers = [cpus.submit(time.sleep, 0.3) for _ in range(4)]
    waits = cpus.submit(a_thousand)
    after = cpus.submit(a_thousand, waits)
    assert waits.cancel()
    with pytest.raises(CancelledError):
        after.result(timeout=30)
    wait(blockers, timeout=30)


def test_a_cancelled_call_does_not_run(client: Client, cpus: CPUPool) -> None:
    from distributed import Variable

    Variable("ran", client).set(False)
    blockers = [cpus.submit(time.sleep, 0.3) for _ in range(4)]
    cancelled = cpus.submit(lambda: Variable("ran").set(True))
    assert cancelled.cancel()
    assert cancelled.cancelled()
    wait(blockers, timeout=30)
    assert cpus.submit(a_thousand).result(timeout=30) == 1000
    assert Variable("ran", client).get() is False


def test_a_slow_callback_does_not_stop_the_cluster(client: Client, cpus: CPUPool) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        inside.set()
        go_on.wait(20)

    cpus.submit(a_thousand).add_done_callback(slow)
    assert inside.wait(20)
    assert client.submit(abs, -1, pure=False).result(timeout=20) == 1
    go_on.set()


def test_a_chain_of_many_calls_is_submitted_at_once(cpus: CPUPool) -> None:
    future = cpus.submit(a_thousand)
    for _ in range(50):
        future = cpus.submit(abs, future)
    assert future.result(timeout=60) == 1000


def test_shutdown_waits_or_cancels_and_ends_it(client: Client) -> None:
    first = cpu_pool(client)
    future = first.submit(a_thousand)
    first.shutdown()
    assert future.done()
    with pytest.raises(RuntimeError, match="shutdown"):
        first.submit(a_thousand)
    second = cpu_pool(client)
    futures = [second.submit(time.sleep, 0.2) for _ in range(10)]
    second.shutdown(cancel_futures=True)
    assert all(future.done() for future in futures)
    assert any(future.cancelled() for future in futures)
