"""The classical pool of the threads engine: the standard library's contract, and futures as arguments."""

import threading
import time
from concurrent.futures import CancelledError, Future, wait

import pytest

from conqure.cpu_threads import CPUThreadPool
from qpu_executors import InvalidTask
from qpu_executors.testing import a_thousand, fail, total


@pytest.fixture
def gate():
    """Calls of `gate.wait` block until `gate.set()`; opened at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_comes_back_and_an_error_keeps_its_type():
    with CPUThreadPool(2) as pool:
        assert pool.submit(a_thousand, x=1).result(timeout=10) == 1001
        with pytest.raises(InvalidTask, match="too bad"):
            pool.submit(fail, "too bad").result(timeout=10)
        assert list(pool.map(a_thousand, range(3), timeout=10)) == [1000, 1001, 1002]


def test_futures_are_accepted_as_arguments_also_inside_lists_and_from_elsewhere():
    elsewhere: Future[int] = Future()
    with CPUThreadPool(1) as pool:
        first = pool.submit(a_thousand)
        last = pool.submit(total, [first, elsewhere], more=first)
        elsewhere.set_result(1)
        assert last.result(timeout=10) == 2001


def test_an_argument_that_failed_or_was_cancelled_fails_the_call():
    cancelled: Future[int] = Future()
    cancelled.cancel()
    with CPUThreadPool(1) as pool:
        with pytest.raises(InvalidTask, match="too bad"):
            pool.submit(total, [pool.submit(fail, "too bad")]).result(timeout=10)
        with pytest.raises(CancelledError):
            pool.submit(a_thousand, cancelled).result(timeout=10)


def test_a_chain_of_a_thousand_links_runs_on_one_thread():
    with CPUThreadPool(1) as pool:
        link = pool.submit(total, [0])
        for _ in range(1000):
            link = pool.submit(total, [link, 1])
        assert link.result(timeout=30) == 1000


def test_a_waiting_call_can_be_cancelled_and_a_running_one_cannot(gate):
    with CPUThreadPool(1) as pool:
        running, started = pool.submit(gate.wait, 10), time.monotonic()
        waiting = pool.submit(a_thousand)
        dependent = pool.submit(a_thousand, waiting)
        while not running.running() and time.monotonic() < started + 10:
            time.sleep(0.001)
        assert not running.cancel()
        assert waiting.cancel()
        gate.set()
        with pytest.raises(CancelledError):
            dependent.result(timeout=10)
        assert running.result(timeout=10)


def test_what_was_accepted_before_shutdown_is_done():
    elsewhere: Future[int] = Future()
    pool = CPUThreadPool(1)
    dependent = pool.submit(a_thousand, elsewhere)
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(a_thousand)
    elsewhere.set_result(5)
    assert dependent.result(timeout=10) == 1005


def test_shutdown_waits_for_calls_that_wait_for_their_arguments():
    elsewhere: Future[int] = Future()
    pool = CPUThreadPool(1)
    dependent = pool.submit(a_thousand, elsewhere)
    threading.Timer(0.05, elsewhere.set_result, [1]).start()
    pool.shutdown()
    assert dependent.done()
    assert dependent.result() == 1001


def test_shutdown_can_cancel_what_waits(gate):
    elsewhere: Future[int] = Future()
    pool = CPUThreadPool(1)
    running = pool.submit(gate.wait, 10)
    waiting = [pool.submit(a_thousand), pool.submit(a_thousand, elsewhere)]
    while not running.running():
        time.sleep(0.001)
    threading.Timer(0.05, gate.set).start()
    pool.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    assert running.result() is True


def test_no_thread_is_left_after_shutdown():
    before = threading.active_count()
    with CPUThreadPool(3) as pool:
        wait([pool.submit(a_thousand) for _ in range(10)])
    assert threading.active_count() <= before
