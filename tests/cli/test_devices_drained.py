"""What every engine, the session and the queue do with a QPU that is drained."""

import threading
import time
from dataclasses import replace

import pytest

import conqure as front_door
from conqure.queue.choosing import Chooser
from conqure.queue.history import History
from conqure.queue.memory import MemoryStore
from conqure.queue.policies import policy_named
from qpu_executors import QPU, DeviceDrained, Entry, FailoverPool, QPUThreadPool, QuantumTask, Site, TaskQueue, run
from qpu_executors.draining import drain, resume
from qpu_executors.testing import BELL

from ..queue.dispatching import dispatching, task_work, until

TWO = (
    '[qpu.ion0]\ndriver = "statevector"\nqubits = 4\ntags = ["ion"]\n'
    '[qpu.ion1]\ndriver = "statevector"\nqubits = 4\ntags = ["ion"]\n'
)


@pytest.fixture
def site(folder):
    (folder / "two.toml").write_text(TWO)
    return Site.load(folder / "two.toml")


@pytest.fixture
def ions(site):
    return site.qpus


def device_of(pool, device_id):
    return pool.submit(run, QuantumTask(BELL, shots=5, device_id=device_id)).result(timeout=60).device_id


def refusal(pool, device_id):
    with pytest.raises(DeviceDrained) as caught:
        pool.submit(run, QuantumTask(BELL, device_id=device_id)).result(timeout=60)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["threads", pytest.param("parsl", marks=pytest.mark.slow), pytest.param("dask", marks=pytest.mark.slow)],
)
def test_in_every_engine_selectors_go_elsewhere_and_names_are_refused_with_the_message(name, site):
    with front_door.open_engine(name, site) as engine:
        drain(site.qpu("ion0"), "calibration")
        assert {device_of(engine.qpus, "tag:ion") for _ in range(6)} == {"ion1"}
        assert "'ion0' is drained: calibration (since" in refusal(engine.qpus, "ion0")
        drain(site.qpu("ion1"), "new laser")
        said = refusal(engine.qpus, "tag:ion")
        assert "calibration" in said
        assert "new laser" in said
        resume(site.qpu("ion0"))
        assert device_of(engine.qpus, "any") == "ion0"
        resume(site.qpu("ion1"))
        assert device_of(engine.qpus, "ion1") == "ion1"


@pytest.mark.slow
def test_dask_tasks_and_sessions_respect_it_without_leases(site):
    from distributed import Client

    from conqure_dask import cluster, pool, session

    with cluster(site) as started, Client(started) as client, pool(client, leases=False) as qpus:
        drain(site.qpu("ion0"), "calibration")
        assert {device_of(qpus, "any") for _ in range(4)} == {"ion1"}
        assert "calibration" in refusal(qpus, "ion0")
        with session(client, "tag:ion") as held:
            assert held.device_id == "ion1"
        with pytest.raises(DeviceDrained, match="calibration"), session(client, "ion0"):
            pass


def test_another_program_drains_it_and_a_pool_that_runs_sees_it(site, program):
    with QPUThreadPool(site.qpus) as pool:
        assert device_of(pool, "ion0") == "ion0"
        assert program("devices", "drain", "ion0", "-m", "by the operator", "--site", "./two.toml").code == 0

        def refused():
            try:
                return not pool.submit(run, QuantumTask(BELL, shots=1, device_id="ion0")).result(timeout=10)
            except DeviceDrained as error:
                return "by the operator" in str(error)

        until(refused)
        assert device_of(pool, "any") == "ion1"


def test_what_runs_and_what_was_accepted_by_name_ends_in_peace(site):
    slow = [replace(qpu, driver="fake", options={"delay_s": 0.1}) for qpu in site.qpus]
    with QPUThreadPool(slow) as pool:
        futures = [pool.submit(run, QuantumTask(BELL, device_id="ion0")) for _ in range(3)]
        drain(slow[0], "calibration")
        assert {future.result(timeout=30).device_id for future in futures} == {"ion0"}
        assert "calibration" in refusal(pool, "ion0")


def test_what_waits_and_fits_another_qpu_goes_there(ions):
    queue = TaskQueue(ions)
    queue.push(Entry(1, "tag:ion"), 0.0)
    queue.push(Entry(2, "ion0"), 0.0)
    drain(ions[0], "calibration")
    assert queue.pop("ion0").entry_id == 2
    assert queue.pop("ion0") is None
    assert queue.put_off
    assert queue.pop("ion1").entry_id == 1


def test_what_waits_runs_even_if_all_that_fit_are_drained_later(ions):
    queue = TaskQueue(ions)
    queue.push(Entry(1, "tag:ion"), 0.0)
    for qpu in ions:
        drain(qpu, "calibration")
    assert queue.pop("ion1").entry_id == 1
    with pytest.raises(DeviceDrained):
        queue.accepts(Entry(2, "any"))


def test_a_session_that_is_open_goes_on_and_a_new_one_is_bound_elsewhere(site):
    with QPUThreadPool(site.qpus) as pool, pool.session("ion0") as held:
        drain(site.qpu("ion0"), "calibration")
        assert held.run(QuantumTask(BELL, shots=5)).device_id == "ion0"
        with pool.session("tag:ion") as other:
            assert other.device_id == "ion1"
        with pytest.raises(DeviceDrained, match="calibration"), pool.session("ion0"):
            pass


def test_a_qpu_that_is_resumed_helps_with_what_waits(site):
    slow = [replace(qpu, driver="fake", options={"delay_s": 0.05}) for qpu in site.qpus]
    drain(slow[0], "calibration")
    with QPUThreadPool(slow) as pool:
        futures = [pool.submit(run, QuantumTask(BELL, device_id="tag:ion")) for _ in range(2)]
        resume(slow[0])
        first = pool.submit(run, QuantumTask(BELL, device_id="ion0"))  # wakes its slot; then both share what waits
        futures += [pool.submit(run, QuantumTask(BELL, device_id="tag:ion")) for _ in range(6)]
        assert first.result(timeout=30).device_id == "ion0"
        assert {future.result(timeout=30).device_id for future in futures} == {"ion0", "ion1"}


def test_an_idle_qpu_is_woken_for_what_waits_once_it_is_resumed(site):
    """ion0 put a task off while it was drained; nothing new comes, and ion1 alone would take 8 times as long."""
    slow = [replace(qpu, driver="fake", options={"delay_s": 0.1}) for qpu in site.qpus]
    with QPUThreadPool(slow) as pool:
        named = pool.submit(run, QuantumTask(BELL, device_id="ion0"))
        futures = [pool.submit(run, QuantumTask(BELL, device_id="tag:ion")) for _ in range(8)]
        drain(slow[0], "calibration")
        named.result(timeout=30)
        resume(slow[0])
        assert {future.result(timeout=30).device_id for future in futures} == {"ion0", "ion1"}


def test_who_stands_in_for_a_qpu_gets_its_tasks_while_it_is_drained(site):
    ion0, ion1 = site.qpus
    with QPUThreadPool([replace(ion0, failover=("ion1",)), ion1]) as pool, FailoverPool(pool) as going_on:
        drain(ion0, "calibration")
        result = going_on.submit(run, QuantumTask(BELL, shots=5, device_id="ion0")).result(timeout=30)
    assert (result.device_id, result.metadata["failed_over_from"]) == ("ion1", "ion0")
    assert "calibration" in result.metadata["failed_over_because"]


def test_a_run_without_a_pool_goes_elsewhere_too(site, folder, monkeypatch):
    monkeypatch.setenv("CONQURE_SITE", str(folder / "two.toml"))
    drain(site.qpu("ion0"), "calibration")
    assert run(QuantumTask(BELL, shots=5, device_id="tag:ion")).device_id == "ion1"
    with pytest.raises(DeviceDrained, match="calibration"):
        run(QuantumTask(BELL, device_id="ion0"))


def test_parsl_counts_on_no_drained_qpu_when_it_asks_for_jobs(ions):
    from conqure_parsl.leases import Leases

    leases = Leases(ions, 60.0)
    drain(ions[0], "calibration")
    for number in range(3):
        leases.submit(Entry(number, "tag:ion"), time.monotonic())
    demand = leases.demand({})
    assert (demand["ion0"].waiting, demand["ion1"].waiting) == (0, 3)


def test_the_queue_chooses_nothing_for_a_drained_qpu_and_its_works_wait(ions):
    store = MemoryStore()
    store.add(*task_work(device_id="ion0"))
    anywhere = store.add(*task_work(device_id="tag:ion")).work_id
    chooser = Chooser(store, ions, policy_named("fifo"), History(), batch=0, look_s=0.0)
    drain(ions[0], "calibration")
    assert {work: qpu.device_id for work, qpu in chooser.choose(ions, time.time()).items()} == {anywhere: "ion1"}


def test_a_work_of_the_queue_runs_when_its_qpu_is_resumed(ions):
    store = MemoryStore()
    drain(ions[0], "calibration")
    work_id = store.add(*task_work(device_id="ion0")).work_id
    other = store.add(*task_work(device_id="ion1")).work_id
    with dispatching(store, *ions):
        until(lambda: store.get(other).status.is_final)
        assert store.get(work_id).status.name == "READY"
        threading.Timer(0.1, resume, [ions[0]]).start()
        until(lambda: store.get(work_id).status.is_final)
    assert store.get(work_id).ran_on == "ion0"


def test_a_qpu_made_in_python_is_never_drained():
    with QPUThreadPool([QPU("sv0", "statevector", 4)]) as pool:
        assert device_of(pool, "sv0") == "sv0"
