"""Imports that outlive the thread that asked for them."""

import threading

import pytest

from qpu_executors.lasting import in_lasting_thread, keep_loaded

# One of three runs ended in a segmentation fault where an import ran in the thread that needed it.
SHORT_LIVED = """
import threading
from qpu_executors import QPU, QPUThreadPool, QuantumTask, run
from qpu_executors.testing import BELL

for _ in range(3):  # each pool's threads end with it
    with QPUThreadPool([QPU("aer0", "aer", 4, options={"noise": {"one_qubit": 0.01, "two_qubit": 0.01}})]) as pool:
        assert pool.submit(run, QuantumTask(BELL, shots=10)).result().shots == 10
print("alive")
"""


def in_thread(call):
    """The call's result, from a thread that has ended."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(10)
    return found[0]


def test_a_short_lived_thread_lets_one_lasting_thread_load():
    first, second = (in_thread(lambda: in_lasting_thread(threading.current_thread)) for _ in range(2))
    assert first is second
    assert first.is_alive()


def test_the_main_thread_loads_itself():
    assert in_lasting_thread(threading.current_thread) is threading.main_thread()


def test_a_load_may_ask_for_another():
    def nested():
        return in_lasting_thread(threading.current_thread)

    assert in_thread(lambda: in_lasting_thread(nested)).name == "lasting-imports"


def test_an_error_reaches_the_one_who_asked():
    def ask():
        with pytest.raises(ZeroDivisionError):
            in_lasting_thread(lambda: 1 / 0)
        return True

    assert in_thread(ask)


def test_a_package_that_is_not_there_is_no_error_yet():
    in_thread(lambda: keep_loaded("no_such_package"))


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(4))
def test_qiskit_loaded_for_a_pool_that_is_gone_serves_the_next_pool(run_python, attempt):
    assert run_python(SHORT_LIVED) == "alive\n"
