"""A worker is killed: what ran there is not repeated silently, and everything else goes on."""

import os
import signal
import time
from collections.abc import Iterator

import dask
import pytest
from distributed import Client, wait

from conqure_dask import QPUCluster, cluster, cpu_pool, pool, quantum_app, session
from qpu_executors import QPU, DeviceLost, QuantumTask, Site, run
from qpu_executors.testing import BELL

from . import functions as f

pytestmark = pytest.mark.slow  # each waits for a new worker

SLOW = QPU("slow0", "emulated", 5, options={"driver": "fake", "job_s": 0.5})


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[QPUCluster]:
    impatient = {"distributed.deploy.lost-worker-timeout": "50ms"}  # Dask gives up a nanny whose worker is away by then
    with dask.config.set(impatient), cluster(Site("lossy", (SLOW,), cpu_workers=1)) as started:
        yield started


@pytest.fixture
def client(own_cluster: QPUCluster) -> Iterator[Client]:
    with Client(own_cluster) as connected:
        yield connected
        assert quantum_app(f.bell)().result(timeout=60), "the QPU is back for the next test"


def kill(cluster: QPUCluster, worker: str) -> None:
    process = cluster.workers[worker].process
    os.kill(process.pid, signal.SIGKILL)


def await_start(client: Client) -> None:
    """Until something runs on the QPU worker."""
    while not any("slow0" in str(name) for name in _busy(client)):
        time.sleep(0.02)
    time.sleep(0.1)


def _busy(client: Client) -> list[str]:
    workers = client.scheduler_info()["workers"]
    return [workers[address]["name"] for address, keys in client.processing().items() if keys and address in workers]


def test_a_result_that_is_lost_and_computed_again_says_so(client: Client, own_cluster: QPUCluster) -> None:
    future = quantum_app(f.bell)()
    wait(future, timeout=60)
    kill(own_cluster, "slow0")
    result = future.result(timeout=60)
    assert result.metadata["attempts"] == 2
    assert quantum_app(f.bell)().result(timeout=60).metadata.get("attempts") is None


def test_a_call_that_was_running_is_repeated_and_says_so(client: Client, own_cluster: QPUCluster) -> None:
    future = quantum_app(f.bell)()
    await_start(client)
    kill(own_cluster, "slow0")
    assert future.result(timeout=60).metadata["attempts"] == 2


def test_a_pool_reports_the_loss_and_does_not_repeat(client: Client, own_cluster: QPUCluster) -> None:
    with pool(client) as qpus:
        lost, waits = (qpus.submit(run, QuantumTask(BELL)) for _ in range(2))
        await_start(client)
        kill(own_cluster, "slow0")
        clock = time.perf_counter()
        with pytest.raises(DeviceLost, match=r"'slow0'.*retries"):
            lost.result(timeout=60)
        assert time.perf_counter() - clock < 5
        assert "attempts" not in waits.result(timeout=60).metadata


def test_a_pool_with_retries_repeats_and_says_so(client: Client, own_cluster: QPUCluster) -> None:
    with pool(client, retries=1) as qpus:
        future = qpus.submit(run, QuantumTask(BELL))
        await_start(client)
        kill(own_cluster, "slow0")
        assert future.result(timeout=60).metadata["attempts"] == 2


def test_an_idle_pool_survives_the_loss_of_its_worker(client: Client, own_cluster: QPUCluster) -> None:
    with pool(client, linger_s=30) as qpus:
        qpus.submit(run, QuantumTask(BELL)).result(timeout=60)
        kill(own_cluster, "slow0")
        time.sleep(0.2)
        assert qpus.submit(run, QuantumTask(BELL)).result(timeout=60)


def test_a_session_ends_with_its_worker(client: Client, own_cluster: QPUCluster) -> None:
    with session(client) as qpu:
        qpu.run(BELL)
        kill(own_cluster, "slow0")
        with pytest.raises(DeviceLost):
            qpu.run(BELL)


def test_a_result_that_the_pool_has_is_not_lost_with_a_worker(client: Client, own_cluster: QPUCluster) -> None:
    with pool(client) as qpus, cpu_pool(client) as cpus:
        future = qpus.submit(run, QuantumTask(BELL))
        wait_for = future.result(timeout=60)
        kill(own_cluster, "slow0")
        assert cpus.submit(f.shots_of, future).result(timeout=60) == f.shots_of(wait_for)


def test_a_passing_fault_of_the_device_is_retried_if_asked_for() -> None:
    flaky = QPU("flaky0", "fake", 3, options={"failures": 2})
    site = Site("flaky", (flaky,), cpu_workers=1)
    with cluster(site) as started, Client(started) as client, pool(client, retries=2) as qpus:
        result = qpus.submit(run, QuantumTask(BELL)).result(timeout=60)
    assert result.metadata["attempts"] == 3
