"""Dask on a real Slurm: groups of jobs that come and go with the work, and what happens when anything dies."""

from __future__ import annotations

import gc
import os
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, get_worker
from distributed.core import Status

from conqure_dask import cluster, leaving, open_engine, pool, quantum_app, session
from conqure_dask.jobs import Kind
from conqure_dask.scaling import jobs_needed
from conqure_dask.slurm import job_scripts
from qpu_executors import QPU, DeviceLost, Group, InvalidSite, QPUHandle, QuantumTask, Site, SlurmError, run
from qpu_executors.slurm.ledger import ledgers
from qpu_executors.testing import BELL

from ..dask.test_cluster import break_off_once
from .conftest import Slurm
from .sites import site_on, start_program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    # distributed does not close the socket of a connection that is given up in its TLS handshake, as happens when
    # the worker's job goes at that moment. The garbage collector does, here and not in somebody else's test.
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _sockets_of_lost_connections() -> Iterator[None]:
    yield
    gc.collect()


def site(folder: Path, **settings: Any) -> Site:
    return site_on(folder, engine="dask", **settings)


@contextmanager
def connected(site: Site, **options: Any) -> Iterator[Client]:
    with cluster(site, **options) as started, Client(started) as client:
        yield client


def bell(device_id: str = "ion0", shots: int = 10) -> QuantumTask:
    return QuantumTask(BELL, device_id=device_id, shots=shots)


def jobs_of(slurm: Slurm, name: str, *states: str) -> list[str]:
    """My jobs for a QPU or a group, in these states: their numbers."""
    listed = slurm.run("squeue", "--noheader", "--states=all", "--format=%i %T %j").splitlines()
    rows = [line.split() for line in listed]
    wanted = states or ("RUNNING", "PENDING")
    return [job for job, state, told in rows if state in wanted and told == f"conqure-{name}"]


def worker_name(*_: Any) -> str:
    return str(get_worker().name)


def write_a_line(path: str, *_: Any) -> int:
    """Counts how often it ran."""
    with open(path, "a") as file:
        file.write("x")
    return 1


@quantum_app(device="ion0", shots=10)
def counted_bell(path: str, payload: int = 0) -> str:
    write_a_line(path)
    return BELL


@quantum_app(device="ion0")
def counted(path: str, payload: int, qpu: QPUHandle) -> bytes:
    qpu.run(BELL, shots=10)
    write_a_line(path)
    return bytes(payload)


# What runs where


def test_both_groups_work_and_nothing_classical_lands_on_a_qpu(slurm: Slurm, tmp_path: Path) -> None:
    with open_engine(site(tmp_path)) as (qpus, cpus):
        ion, sc, cloud = (qpus.submit(run, bell(name)) for name in ("ion0", "sc0", "cloud0"))
        assert cpus.submit(worker_name).result(60).startswith("cpu:1-")
        assert [each.result(60).device_id for each in (ion, sc, cloud)] == ["ion0", "sc0", "cloud0"]
        untagged = qpus.client.map(worker_name, range(40), pure=False)
        assert all(name.startswith("cpu:") for name in qpus.client.gather(untagged))
        assert slurm.field(ion.result().metadata["slurm_job_id"], "NodeList") == "q1"
        assert slurm.field(cloud.result().metadata["slurm_job_id"], "Licenses") == "qpu_cloud:1"
        workers = {worker["name"] for worker in qpus.client.scheduler_info(n_workers=-1)["workers"].values()}
        assert {"ion0:1", "sc0:1-0", "sc0:1-1", "cloud0:1"} <= workers
    assert not any(jobs_of(slurm, name) for name in ("ion0", "sc0", "cloud0", "cpu"))


def test_programs_do_not_change_and_a_graph_runs_over_both_kinds_of_jobs(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path)) as client:
        counts = dask.delayed(lambda results: sum(r.shots for r in results))
        assert counts([counted_bell.delayed(str(tmp_path / "runs")) for _ in range(3)]).compute() == 30
        with session(client, "sc0") as qpu:
            assert qpu.run(BELL, shots=7).device_id == "sc0"


def test_the_dashboard_shows_which_worker_holds_which_qpu(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path), dashboard_address="127.0.0.1:0") as client:
        counted_bell(str(tmp_path / "runs")).result(60)
        with urllib.request.urlopen(client.dashboard_link.replace("/status", "/info/main/workers.html")) as page:
            assert "ion0:1" in page.read().decode()


def test_identical_circuits_are_separate_samples(slurm: Slurm, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with connected(site(tmp_path)) as client:
        client.gather([counted_bell(str(runs)) for _ in range(4)])
    assert runs.read_text() == "xxxx"


def test_keys_of_workers_are_files_that_nobody_else_reads_and_that_end_with_the_cluster(
    slurm: Slurm, tmp_path: Path
) -> None:
    with connected(site(tmp_path)) as client:
        assert client.submit(worker_name, pure=False).result(60)
        assert client.scheduler.address.startswith("tls://127.0.0.1")
        keys = list((tmp_path / "shared").glob("*/tls-*.pem"))
        assert len(keys) == 3
        assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
        assert {key.parent.stat().st_mode & 0o777 for key in keys} == {0o700}
    assert not any(key.exists() for key in keys)


# How many


def test_jobs_come_with_the_work_and_go_without(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path, idle_s=1, jobs=3)) as client:
        assert not jobs_of(slurm, "cpu") + jobs_of(slurm, "ion0")
        assert client.submit(worker_name, pure=False).result(60)
        assert len(jobs_of(slurm, "cpu")) == 1
        busy = client.map(time.sleep, [0.7] * 18, pure=False)
        slurm.wait_until(lambda: len(jobs_of(slurm, "cpu")) == 3, 30, "three jobs")
        client.gather(busy)
        del busy
        slurm.wait_until(lambda: not jobs_of(slurm, "cpu"), 30, "the idle jobs end")


def test_a_qpu_is_given_back_and_asked_for_again(slurm: Slurm, tmp_path: Path) -> None:
    with open_engine(site(tmp_path, idle_s=1)) as (qpus, _):
        first = qpus.submit(run, bell()).result(60)
        slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 30, "the idle job ends")
        second = qpus.submit(run, bell()).result(60)
    assert first.metadata["slurm_job_id"] != second.metadata["slurm_job_id"]
    assert "attempts" not in second.metadata


def test_a_program_sets_how_many_jobs_there_are(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path, jobs=2)) as client:
        started = client.cluster
        started.scale_group("cpu", 2)
        started.scale_group("ion0", 1)
        slurm.wait_until(lambda: len(jobs_of(slurm, "cpu")) == 2 and jobs_of(slurm, "ion0"), 20, "jobs without work")
        started.scale_group("cpu", 0)
        started.adapt_group("ion0", minimum=0)
        slurm.wait_until(lambda: not jobs_of(slurm, "cpu"), 30, "no jobs")
        with pytest.raises(ValueError, match=r"'jobs' of \[group.cpu\] says 2 at most"):
            started.scale_group("cpu", 3)
        with pytest.raises(InvalidSite, match=r"no group or QPU of Slurm 'cpus'. There are: .*'cpu'"):
            started.adapt_group("cpus", maximum=1)
        with pytest.raises(TypeError, match="scale_group"):
            started.scale(3)


@pytest.mark.parametrize(
    ("wants", "have", "needed"),
    [
        ({"any": 1}, {}, {"ion0": 1, "sc0": 0, "cpu": 0}),
        ({"any": 1}, {"sc0": 1}, {"ion0": 0, "sc0": 1, "cpu": 0}),
        ({"any": 9}, {}, {"ion0": 1, "sc0": 1, "cpu": 0}),
        ({"any": 1, "ion0": 1}, {"ion0": 1}, {"ion0": 1, "sc0": 1, "cpu": 0}),
        ({"cpu": 4}, {}, {"ion0": 0, "sc0": 0, "cpu": 1}),
        ({"cpu": 5}, {}, {"ion0": 0, "sc0": 0, "cpu": 2}),
        ({"cpu": 5000}, {}, {"ion0": 0, "sc0": 0, "cpu": 3}),
        ({"elsewhere": 2}, {}, {"ion0": 0, "sc0": 0, "cpu": 0}),
    ],
)
def test_a_task_counts_for_one_of_the_jobs_that_could_run_it(
    wants: dict[str, int], have: dict[str, int], needed: dict[str, int]
) -> None:
    asked = {
        "any": (("QPU", 1),),
        "ion0": (("QPU", 1), ("QPU:ion0", 1)),
        "cpu": (("CPU", 0),),
        "elsewhere": (("GPU", 1),),
    }
    kinds = [Kind(Group("q"), QPU(name, "fake", 5, group="q")) for name in ("ion0", "sc0")]
    kinds.append(Kind(Group("cpu", workers=4, jobs=3)))
    most = {kind.name: kind.most for kind in kinds}
    assert jobs_needed(Counter({asked[name]: n for name, n in wants.items()}), kinds, have, most) == needed


def test_work_that_this_machine_can_do_asks_for_no_job() -> None:
    ion = Kind(Group("q"), QPU("ion0", "fake", 5, group="q"))
    wants = {(("QPU", 1),): 2}
    here = {"QPU": 1.0, "QPU:sv0": 1.0, "qubits": 9.0}
    assert jobs_needed(Counter(wants), [ion], {}, {"ion0": 1}, [here, here]) == {"ion0": 0}
    assert jobs_needed(Counter(wants), [ion], {}, {"ion0": 1}, [here]) == {"ion0": 1}


# Results


def test_a_qpu_that_is_given_back_takes_no_result_with_it(slurm: Slurm, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with connected(site(tmp_path, idle_s=1)) as client:
        futures = [counted(str(runs), payload) for payload in (10, 2000, 3_000_000)]
        dask.distributed.wait(futures, timeout=60)
        slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 30, "the idle job ends")
        assert [len(result) for result in client.gather(futures)] == [10, 2000, 3_000_000]
        assert client.submit(lambda results: len(results[0]), futures, pure=False).result(60) == 10
    assert runs.read_text() == "xxx"


def test_a_classical_job_that_goes_does_not_make_a_circuit_run_again(slurm: Slurm, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with connected(site(tmp_path, idle_s=1)) as client:
        client.cluster.adapt_group("cpu", minimum=1)
        results = [counted(str(runs), 100) for _ in range(3)]
        sizes = client.map(len, results, pure=False)
        dask.distributed.wait(sizes, timeout=60)
        time.sleep(1.5)  # until results are home
        slurm.run("scancel", *jobs_of(slurm, "cpu", "RUNNING"))
        slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 30, "the idle job ends")
        assert client.gather(sizes) == [100] * 3
        assert [len(result) for result in client.gather(results)] == [100] * 3
    assert runs.read_text() == "xxx"


# What dies


def running(client: Client, device_id: str) -> bool:
    info = client.scheduler_info(n_workers=-1)["workers"]
    return any(
        keys and address in info and str(info[address]["name"]).startswith(f"{device_id}:")
        for address, keys in client.processing().items()
    )


def test_a_cancelled_qpu_job_is_replaced_and_its_task_runs_again_and_says_so(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path, job_s=8.0)) as client:
        future = counted_bell(str(tmp_path / "runs"))
        slurm.wait_until(lambda: running(client, "ion0"), 60, "the circuit runs")
        (job,) = jobs_of(slurm, "ion0", "RUNNING")
        slurm.run("scancel", job)
        began = time.monotonic()
        result = future.result(60)
        assert time.monotonic() - began < 20
        assert result.metadata["attempts"] == 2
        assert result.metadata["slurm_job_id"] != job


@pytest.mark.drill
def test_a_pool_says_that_a_circuit_was_lost_and_repeats_it_only_if_told_to(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path, job_s=8.0)) as client, pool(client) as strict, pool(client, retries=1) as again:
        for qpus in (strict, again):
            future = qpus.submit(run, bell())
            slurm.wait_until(future.running, 60, "the circuit runs")
            time.sleep(0.3)
            slurm.run("scancel", *jobs_of(slurm, "ion0", "RUNNING"))
            if qpus is strict:
                with pytest.raises(DeviceLost, match="ion0:1"):
                    future.result(60)
            else:
                assert future.result(60).metadata["attempts"] == 2


def test_a_waiting_job_that_somebody_cancels_is_asked_for_again(slurm: Slurm, tmp_path: Path) -> None:
    blocker = slurm.run(
        "sbatch", "--parsable", "-p", "quantum", "--gres=qpu:ion:1", "-o", "/dev/null", "--wrap", "sleep 600"
    ).strip()
    with open_engine(site(tmp_path)) as (qpus, _):
        future = qpus.submit(run, bell())
        slurm.wait_until(lambda: jobs_of(slurm, "ion0", "PENDING"), 20, "the job waits")
        (told,) = [each for each in ledgers() if each["comment"] == qpus.client.cluster.ledger.comment]
        assert told["waiting"] == {"ion0": 1}
        (job,) = jobs_of(slurm, "ion0", "PENDING")
        slurm.run("scancel", job)
        slurm.wait_until(lambda: jobs_of(slurm, "ion0", "PENDING") not in ([], [job]), 20, "another job waits")
        slurm.run("scancel", blocker)
        assert future.result(60).device_id == "ion0"


@pytest.mark.drill
def test_classical_work_goes_on_when_its_node_dies(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path, jobs=1)) as client:
        node = client.submit(os.getenv, "SLURMD_NODENAME", pure=False).result(60)
        future = client.submit(slow_node, 3.0, pure=False)
        slurm.wait_until(lambda: running(client, "cpu"), 30, "the task runs")
        slurm.sim("kill", node)
        try:
            began = time.monotonic()
            assert future.result(60) != node
            assert time.monotonic() - began < 20 + 3
        finally:
            slurm.sim("start", node)


def slow_node(seconds: float) -> str | None:
    time.sleep(seconds)
    return os.getenv("SLURMD_NODENAME")


@pytest.mark.drill
def test_work_goes_on_while_the_controller_restarts(slurm: Slurm, tmp_path: Path) -> None:
    with open_engine(site(tmp_path, job_s=0.5)) as (qpus, _):
        futures = [qpus.submit(run, bell()) for _ in range(6)]
        futures[0].result(60)
        slurm.sim("kill", "slurmctld")
        other = qpus.submit(run, bell("sc0"))
        assert [future.result(60).metadata.get("attempts", 1) for future in futures] == [1] * 6
        slurm.sim("start", "slurmctld")
        assert other.result(60).device_id == "sc0"


@pytest.mark.drill
def test_a_job_is_replaced_before_its_walltime_cuts_a_circuit(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "MARGIN_S", 55.0)
    monkeypatch.setattr(leaving, "MARGIN", 1.0)
    told = site(tmp_path, job_s=0.4, walltime='walltime = "00:01:00"')
    with open_engine(told) as (qpus, _):
        futures = [qpus.submit(run, bell()) for _ in range(16)]
        apps = [counted_bell(str(tmp_path / "runs")) for _ in range(10)]
        results = [future.result(120) for future in [*futures, *apps]]
    assert len({result.metadata["slurm_job_id"] for result in results}) > 1
    assert not any("attempts" in result.metadata for result in results)
    assert len((tmp_path / "runs").read_text()) == 10


HELD = """
import time
from conqure_dask import open_engine
from qpu_executors import QuantumTask, run
with open_engine({site!r}) as (qpus, cpus):
    task = QuantumTask({program!r}, device_id="ion0", shots=10)
    qpus.submit(run, task).result()
    cpus.submit(abs, 1).result()
    print("holds", flush=True)
    qpus.submit(run, QuantumTask({program!r}, device_id="sc0", shots=10))
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.drill), signal.SIGKILL])
def test_a_program_that_ends_leaves_no_job(slurm: Slurm, tmp_path: Path, how: signal.Signals) -> None:
    told = site(tmp_path, job_s=0.2)
    with start_program(HELD.format(site=str(told.path), program=BELL), tmp_path) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "holds\n"
        program.send_signal(how)
        slurm.wait_until(
            lambda: not any(jobs_of(slurm, name) for name in ("ion0", "sc0", "cpu")), 15, "the jobs of the program end"
        )
        time.sleep(1.0)
        assert not any(jobs_of(slurm, name) for name in ("ion0", "sc0", "cpu"))


def test_no_job_is_left_although_the_scheduler_breaks_off_while_it_closes(slurm: Slurm, tmp_path: Path) -> None:
    with connected(site(tmp_path)) as client:
        client.gather(counted_bell(str(tmp_path / "runs")))
        attempts = break_off_once(client.cluster)
    assert len(attempts) >= 2
    assert client.cluster.status == client.cluster.scheduler.status == Status.closed
    slurm.wait_until(lambda: not any(jobs_of(slurm, name) for name in ("ion0", "cpu")), 30, "its jobs end")


# What cannot be


def test_a_gres_that_does_not_exist_fails_at_once_with_slurms_words(slurm: Slurm, tmp_path: Path) -> None:
    told = site(tmp_path, resource="qpu:tin:1")
    with open_engine(told) as (qpus, cpus):
        began = time.monotonic()
        with pytest.raises(SlurmError, match="Requested node configuration is not available"):
            qpus.submit(run, bell()).result(60)
        with pytest.raises(SlurmError, match=r"sbatch says: .*'qpu.ion0.resource' \(line \d+\)") as caught:
            counted_bell(str(tmp_path / "runs")).result(60)
        assert str(told.path) in str(caught.value)
        assert time.monotonic() - began < 5
        assert qpus.submit(run, bell("any")).result(60).device_id in ("sc0", "cloud0")
        assert cpus.submit(abs, -2).result(60) == 2


def test_a_walltime_that_the_partition_does_not_allow_fails_at_once(slurm: Slurm, tmp_path: Path) -> None:
    slurm.run("scontrol", "update", "PartitionName=quantum", "MaxTime=5")
    try:
        with connected(site(tmp_path)) as client, pool(client, leases=False) as qpus:
            future = qpus.submit(run, bell())
            with pytest.raises(SlurmError, match="'slurm.walltime'"):
                future.result(60)
    finally:
        slurm.run("scontrol", "update", "PartitionName=quantum", "MaxTime=INFINITE")


def test_jobs_that_end_at_once_are_not_submitted_for_ever(slurm: Slurm, tmp_path: Path) -> None:
    told = site(tmp_path, walltime='walltime = "00:10:00"\nlines = ["module load no_such_thing || exit 3"]')
    before = len(jobs_of(slurm, "cpu", "FAILED"))
    with connected(told) as client:
        with pytest.raises(SlurmError, match=r"(?s)last 3 jobs for 'cpu'.*'lines'|slurm.lines.*module: .*not found"):
            client.submit(abs, 1, pure=False).result(90)
        assert len(jobs_of(slurm, "cpu", "FAILED")) == before + 3


def test_a_qpu_that_does_not_open_says_why(slurm: Slurm, tmp_path: Path) -> None:
    told = site(tmp_path, driver='driver = "nonsense"')
    with connected(told), pytest.raises(SlurmError, match=r"(?s)last 3 jobs for 'ion0'.*no driver 'nonsense'"):
        counted_bell(str(tmp_path / "runs")).result(90)


# Without Slurm


def test_scripts_can_be_read_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = site(tmp_path, walltime='walltime = "00:10:00"\nmodules = ["python/3.11"]\nlines = ["ulimit -c 0"]')
    scripts = job_scripts(told)
    assert list(scripts) == ["ion0", "sc0", "cloud0", "cpu"]
    lines = scripts["ion0"].splitlines()
    asked = [line for line in lines if line.startswith("#SBATCH")]
    assert {"#SBATCH --partition=quantum", "#SBATCH --gres=qpu:ion:1", "#SBATCH --time=00:10:00"} <= set(asked)
    assert len({line.partition("=")[0] for line in asked}) == len(asked), "no directive twice"
    assert lines.index("module load python/3.11") < lines.index("ulimit -c 0") < len(lines) - 1
    assert "--name ion0:1 " in lines[-1]
    assert "BEGIN" not in "".join(scripts.values())
    assert not (tmp_path / "shared").exists()
    assert "--licenses=qpu_cloud:1" in scripts["cloud0"]
    assert "--nworkers 2 " in scripts["sc0"]
