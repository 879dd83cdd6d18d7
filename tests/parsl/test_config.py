"""`parsl_config`, `pool` and `open_engine`, and the fallback on stock HTEX."""

import os
import signal
import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import parsl
import pytest
from parsl.executors import HighThroughputExecutor
from parsl.executors.errors import InvalidResourceSpecification
from parsl.executors.threads import ThreadPoolExecutor

from conqure_parsl import (
    CPUExecutor,
    QPUExecutor,
    QPUThreadExecutor,
    open_engine,
    parsl_config,
    pool,
    quantum_app,
    session,
)
from conqure_parsl.specification import Ticket, placement
from qpu_executors import QPU, InvalidSite, InvalidTask, NotOnQPU, QuantumTask, Site, UnknownDevice, WorkerLost, run
from qpu_executors.testing import BELL, a_thousand, total

from .conftest import QPUS, loaded, until

SITE = Site("test", (QPU("ion0", "fake", 5, options={"delay_s": 0.1}), QPU("ion1", "fake", 7)), cpu_workers=1)


@quantum_app
def bell() -> str:
    return BELL


@quantum_app
def where(qpu: Any) -> tuple[str, int]:
    import os

    return qpu.device_id, os.getpid()


# The configuration


def test_the_whole_configuration_comes_from_the_site() -> None:
    config = parsl_config(SITE)
    quantum, cpu = config.executors
    assert isinstance(quantum, QPUExecutor)
    assert quantum.qpus == list(SITE.qpus)
    assert quantum.classical is cpu
    assert isinstance(cpu, CPUExecutor)
    assert cpu.workers == 1
    assert isinstance(parsl_config(SITE, cpu_mode="htex").executors[1], HighThroughputExecutor)
    assert (config.initialize_logging, config.usage_tracking, config.retries) == (False, 0, 2)
    assert [type(each) for each in parsl_config(SITE, qpu_mode="threads", cpu_workers=0).executors] == [
        QPUThreadExecutor
    ]


def test_a_configuration_can_be_printed() -> None:
    assert "ion0" in repr(parsl_config(SITE))
    assert "ion0" in repr(parsl_config(SITE, qpu_mode="htex"))


def test_an_unknown_mode_names_the_choices() -> None:
    with pytest.raises(InvalidSite, match="threads, workers, htex"):
        parsl_config(SITE, qpu_mode="cloud")
    with pytest.raises(InvalidSite, match="workers, htex"):
        parsl_config(SITE, cpu_mode="cloud")


def test_the_shipped_site_is_the_default() -> None:
    assert len(parsl_config().executors[0].qpus) == 6


def test_an_executor_that_was_not_loaded_says_so() -> None:
    for executor in (QPUExecutor(qpus=QPUS), QPUThreadExecutor(qpus=QPUS)):
        with pytest.raises(RuntimeError, match="has not started"):
            executor.submit(run, {}, QuantumTask(BELL))


def test_a_parsl_without_qpus_says_what_to_add() -> None:
    config = parsl.Config([ThreadPoolExecutor()], initialize_logging=False, run_dir=parsl_config(SITE).run_dir)
    with parsl.load(config) as dfk:
        with pytest.raises(NotOnQPU, match="parsl_config"):
            bell()
        with pytest.raises(NotOnQPU, match="parsl_config"):
            pool(dfk)


# The resource specification


def test_what_makes_a_task_quantum() -> None:
    assert placement({}, print, ()) is None
    assert placement({"priority": 3.0, "cores": 2}, print, ()) is None
    assert placement({"device_id": "ion0"}, print, ()).device_id == "ion0"  # type: ignore[union-attr]
    task = QuantumTask(BELL, device_id="tag:x", priority="HIGH")  # type: ignore[arg-type]
    found = placement(None, run, (task,))
    assert found is not None
    assert (found.device_id, found.priority) == ("tag:x", "HIGH")


def test_a_specification_with_an_unknown_key_names_those_that_are_known() -> None:
    with pytest.raises(InvalidResourceSpecification, match="device_id, priority, session"):
        placement({"device": "ion0"}, print, ())


def test_a_task_that_was_cancelled_before_it_was_launched_is_not_launched() -> None:
    ticket = Ticket()
    assert ticket.cancel()
    with pytest.raises(CancelledError):
        ticket.launched(None)


# The engine


@pytest.mark.slow
def test_an_engine_has_a_pool_of_qpus_and_a_pool_of_classical_workers() -> None:
    @parsl.python_app
    def bare() -> int:
        import os

        return os.getpid()

    with open_engine(SITE, qpu_mode="workers") as (qpus, cpus):
        one, two = qpus.submit(run, QuantumTask(BELL, shots=4)), cpus.submit(a_thousand)
        assert cpus.submit(total, [two, two], more=two).result() == 3000
        assert cpus.submit(number_of_shots, one).result() == 4
        assert qpus.submit(a_thousand, cpus.submit(a_thousand)).result() == 2000
        with pytest.raises(NotOnQPU, match="holds no QPU"):
            cpus.submit(run, QuantumTask(BELL)).result()
        waiting = [cpus.submit(sleep_a_moment) for _ in range(3)]
        assert waiting[-1].cancel()
        assert [future.result() for future in waiting[:-1]] == [None, None]
        with pytest.raises(WorkerLost, match="exit code was 5"):
            cpus.submit(die).result()
        on_qpus = {where(device=qpu.device_id).result()[1] for qpu in SITE.qpus}
        assert {bare().result() for _ in range(10)}.isdisjoint(on_qpus)  # neither by lot


def sleep_a_moment() -> None:
    time.sleep(0.1)


def die() -> None:
    os._exit(5)


def number_of_shots(result: Any) -> int:
    shots: int = result.shots
    return shots


def test_a_waiting_call_that_depends_on_another_can_be_cancelled() -> None:
    with open_engine(SITE, qpu_mode="threads", cpu_workers=0) as (qpus, _):
        gate = threading.Event()
        first = qpus.submit(gate.wait, 10)
        until(first.running)
        second = qpus.submit(a_thousand, first)
        assert second.cancel()
        assert second.cancelled()
        assert not first.cancel()
        assert first.running()
        gate.set()
        assert first.result()
        assert first.done()
        assert not first.running()


def test_shutting_a_pool_down_cancels_what_waits_and_leaves_parsl_running() -> None:
    with loaded(SITE.qpus[:1], qpu_mode="threads") as dfk:
        qpus = pool(dfk)
        futures = [qpus.submit(run, QuantumTask(BELL, shots=1)) for _ in range(6)]
        qpus.shutdown(cancel_futures=True)
        assert any(future.cancelled() for future in futures)
        assert bell().result()


def test_an_engine_leaves_the_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with open_engine(SITE, qpu_mode="threads", cpu_workers=0):
        pass
    assert signal.getsignal(signal.SIGTERM) is before


# Stock HTEX


@pytest.mark.slow
def test_the_same_apps_run_on_stock_htex_pinned_to_qpus() -> None:
    with loaded(SITE.qpus, qpu_mode="htex") as dfk:
        blockers = [bell(device="ion0", shots=1) for _ in range(3)]
        waiting = [bell(device="ion0", shots=1, priority=level) for level in ("LOW", "MEDIUM", "HIGH")]
        assert bell(device="ion1").result().device_id == "ion1"
        assert {where(device="ion1").result()[0] for _ in range(3)} == {"ion1"}
        task = QuantumTask(BELL, shots=2, device_id="qubits>=6")
        assert pool(dfk).submit(run, task).result().device_id == "ion1"
        with pytest.raises(UnknownDevice, match="'ion0'"):
            bell(device="ion9")
        with session("ion1") as here:
            assert where().result()[0] == here.qpu.device_id
        with pytest.raises(InvalidTask, match="hold"), session("ion1", hold=True):
            pass
        low, medium, high = (future.result().started_at for future in waiting)
        assert high < medium < low
        assert all(future.result().device_id == "ion0" for future in blockers)
        with pytest.raises(NotOnQPU):
            dfk.submit(a_thousand, [], ["qpu-ion0"], cache=False, ignore_for_cache=None, app_kwargs={}).result()
