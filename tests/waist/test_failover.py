"""A QPU goes offline: what may run elsewhere does, and its result says so."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest

import conqure
from qpu_executors import (
    QPU,
    DeviceFault,
    DeviceLost,
    FailoverPool,
    InvalidSite,
    InvalidTask,
    QPUThreadPool,
    QuantumTask,
    Site,
    UnknownDevice,
    run,
)
from qpu_executors.testing import BELL, gates

from .vendor import Vendor

ION0 = QPU("ion0", "fake", 5, tags=("ion",), options={"failures": 1000})
ION1 = QPU("ion1", "fake", 5, tags=("ion",))
LARGE = QPU("large", "fake", 9, tags=("ion",))
SMALL = QPU("small", "fake", 4, tags=("ion",))
CLOSED = QPU("ion0", "vendor", 5, tags=("ion",), options={"url": "http://127.0.0.1:9"})


def standing_in(qpu: QPU, *names: str) -> QPU:
    return QPU(qpu.device_id, qpu.driver, qpu.n_qubits, tags=qpu.tags, options=qpu.options, failover=names)


@contextmanager
def pool(*qpus: QPU) -> Iterator[FailoverPool]:
    with QPUThreadPool(qpus) as threads:
        yield FailoverPool(threads)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("device_id", ["any", "tag:ion", "qubits>=5"])
def test_a_task_with_a_selector_runs_on_an_equivalent_qpu(device_id: str) -> None:
    with pool(ION0, SMALL, ION1) as qpus:
        result = qpus.submit(run, QuantumTask(BELL, device_id=device_id, shots=10)).result()
    assert result.device_id == "ion1"
    assert result.metadata["failed_over_from"] == "ion0"
    assert result.metadata["failed_over_because"].startswith("DeviceFault: device 'ion0' failed")


def test_the_smallest_qpu_that_is_as_large_stands_in() -> None:
    with pool(ION0, SMALL, LARGE, ION1) as qpus:
        assert qpus.submit(run, QuantumTask(BELL, device_id="tag:ion")).result().device_id == "ion1"
    with pool(ION0, SMALL) as qpus, pytest.raises(DeviceFault, match="device 'ion0' failed"):
        qpus.submit(run, QuantumTask(BELL, device_id="tag:ion")).result()


def test_a_task_that_names_its_qpu_gets_the_error_unless_the_site_says_who_stands_in() -> None:
    with pool(ION0, ION1) as qpus, pytest.raises(DeviceFault, match="device 'ion0' failed"):
        qpus.submit(run, QuantumTask(BELL, device_id="ion0")).result()
    with pool(standing_in(ION0, "large"), ION1, LARGE) as qpus:
        result = qpus.submit(run, QuantumTask(BELL, device_id="ion0")).result()
    assert (result.device_id, result.metadata["failed_over_from"]) == ("large", "ion0")


def test_a_qpu_that_cannot_be_opened_is_offline(vendor: Vendor) -> None:
    with pool(CLOSED, ION1) as qpus:
        results = [qpus.submit(run, QuantumTask(BELL, device_id="tag:ion")).result() for _ in range(4)]
    assert {result.device_id for result in results} == {"ion1"}
    assert "does not answer" in results[0].metadata["failed_over_because"]
    assert "failed_over_from" not in results[1].metadata, "it is not tried again for every task"


def test_a_qpu_that_is_there_again_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qpu_executors.failover.OFFLINE_S", 0.0)
    mended = QPU("ion0", "fake", 5, options={"failures": 3})
    with pool(mended, ION1) as qpus:
        ran_on = [qpus.submit(run, QuantumTask(BELL)).result().device_id for _ in range(4)]
    assert ran_on == ["ion1", "ion1", "ion1", "ion0"]


def test_if_every_stand_in_fails_too_the_error_is_that_of_the_first() -> None:
    broken = QPU("ion1", "fake", 5, options={"failures": 1000})
    with pool(ION0, broken) as qpus, pytest.raises(DeviceFault, match="device 'ion0' failed") as failed:
        qpus.submit(run, QuantumTask(BELL)).result()
    assert "device 'ion1' failed" in failed.value.__notes__[0]


def test_what_is_wrong_with_the_task_is_no_reason_to_run_it_elsewhere() -> None:
    with pool(ION1, LARGE) as qpus:
        with pytest.raises(InvalidTask):
            qpus.submit(run, QuantumTask(gates(9, ["h", [8]]), device_id="tag:ion,qubits>=5")).result()
        with pytest.raises(UnknownDevice):
            qpus.submit(run, QuantumTask(BELL, device_id="ion7"))


def test_it_is_a_pool_like_the_one_it_wraps() -> None:
    with pool(QPU("slow", "fake", 5, options={"delay_s": 0.2}), LARGE) as qpus:
        running, *waiting = [qpus.submit(run, QuantumTask(BELL, device_id="slow")) for _ in range(2)]
        assert waiting[0].cancel()
        assert waiting[0].cancelled()
        assert running.result().device_id == "slow"
        assert qpus.submit(max, 1, 2).result() == 2
        with qpus.session("large") as session:
            assert session.run(QuantumTask(BELL)).device_id == "large"
        both = [qpus.submit(run, QuantumTask(BELL)) for _ in range(4)]
        assert {future.result().device_id for future in both} <= {"slow", "large"}
        late = qpus.submit(run, QuantumTask(BELL, device_id="any"))
        assert late.exception() is None


class TestATaskThatAMachineHas:
    """Two machines that bill: the task is with one of them, and no other one gets it."""

    def test_is_waited_for_there_when_the_machine_comes_back(self, vendor: Vendor) -> None:
        vendor.behave(hold=True)
        with pool(vendor.qpu("ion0"), vendor.qpu("ion1")) as qpus:
            future = qpus.submit(run, QuantumTask(BELL, shots=10))
            until(lambda: vendor.submissions)
            vendor.behave(offline=True)
            with pytest.raises(DeviceFault, match="answers 503") as failed:
                future.result(60)
            vendor.behave(offline=False)
        assert "'ion0' has the task, as 'job-1'" in failed.value.__notes__[0]
        assert vendor.submissions == 1

    def test_runs_elsewhere_if_the_machine_gave_it_up(self, vendor: Vendor) -> None:
        vendor.behave(fail=1)
        with pool(vendor.qpu("ion0"), vendor.qpu("ion1")) as qpus:
            result = qpus.submit(run, QuantumTask(BELL, shots=10)).result(60)
        assert (result.device_id, result.metadata["failed_over_from"]) == ("ion1", "ion0")
        assert vendor.shots_billed == 10


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads", "parsl", "dask"])
def test_every_engine_fails_over(engine: str, tmp_path: Path) -> None:
    options = {"run_dir": str(tmp_path), "retries": 0} if engine == "parsl" else {}
    site = Site("two", (standing_in(ION0, "ion1"), ION1), cpu_workers=1)
    with conqure.open_engine(engine, site, **options) as opened:
        named = opened.qpus.submit(run, QuantumTask(BELL, device_id="ion0")).result(60)
        results = [opened.qpus.submit(run, QuantumTask(BELL, device_id="tag:ion")).result(60) for _ in range(4)]
    assert (named.device_id, named.metadata["failed_over_from"]) == ("ion1", "ion0")
    assert {result.device_id for result in results} == {"ion1"}


@pytest.mark.slow
def test_a_worker_that_is_killed_is_a_qpu_that_is_lost() -> None:
    slow = QPU("ion0", "fake", 5, options={"delay_s": 30}, failover=("ion1",))
    impatient = {"distributed.deploy.lost-worker-timeout": "50ms"}
    with dask.config.set(impatient), conqure.open_engine("dask", Site("two", (slow, ION1), cpu_workers=1)) as opened:
        future = opened.qpus.submit(run, QuantumTask(BELL, device_id="ion0"))
        until(future.running)
        time.sleep(0.3)
        cluster = opened.qpus.client.cluster
        os.kill(cluster.workers["ion0"].process.pid, signal.SIGKILL)
        result = future.result(60)
    assert result.device_id == "ion1"
    assert result.metadata["failed_over_because"].startswith(DeviceLost.__name__)


def test_the_site_file_says_who_stands_in(tmp_path: Path) -> None:
    text = '[qpu.ion0]\ndriver = "fake"\nqubits = 5\nfailover = ["ion1"]\n[qpu.ion1]\ndriver = "fake"\nqubits = {}\n'
    path = tmp_path / "site.toml"
    path.write_text(text.format(5))
    site = Site.load(path)
    assert site.qpu("ion0").failover == ("ion1",)
    assert site.describe()["qpus"][0]["failover"] == ("ion1",)
    path.write_text(text.format(4))
    with pytest.raises(InvalidSite, match="line 4: 'qpu.ion0.failover' names 'ion1', which has fewer qubits"):
        Site.load(path)
    path.write_text(text.replace('["ion1"]', '["ion2"]').format(5))
    with pytest.raises(InvalidSite, match=r"names no other QPU of this file: 'ion2'. Did you mean 'ion1'\?"):
        Site.load(path)
