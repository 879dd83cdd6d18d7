"""``cluster(site)``: who is there, what is open to whom, and what is left when the program ends."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.core import Status

from conqure_dask import QPUCluster, classical, cluster, open_engine, pool, worker_arguments
from conqure_dask.resources import offered, qpus_of, wanted
from conqure_dask.worker import qpu_as_json, qpu_from_json
from qpu_executors import QPU, InvalidSite, QuantumTask, Site, UnknownDriver, run
from qpu_executors.testing import BELL

from . import functions as f
from .conftest import SITE


def test_a_qpu_worker_offers_its_name_tags_and_qubits() -> None:
    ion = QPU("ion0", "emulated", 11, tags=("ion", "trap"))
    assert offered(ion) == {"QPU": 1, "QPU:ion0": 1, "tag:ion": 1, "tag:trap": 1, "qubits": 11}


@pytest.mark.parametrize(
    ("device", "resources"),
    [
        ("any", {"QPU": 1}),
        ("ion0", {"QPU": 1, "QPU:ion0": 1}),
        ("tag:ion,tag:trap", {"QPU": 1, "tag:ion": 1, "tag:trap": 1}),
        ("qubits>=5", {"QPU": 1, "qubits": 5}),
        ("any,ion0,qubits>=5", {"QPU": 1, "QPU:ion0": 1, "qubits": 5}),
    ],
)
def test_a_selector_asks_for_resources(device: str, resources: dict[str, float]) -> None:
    assert wanted(device) == resources


def test_the_qpus_of_a_cluster_are_read_from_its_workers() -> None:
    two_slots = QPU("sv0", "statevector", 9, slots=2, tags=("fast",))
    (found,) = qpus_of([offered(two_slots), {"CPU": 4}, offered(two_slots)])
    assert (found.device_id, found.n_qubits, found.slots, found.tags) == ("sv0", 9, 2, ("fast",))


def test_a_qpu_travels_on_a_command_line() -> None:
    qpu = QPU("ion0", "emulated", 11, tags=("ion",), options={"job_s": 0.1, "options": {"a": [1]}})
    assert qpu_from_json(qpu_as_json(qpu)) == qpu
    assert json.loads(worker_arguments(qpu, "ion0")[-1])["device_id"] == "ion0"


def test_each_slot_has_a_worker_and_each_worker_its_resources(client: Client) -> None:
    workers = client.scheduler_info()["workers"].values()
    assert {w["name"]: w["nthreads"] for w in workers} == {"ion0": 1, "ion1": 1, "sv0": 1, "cpu0": 1, "cpu1": 1}
    assert {w["name"]: w["resources"] for w in workers}["ion1"] == offered(SITE.qpus[1])


@pytest.mark.slow
def test_a_qpu_that_does_not_open_is_told_with_its_drivers_message() -> None:
    with pytest.raises(UnknownDriver, match=r"'broken0' did not open: no driver 'nonsense'"):
        cluster(Site("broken", (QPU("broken0", "nonsense", 3),), cpu_workers=1))
    with pytest.raises(InvalidSite, match=r"'odd0' did not open.*'unexpected'"):
        cluster(Site("odd", (QPU("odd0", "fake", 3, options={"unexpected": 1}),), cpu_workers=1))


def test_who_has_no_certificate_is_not_served(shared_cluster: QPUCluster) -> None:
    address = shared_cluster.scheduler_address
    assert address.startswith("tls://")
    with pytest.raises((OSError, TimeoutError)), Client(address.replace("tls", "tcp"), timeout=2):
        pass


def test_nothing_listens_on_a_public_interface(shared_cluster: QPUCluster) -> None:
    me = psutil.Process()
    ours = [me, *[p for p in me.children(recursive=True) if "forkserver" in " ".join(p.cmdline())]]
    listening = [c.laddr.ip for p in ours for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_classical_marks_tasks_for_clusters_without_our_scheduler_plugin(client: Client) -> None:
    with classical():
        futures = client.map(f.where, range(8), pure=False)
    assert set(client.gather(futures)) <= {"cpu0", "cpu1"}


@pytest.mark.slow
def test_an_engine_gives_both_pools_and_ends_with_its_block() -> None:
    site = Site("engine", (QPU("f0", "fake", 5, slots=2),), cpu_workers=1)
    with open_engine(site, security=False) as (qpus, cpus):
        result = qpus.submit(run, QuantumTask(BELL, shots=9))
        assert cpus.submit(f.total_shots, [result, result], more=1).result(timeout=30) == 19
        assert cpus.submit(f.where).result(timeout=30) == "cpu0"
        processes = [psutil.Process(w.process.pid) for w in qpus.client.cluster.workers.values()]
    assert len(processes) == 3
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive


PROGRAM = """
import os, sys, time
from distributed import Client
from distributed.core import Status
from conqure_dask import cluster, pool
from qpu_executors import QPU, InvalidSite, QuantumTask, Site, run
from qpu_executors.testing import BELL

if __name__ == "__main__":
    site = Site("left", (QPU("slow0", "emulated", 5, options={"driver": "fake", "job_s": 60}),), cpu_workers=1)
    started = cluster(site)
    client = Client(started)
    qpus = pool(client)
    qpus.submit(run, QuantumTask(BELL))
    pids = [w.process.pid for w in started.workers.values()]
    print(*pids, flush=True)
    time.sleep(0.5)
    END
"""

UNGUARDED = """
from dataclasses import dataclass
from conqure_dask import open_engine, quantum_app
from qpu_executors import QPU, Site
from qpu_executors.testing import BELL

print("read")

@dataclass
class Point:
    x: int

@quantum_app(shots=30)
def circuit():
    return BELL

with open_engine(Site("unguarded", (QPU("f0", "fake", 5),), cpu_workers=1)) as (qpus, cpus):
    print(cpus.submit(lambda p: p.x + 4, Point(3)).result())
    print(circuit().result().shots)
    print(cpus.submit(lambda p: p, Point(3)).result())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 15)",
        pytest.param("os.kill(os.getpid(), 2)", marks=pytest.mark.drill),
        pytest.param("os._exit(1)", marks=pytest.mark.drill),
        pytest.param("raise RuntimeError", marks=pytest.mark.drill),
        "pass",
    ],
)
def test_no_process_outlives_the_program_however_it_ends(end: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("END", end))
    before = time.monotonic()
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=8)
    for process in alive:
        process.kill()
    assert not alive
    assert time.monotonic() - before < 50


@pytest.mark.slow
def test_a_script_needs_no_main_guard_and_its_functions_travel(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=90)
    assert done.stdout.split() == ["read", "7", "30", "Point(x=3)"], done.stderr


@pytest.mark.slow
def test_a_worker_started_by_command_line_joins_a_cluster(tmp_path: Path) -> None:
    site = Site("base", (QPU("f0", "fake", 5),), cpu_workers=1)
    joins = QPU("late0", "fake", 8, tags=("late",))
    with cluster(site, security=False) as started, Client(started) as client, pool(client) as qpus:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", started.scheduler_address, "--no-nanny"]
        command += ["--no-dashboard", *worker_arguments(joins, "late0")]
        worker = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            while len(client.scheduler_info()["workers"]) < 3:
                assert worker.poll() is None
                time.sleep(0.1)
            asked = {"QPU": 1, "tag:late": 1}
            assert client.submit(run, QuantumTask(BELL), resources=asked, pure=False).result(30).device_id == "late0"
            futures = [qpus.submit(run, QuantumTask(BELL)) for _ in range(50)]  # a pool finds it too
            assert {future.result(timeout=30).device_id for future in futures} <= {"f0", "late0"}
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(20)


def break_off_once(cluster: QPUCluster) -> list[str]:
    """The scheduler's connections fail to close the first time, as they do where one is being given up just then."""
    pool, attempts = cluster.scheduler.rpc, []
    really = pool.close

    async def close() -> None:
        attempts.append("close")
        if len(attempts) == 1:
            raise RuntimeError("Cannot change state of expiring Timeout")
        await really()

    pool.close = close
    return attempts


@pytest.mark.slow
def test_a_cluster_closes_although_its_scheduler_breaks_off_once() -> None:
    with cluster(Site("lab", (QPU("sv0", "statevector", 5),), cpu_workers=1)) as started:
        attempts = break_off_once(started)
        workers = list(started.workers.values())
    assert len(attempts) >= 2
    assert started.status == started.scheduler.status == Status.closed
    assert [worker.status for worker in workers] == [Status.closed] * 2
