"""Sessions hold a QPU; pools and other Dask tasks share it, and everybody gets their turn."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import Client

from conqure_dask import cpu_pool, pool, quantum_app, session
from qpu_executors import InvalidTask, QuantumTask, UnknownDevice, run
from qpu_executors.testing import BELL, ROTATION

from . import functions as f


def test_a_session_runs_circuits_on_one_qpu(client: Client) -> None:
    with session(client, "tag:ion", shots=20) as qpu:
        results = [qpu.run(BELL), qpu.run(QuantumTask(BELL), shots=5)]
        assert {result.device_id for result in results} == {qpu.device_id}
        assert [f.shots_of(result) for result in results] == [20, 5]


def test_its_errors_are_those_of_the_device_and_do_not_end_it(client: Client) -> None:
    with session(client, "sv0") as qpu:
        with pytest.raises(InvalidTask, match="2 columns"):
            qpu.run(ROTATION, parameter_values=[1.0, 2.0])
        with pytest.raises(UnknownDevice, match="sv0"):
            qpu.run(BELL, device_id="ion0")
        assert qpu.run(BELL).device_id == "sv0"


def test_nothing_else_runs_on_its_qpu_meanwhile(client: Client) -> None:
    with session(client, "ion0") as qpu:
        other = quantum_app(device="ion0")(f.bell)()
        ended = max(qpu.run(BELL).ended_at for _ in range(3))
        assert not other.done()
    assert other.result(timeout=30).started_at >= ended


def test_sessions_spread_over_the_qpus(client: Client) -> None:
    with session(client, "tag:ion") as one, session(client, "tag:ion") as other:
        assert {one.device_id, other.device_id} == {"ion0", "ion1"}


def test_a_session_for_a_qpu_that_does_not_exist_or_is_not_free(client: Client) -> None:
    with pytest.raises(UnknownDevice, match="ion9"), session(client, "ion9"):
        pass
    with (
        session(client, "ion0"),
        pytest.raises(TimeoutError, match=r"'ion0' was free .* 0\.2 s"),
        session(client, "ion0", timeout=0.2),
    ):
        pass
    with session(client, "ion0", timeout=30) as qpu:
        assert qpu.run(BELL).device_id == "ion0"


def test_a_session_ends_with_an_error_in_its_block(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), session(client, "ion0"):
        raise ZeroDivisionError
    assert quantum_app(device="ion0")(f.bell)().result(timeout=30).device_id == "ion0"


def test_a_pool_gives_way_to_other_tasks_and_comes_back(client: Client) -> None:
    with pool(client, "ion0") as qpus:
        mine = [qpus.submit(run, QuantumTask(BELL, shots=5)) for _ in range(20)]
        mine[0].result(timeout=30)
        theirs = quantum_app(device="ion0")(f.bell)().result(timeout=30)
        started = [future.result(timeout=30).started_at for future in mine]
        assert min(started) < theirs.started_at < max(started)


def test_an_idle_pool_gives_its_qpu_at_once_to_who_wants_it(client: Client) -> None:
    with pool(client, "ion0", linger_s=20) as qpus:
        qpus.submit(run, QuantumTask(BELL)).result(timeout=30)
        clock = time.perf_counter()
        quantum_app(device="ion0")(f.bell)().result(timeout=30)
        assert time.perf_counter() - clock < 5


def test_a_qpu_is_given_back_when_there_is_nothing_to_do(client: Client) -> None:
    with pool(client, "ion0", linger_s=0.05) as qpus:
        qpus.submit(run, QuantumTask(BELL)).result(timeout=30)
        deadline = time.monotonic() + 10
        while any(client.processing().values()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert qpus.submit(run, QuantumTask(BELL)).result(timeout=30).device_id == "ion0"


def test_two_pools_and_an_app_never_run_on_a_qpu_at_once(client: Client) -> None:
    app = quantum_app(device="ion0")(f.bell)
    with pool(client, "ion0") as one, pool(client, "any") as two:
        futures = [p.submit(run, QuantumTask(BELL, device_id="ion0")) for p in (one, two) for _ in range(8)]
        futures += [app() for _ in range(4)]  # type: ignore[misc]
        results = [future.result(timeout=60) for future in futures]  # the emulated QPU would raise DeviceBusy
    assert {result.device_id for result in results} == {"ion0"}


def test_a_task_may_be_made_by_another_call_and_goes_where_it_says(client: Client) -> None:
    with pool(client) as qpus, cpu_pool(client) as cpus:
        made = [cpus.submit(QuantumTask, BELL, device_id=name) for name in ("ion1", "sv0", "ion9")]
        one, two, three = (qpus.submit(run, task) for task in made)
        assert (one.result(timeout=30).device_id, two.result(timeout=30).device_id) == ("ion1", "sv0")
        with pytest.raises(UnknownDevice, match="ion9"):
            three.result(timeout=30)
        qpus.submit(run, cpus.submit(QuantumTask, BELL))
        qpus.shutdown()


def test_tasks_that_dask_moves_to_an_idle_qpu_are_not_called_repeated(client: Client) -> None:
    quick, slow = (quantum_app(device="tag:ion")(function) for function in (f.bell, f.adaptive))
    blocker = slow(rounds=30)  # one second
    futures = [quick() for _ in range(12)]
    results = [future.result(timeout=60) for future in futures]
    assert not any("attempts" in result.metadata for result in results)
    assert blocker.result(timeout=60)


def test_many_threads_submit_to_one_pool(client: Client) -> None:
    with pool(client) as qpus, ThreadPoolExecutor(8) as threads:
        results = list(
            threads.map(lambda _: qpus.submit(run, QuantumTask(BELL, shots=3)).result(timeout=60), range(60))
        )
    assert {f.shots_of(result) for result in results} == {3}


def test_a_callback_may_submit_the_next_task(client: Client) -> None:
    done = threading.Event()
    left = iter(range(10))

    with pool(client, "sv0") as qpus:

        def next_one(_: object) -> None:
            if next(left, None) is None:
                done.set()
            else:
                qpus.submit(run, QuantumTask(BELL, shots=3)).add_done_callback(next_one)

        next_one(None)
        assert done.wait(30)


def test_shutdown_can_cancel_what_waits(client: Client) -> None:
    qpus = pool(client, "ion0")
    futures = [qpus.submit(run, QuantumTask(BELL, shots=3)) for _ in range(30)]
    futures[0].result(timeout=30)
    qpus.shutdown(cancel_futures=True)
    assert all(future.done() for future in futures)
    assert any(future.cancelled() for future in futures)
