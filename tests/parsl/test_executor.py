"""`QPUExecutor` with real worker processes: exclusivity, crashes, devices that cannot be opened, blocks."""

import itertools
import os
import signal
import time
from typing import Any

import parsl
import pytest
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider

from conqure_parsl import QPUExecutor, pool, quantum_app
from qpu_executors import QPU, DeviceLost, QuantumTask, run
from qpu_executors.testing import BELL

from .conftest import loaded, qpu_executor, until

ION0, ION1 = QPU("ion0", "fake", 5, options={"delay_s": 0.03}), QPU("ion1", "fake", 5, options={"delay_s": 0.03})


def blocks(n: int, **options: Any) -> LocalProvider:
    return LocalProvider(launcher=SimpleLauncher(), init_blocks=n, min_blocks=n, max_blocks=n, **options)


@quantum_app
def bell() -> str:
    return BELL


@quantum_app
def pid(qpu: Any) -> tuple[str, int]:
    import os

    return qpu.device_id, os.getpid()


@quantum_app
def dies(how: str, qpu: Any) -> None:
    import os
    import signal
    import sys

    if how == "exit":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, how))


@quantum_app
def sleeps(seconds: float, qpu: Any) -> tuple[float, float]:
    import time

    started = time.time()
    time.sleep(seconds)
    return started, time.time()


def does_not_overlap(results: list[Any]) -> bool:
    runs = sorted((result.started_at, result.ended_at) for result in results)
    return all(end <= start + 1e-3 for (_, end), (start, _) in itertools.pairwise(runs))


# Who holds what


@pytest.mark.slow
def test_a_qpu_runs_one_task_at_a_time_also_over_several_blocks_and_submitters() -> None:
    with loaded((ION0, ION1), qpu_mode="workers", qpu_provider=blocks(3)) as dfk:
        until(lambda: len(qpu_executor(dfk).list_workers()) == 3, 30)
        assert sorted(worker["device_id"] or "" for worker in qpu_executor(dfk).list_workers()) == ["", "ion0", "ion1"]
        futures = [bell(shots=2) for _ in range(10)]
        futures += [pool(dfk).submit(run, QuantumTask(BELL, shots=2)) for _ in range(10)]
        results = [future.result() for future in futures]  # FakeDevice itself refuses two at once in one process
        for device_id in ("ion0", "ion1"):
            assert does_not_overlap([result for result in results if result.device_id == device_id])


@pytest.mark.slow
def test_a_qpu_with_two_slots_runs_two_tasks_at_a_time() -> None:
    with loaded((QPU("sim", "fake", 5, slots=2),), qpu_mode="workers") as dfk:
        until(lambda: [worker["ready"] for worker in qpu_executor(dfk).list_workers()] == [True, True])
        (start, end), (other_start, other_end) = (future.result() for future in [sleeps(0.5), sleeps(0.5)])
        assert max(start, other_start) < min(end, other_end)


@pytest.mark.slow
def test_with_fewer_workers_than_qpus_every_qpu_is_reached(tmp_path: Any) -> None:
    provider = blocks(1)
    executor = QPUExecutor(qpus=[ION0, ION1], provider=provider, max_workers_per_node=1)
    with parsl.load(parsl.Config([executor], strategy_period=0.2, initialize_logging=False, run_dir=str(tmp_path))):
        names = [pid(device=name).result() for name in ("ion0", "ion1", "ion0", "ion1")]
        assert [name for name, _ in names] == ["ion0", "ion1", "ion0", "ion1"]
        assert len({process for _, process in names}) == 1


@pytest.mark.slow
def test_waiting_lifts_a_task_above_later_ones_of_a_higher_priority() -> None:
    with loaded((ION0,), qpu_mode="workers", executors=[]) as dfk:
        qpu_executor(dfk).broker._leases.queue._aging_s = 0.05
        blocker = sleeps(0.5)
        until(lambda: any(worker["busy"] for worker in qpu_executor(dfk).list_workers()))
        old_low = bell(priority="LOW", shots=1)
        time.sleep(0.2)
        new_high = bell(priority="HIGH", shots=1)
        blocker.result()
        assert old_low.result().started_at < new_high.result().started_at


# Workers that die


@pytest.mark.slow
@pytest.mark.parametrize(("how", "words"), [("exit", "exit code was 7(?s:.*)the last words"), ("SIGKILL", "SIGKILL")])
def test_a_worker_that_dies_fails_its_task_at_once_and_is_started_again(how: str, words: str) -> None:
    with loaded((ION0,), qpu_mode="workers", retries=0) as dfk:
        _, before = pid().result()
        started = time.monotonic()
        with pytest.raises(DeviceLost, match=words) as caught:
            dies(how).result()
        assert time.monotonic() - started < 10  # not at some limit of time
        assert "'ion0'" in str(caught.value)
        assert pid().result()[1] != before
        assert [worker["ready"] for worker in qpu_executor(dfk).list_workers()] == [True]


@pytest.mark.slow
def test_a_task_whose_worker_died_is_tried_again(tmp_path: Any) -> None:
    @quantum_app
    def dies_once(mark: str, qpu: Any) -> str:
        import os

        if not os.path.exists(mark):
            open(mark, "w").close()
            os._exit(1)
        return "survived"

    with loaded((ION0,), qpu_mode="workers", retries=1):
        assert dies_once(str(tmp_path / "mark")).result() == "survived"


@pytest.mark.slow
def test_a_block_that_is_killed_is_replaced_and_its_tasks_tried_again() -> None:
    with loaded((ION0,), qpu_mode="workers", retries=2) as dfk:
        _, worker = pid().result()
        running = sleeps(0.3)
        os.kill(parent_of(worker), signal.SIGKILL)
        running.result()
        assert pid().result()[1] != worker
        assert not qpu_executor(dfk).bad_state_is_set


def parent_of(process: int) -> int:
    import psutil

    return psutil.Process(process).ppid()


# Devices and blocks that do not start


@pytest.mark.slow
def test_a_device_that_cannot_be_opened_fails_its_tasks_with_the_reason_and_not_those_of_others() -> None:
    broken = QPU("broken", "tests.no_such_driver", 5)
    with loaded((broken, ION0), qpu_mode="workers"):
        with pytest.raises(Exception, match="no driver"):
            bell(device="broken").result()
        assert bell(device="any", shots=1).result().device_id == "ion0"


def test_when_no_device_can_be_opened_every_task_is_told_why() -> None:
    with loaded((QPU("broken", "no-such-driver", 5),), qpu_mode="workers") as dfk:
        for _ in range(2):
            with pytest.raises(Exception, match="no driver 'no-such-driver'"):
                bell().result()
        until(lambda: qpu_executor(dfk).bad_state_is_set)
        with pytest.raises(Exception, match="no driver 'no-such-driver'"):
            bell().result()


@pytest.mark.slow
def test_a_block_that_cannot_start_is_reported_with_its_stderr() -> None:
    provider = blocks(1, worker_init="echo the module is not there >&2; exit 3")
    with loaded((ION0,), qpu_mode="workers", qpu_provider=provider), pytest.raises(Exception, match="is not there"):
        bell().result()


# Blocks


@pytest.mark.slow
def test_blocks_come_with_the_tasks_and_go_when_they_idle() -> None:
    provider = LocalProvider(launcher=SimpleLauncher(), init_blocks=0, min_blocks=0, max_blocks=2)
    with loaded((ION0, ION1), qpu_mode="workers", qpu_provider=provider, max_idletime=0.3) as dfk:
        assert qpu_executor(dfk).workers_per_node == 1
        time.sleep(0.5)
        assert qpu_executor(dfk).list_workers() == []
        for future in [sleeps(0.5, device=name) for name in ("ion0", "ion1")]:
            future.result()
        until(lambda: qpu_executor(dfk).list_workers() == [])
        assert bell(shots=1).result()


# Classical apps


@parsl.python_app
def anywhere() -> int:
    import os

    return os.getpid()


def test_a_classical_app_goes_to_the_classical_executor_and_never_to_a_qpu_by_lot(tmp_path: Any) -> None:
    cpu = parsl.ThreadPoolExecutor(label="cpu")
    quantum = QPUExecutor(qpus=[ION0], classical=cpu)
    with parsl.load(parsl.Config([quantum, cpu], strategy_period=0.2, initialize_logging=False, run_dir=str(tmp_path))):
        assert {anywhere().result() for _ in range(20)} == {os.getpid()}


@pytest.mark.slow
def test_a_bash_app_runs_beside_quantum_apps(tmp_path: Any) -> None:
    @parsl.bash_app
    def says(word: str, stdout: str = str(tmp_path / "said")) -> str:
        return f"echo {word}"

    executor = QPUExecutor(qpus=[ION0], classical="run")
    with parsl.load(parsl.Config([executor], strategy_period=0.2, initialize_logging=False, run_dir=str(tmp_path))):
        assert says("hello").result() == 0
        assert (tmp_path / "said").read_text() == "hello\n"
        assert bell(shots=1).result().shots == 1


@pytest.mark.slow
def test_while_workers_are_killed_all_the_time_every_task_is_done_and_no_qpu_runs_two_at_once() -> None:
    qpus = tuple(QPU(f"ion{i}", "fake", 5, options={"delay_s": 0.005}) for i in range(3))
    with loaded(qpus, qpu_mode="workers", retries=20) as dfk:
        bell().result()
        futures = [pool(dfk).submit(run, QuantumTask(BELL, shots=1)) for _ in range(300)]
        for _ in range(10):
            time.sleep(0.05)
            ready = [worker for worker in qpu_executor(dfk).list_workers() if worker["ready"]]
            os.kill(ready[0]["pid"], signal.SIGKILL) if ready else None
        results = [future.result() for future in futures]
        assert all(does_not_overlap([r for r in results if r.device_id == qpu.device_id]) for qpu in qpus)
        until(lambda: qpu_executor(dfk).outstanding() == 0)
