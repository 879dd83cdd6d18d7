"""The thread pool whose threads hold QPUs keeps the pools' contract."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from qpu_executors import QPU, DeviceFault, QPUThreadPool, QuantumTask, current_qpu, run
from qpu_executors.testing import BELL, CONTRACT_QPUS, PoolContract, a_thousand, fail


def device_here():
    return current_qpu().qpu.device_id


class TestQPUThreadPool(PoolContract):
    open_pool = staticmethod(QPUThreadPool)

    def test_functions_run_in_a_thread_that_holds_a_qpu(self, pool):
        assert pool.submit(device_here).result(timeout=10) in {qpu.device_id for qpu in CONTRACT_QPUS}

    def test_a_session_stays_on_its_device(self, pool):
        with pool.session("tag:ion") as session:
            results = [session.run(QuantumTask(BELL, shots=5)) for _ in range(3)]
        assert {result.device_id for result in results} == {session.device_id}


def test_a_held_device_is_for_its_session_alone_until_it_ends():
    with QPUThreadPool([QPU("sv0", "statevector", 5)]) as pool:
        with pool.session(hold=True) as session:
            other = pool.submit(run, QuantumTask(BELL))
            assert session.run(QuantumTask(BELL)).device_id == "sv0"
            assert not other.done()
        assert other.result(timeout=10).device_id == "sv0"


def test_slots_run_that_many_tasks_at_once():
    barrier = threading.Barrier(3)  # passes only when three threads are inside at once
    with QPUThreadPool([QPU("sv0", "statevector", 5, slots=3)]) as pool:
        futures = [pool.submit(barrier.wait, 10) for _ in range(3)]
        assert sorted(future.result(timeout=10) for future in futures) == [0, 1, 2]


def test_a_device_that_does_not_open_fails_the_task_and_not_the_pool():
    with QPUThreadPool([QPU("bad", "statevector", 5, options={"colour": 1}), QPU("good", "statevector", 5)]) as pool:
        with pytest.raises(Exception, match="colour"):
            pool.submit(run, QuantumTask(BELL, device_id="bad")).result(timeout=10)
        assert pool.submit(run, QuantumTask(BELL, device_id="good")).result(timeout=10).device_id == "good"


def test_a_passing_fault_is_marked_as_such():
    with QPUThreadPool([QPU("f", "fake", 5, options={"failures": 1})]) as pool:
        with pytest.raises(DeviceFault) as caught:
            pool.submit(run, QuantumTask(BELL)).result(timeout=10)
        assert caught.value.transient
        assert pool.submit(run, QuantumTask(BELL)).result(timeout=10).counts == ({"00": 1024},)


def test_shutdown_waits_for_calls_whose_arguments_are_not_there_yet():
    pool = QPUThreadPool([QPU("sv0", "statevector", 5)])
    slow = pool.submit(time.sleep, 0.1)
    after = pool.submit(bool, slow)
    pool.shutdown()
    assert after.result(timeout=0) is False
    assert not any(slot.is_alive() for slot in pool._slots)


def test_shutdown_can_cancel_what_waits():
    pool = QPUThreadPool([QPU("sv0", "statevector", 5)])
    running = pool.submit(time.sleep, 0.2)
    while not running.running():
        time.sleep(0.001)
    waiting = [pool.submit(a_thousand) for _ in range(3)]
    pool.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    assert running.done()


def test_a_failed_argument_does_not_keep_the_pool_from_ending():
    pool = QPUThreadPool([QPU("sv0", "statevector", 5)])
    future = pool.submit(a_thousand, pool.submit(fail, "no"))
    pool.shutdown()
    with pytest.raises(Exception, match="no"):
        future.result(timeout=0)


def test_many_submitters_at_once_lose_nothing():
    with QPUThreadPool([QPU("a", "fake", 5), QPU("b", "fake", 5)]) as pool:
        futures, lock = [], threading.Lock()

        def submit_some():
            for _ in range(200):
                future = pool.submit(run, QuantumTask(BELL, shots=1))
                with lock:
                    futures.append(future)

        threads = [threading.Thread(target=submit_some) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({future.result(timeout=20).task_id for future in futures}) == 1000


def test_who_waits_for_a_result_lends_its_thread_and_the_qpu_stays_exclusive():
    qpus = [QPU(f"ion{i}", "emulated", 5, options={"job_s": 0.002}) for i in range(2)]
    with QPUThreadPool(qpus) as pool:

        def loop() -> list[int]:  # the emulated QPU raises DeviceBusy if two threads use it at once
            for _ in range(25):
                pool.submit(run, QuantumTask(BELL, shots=1)).result()
            return [pool.submit(threading.get_ident).result() for _ in range(25)]

        here = loop()
        with ThreadPoolExecutor(4) as users:
            everywhere = [future.result() for future in [users.submit(loop) for _ in range(4)]]
    assert threading.get_ident() in here
    assert all(len(idents) == 25 for idents in everywhere)


@pytest.mark.slow
def test_an_interrupt_in_a_lent_thread_reaches_who_waits_and_the_slot_goes_on():
    def interrupt():
        raise KeyboardInterrupt

    with QPUThreadPool([QPU("sv0", "statevector", 5)]) as pool:
        pool.submit(run, QuantumTask(BELL)).result()  # opens the device, so that threads may be lent
        for _ in range(20):
            with pytest.raises(KeyboardInterrupt):
                pool.submit(interrupt).result()
        assert pool.submit(run, QuantumTask(BELL)).result(timeout=10).device_id == "sv0"
