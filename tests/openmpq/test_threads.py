"""Many threads at once, and programs that end while circuits are in flight."""

import pytest

from openmpq_runtime import Bridge, Tally, serve
from qpu_executors import QPU, QPUThreadPool

from .compiling import CLANG, GCC, Compiler, checks, run
from .conftest import SIX

pytestmark = pytest.mark.slow


def test_64_threads_get_their_own_answers(compiler: Compiler) -> None:
    """Half of them are OpenMP's, half are not; 3,840 circuits, each with an answer that only it has."""
    with QPUThreadPool(SIX) as pool:
        tally = Tally(pool.qpus)
        with serve(pool, observers=[tally]) as bridge:
            done = run(compiler.compile("stress.cpp"), bridge.environment(), "64", "10")
    assert checks(done) == ["3840 offloads: 0 wrong"]
    assert not done.stderr
    assert (tally.tasks, tally.failures) == (64 * 10 * 6, 0)


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_a_program_may_end_while_circuits_are_in_flight(compiler: Compiler) -> None:
    slow = QPU("slow0", "emulated", 7, options={"driver": "statevector", "job_s": 0.2})
    with QPUThreadPool([slow]) as pool, serve(pool, grace_s=0.1) as bridge:
        done = run(compiler.compile("asynchronous.cpp"), bridge.environment(), "400", "leave", timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, "submitted\n", "")


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_a_circuit_may_be_gone_before_its_answer_is_there(compiler: Compiler, six: Bridge) -> None:
    done = run(compiler.compile("asynchronous.cpp"), six.environment(), "600")
    assert done.stdout.splitlines() == ["submitted", *["ok "] * 600]
