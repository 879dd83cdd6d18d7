"""Parsl on a real Slurm: one job per QPU, asked for by what waits, and what happens when anything dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import parsl
import pytest
from parsl.dataflow.dflow import DataFlowKernel

from conqure_parsl import ParslPool, parsl_config, pool, quantum_app
from qpu_executors import QuantumTask, Site, SlurmError, run
from qpu_executors.slurm import client
from qpu_executors.slurm.options import co_allocation
from qpu_executors.testing import BELL

from .conftest import Slurm
from .sites import site_on, start_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@contextmanager
def loaded(site: Site, **options: Any) -> Iterator[DataFlowKernel]:
    with parsl.load(parsl_config(site, **options)) as dfk:
        yield dfk


def bell(device_id: str = "ion0", shots: int = 10) -> QuantumTask:
    return QuantumTask(BELL, device_id=device_id, shots=shots)


def jobs_of(slurm: Slurm, name: str, *states: str) -> list[str]:
    """My jobs of this name, in these states: their numbers."""
    listed = slurm.run("squeue", "--noheader", "--states=all", f"--name=conqure-{name}", "--format=%i %T").split("\n")
    pairs = [line.split() for line in listed if line]
    return [job for job, state in pairs if state in (states or ("RUNNING", "PENDING"))]


def executor_of(dfk: DataFlowKernel, label: str = "qpu") -> Any:
    return dfk.executors[label]


def is_running(future: Future[Any]) -> bool:
    return future.running()


def host_of_job() -> str:
    import os

    return os.environ["SLURMD_NODENAME"]


# Running


def test_circuits_and_classical_tasks_run_in_jobs_of_their_own(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path)) as dfk:
        qpus, cpus = pool(dfk), ParslPool(dfk, ["cpu"], quantum=False)
        ion, sc = qpus.submit(run, bell("ion0")).result(), qpus.submit(run, bell("sc0")).result()
        assert (ion.device_id, sc.device_id) == ("ion0", "sc0")
        assert slurm.field(ion.metadata["slurm_job_id"], "NodeList") == "q1"
        assert slurm.field(sc.metadata["slurm_job_id"], "NodeList") == "q2"
        assert cpus.submit(host_of_job).result().startswith("c")
    assert not jobs_of(slurm, "ion0") + jobs_of(slurm, "sc0") + jobs_of(slurm, "cpu")


def test_a_qpu_behind_a_licence_is_held_by_a_job_with_the_licence(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path)) as dfk:
        result = pool(dfk).submit(run, bell("cloud0")).result()
        assert slurm.field(result.metadata["slurm_job_id"], "Licenses") == "qpu_cloud:1"


def test_a_task_for_one_qpu_asks_for_no_other(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path)) as dfk:
        pool(dfk).submit(run, bell("ion0")).result()
        assert jobs_of(slurm, "ion0")
        assert not jobs_of(slurm, "sc0") + jobs_of(slurm, "cloud0")


def test_tasks_for_any_qpu_spread_over_all_of_them(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path)) as dfk:
        futures = [pool(dfk).submit(run, bell("tag:ion" if n % 2 else "any")) for n in range(60)]
        assert len({future.result().device_id for future in futures}) > 1


def test_a_job_that_stands_idle_is_given_back_and_asked_for_again(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, idle_s=1)) as dfk:
        first = pool(dfk).submit(run, bell()).result()
        slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 20, "the idle job ends")
        second = pool(dfk).submit(run, bell()).result()
        assert first.metadata["slurm_job_id"] != second.metadata["slurm_job_id"]
        assert "attempts" not in second.metadata


def test_classical_jobs_grow_with_the_work_and_shrink_without(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, idle_s=1, jobs=2)) as dfk:
        cpus = ParslPool(dfk, ["cpu"], quantum=False)
        assert cpus.submit(abs, -1).result() == 1
        assert len(jobs_of(slurm, "cpu")) == 1
        futures = [cpus.submit(time.sleep, 0.5) for _ in range(16)]
        slurm.wait_until(lambda: len(jobs_of(slurm, "cpu")) == 2, 20, "a second job")
        for future in futures:
            future.result()
        slurm.wait_until(lambda: not jobs_of(slurm, "cpu"), 20, "the idle jobs end")


def test_a_group_of_two_nodes_has_workers_on_both(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, jobs=1, partition='partition = "cpu"\nnodes = 2')) as dfk:
        cpus = ParslPool(dfk, ["cpu"], quantum=False)
        hosts = [cpus.submit(slow_host, 0.3) for _ in range(12)]
        assert len({future.result() for future in hosts}) == 2
        assert len(jobs_of(slurm, "cpu")) == 1


HELD_TOGETHER = """
import os
from conqure_parsl import open_engine
from qpu_executors import QuantumTask, run
with open_engine({site!r}) as (qpus, cpus):
    result = qpus.submit(run, QuantumTask({program!r}, device_id="ion0", shots=10)).result()
    nodes = [pool.submit(os.getenv, "SLURMD_NODENAME").result() for pool in (qpus, cpus)]
    print(result.metadata["slurm_job_id"], *nodes, os.environ["SLURM_JOB_ID"])
"""


def test_a_program_in_a_heterogeneous_job_uses_what_the_job_holds(slurm: Slurm, tmp_path: Path) -> None:
    site = site_on(tmp_path)
    program, out = tmp_path / "together.py", tmp_path / "out"
    program.write_text(HELD_TOGETHER.format(site=str(site.path), program=BELL))
    held = [(site.group("cpu"), None), (site.group("quantum"), site.qpu("ion0"))]
    script = tmp_path / "together.sh"
    script.write_text(co_allocation(held, f"{sys.executable} {program} > {out}"))
    slurm.run("sbatch", "--wait", "--chdir", str(tmp_path), str(script), timeout=90)
    job_of_circuit, quantum_node, cpu_node, job = out.read_text().split()
    assert slurm.field(job, "HetJobId") == job_of_circuit == job
    assert quantum_node == "q1"
    assert cpu_node.startswith("c")
    assert not jobs_of(slurm, "ion0") + jobs_of(slurm, "cpu")


# What dies


def test_a_circuit_whose_job_is_cancelled_runs_again_and_says_so(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, job_s=3.0)) as dfk:
        future = pool(dfk).submit(run, bell())
        slurm.wait_until(future.running, 60, "the circuit runs")
        (job,) = jobs_of(slurm, "ion0", "RUNNING")
        slurm.run("scancel", job)
        began = time.monotonic()
        result = future.result()
        assert time.monotonic() - began < 15 + 3
        assert result.metadata["attempts"] == 2
        assert result.metadata["slurm_job_id"] != job


def test_an_app_whose_job_is_cancelled_says_so_too(slurm: Slurm, tmp_path: Path) -> None:
    @quantum_app(device="ion0", shots=10)
    def app() -> str:
        return BELL

    with loaded(site_on(tmp_path, job_s=2.0)) as dfk:
        future = app()
        slurm.wait_until(lambda: executor_of(dfk).broker.busy_blocks(), 60, "the circuit runs")
        slurm.run("scancel", *jobs_of(slurm, "ion0", "RUNNING"))
        assert future.result().metadata["attempts"] == 2


@pytest.mark.drill
def test_a_job_whose_walltime_ends_cuts_no_circuit(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, job_s=0.5, walltime='walltime = "00:01:00"')) as dfk:
        results = [future.result() for future in [pool(dfk).submit(run, bell()) for _ in range(130)]]
    assert len({result.metadata["slurm_job_id"] for result in results}) == 2
    assert all("attempts" not in result.metadata for result in results)


def test_classical_work_moves_on_when_its_node_dies(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, jobs=1)) as dfk:
        cpus = ParslPool(dfk, ["cpu"], quantum=False)
        node = cpus.submit(host_of_job).result()
        future = cpus.submit(slow_host, 4.0)
        slurm.wait_until(lambda: executor_of(dfk, "cpu").broker.busy_blocks(), 30, "the task runs")
        slurm.sim("kill", node)
        try:
            began = time.monotonic()
            assert future.result() != node
            assert time.monotonic() - began < 15 + 4
        finally:
            slurm.sim("start", node)
            slurm.wait_until(
                lambda: "idle" in slurm.run("sinfo", "-hN", "-n", node, "-o", "%T"), 60, "the node is back"
            )


def slow_host(seconds: float) -> str:
    import os
    import time

    time.sleep(seconds)
    return os.environ["SLURMD_NODENAME"]


def test_a_waiting_circuit_survives_a_restart_of_the_controller(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, job_s=0.5)) as dfk:
        futures = [pool(dfk).submit(run, bell()) for _ in range(6)]
        slurm.wait_until(futures[0].done, 60, "the first result")
        slurm.sim("restart", "slurmctld")
        assert [future.result().metadata.get("attempts", 1) for future in futures] == [1] * 6
        assert pool(dfk).submit(run, bell("sc0")).result().device_id == "sc0"


HELD = """
import time
from conqure_parsl import open_engine
from qpu_executors import QuantumTask, run
with open_engine({site!r}) as (qpus, cpus):
    first = qpus.submit(run, QuantumTask({program!r}, device_id="ion0", shots=10))
    first.result()
    print("holds", flush=True)
    qpus.submit(run, QuantumTask({program!r}, device_id="ion0", shots=10)).result()
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_program_that_ends_frees_its_qpu_within_seconds(slurm: Slurm, tmp_path: Path, how: signal.Signals) -> None:
    site = site_on(tmp_path, job_s=0.2)
    with start_program(HELD.format(site=str(site.path), program=BELL), tmp_path) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "holds\n"
        program.send_signal(how)
        slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 10, "the job of the dead program ends")


def test_a_job_that_has_not_begun_goes_with_its_program(slurm: Slurm, tmp_path: Path) -> None:
    others = ["-p", "quantum", "--gres=qpu:ion:1", "--output=/dev/null", "--wrap", "sleep 60"]
    blocker = slurm.run("sbatch", "--parsable", *others).strip()
    try:
        slurm.wait_until(lambda: slurm.state(blocker) == "RUNNING", 10, "somebody else holds the QPU")
        with start_program(HELD.format(site=str(site_on(tmp_path).path), program=BELL), tmp_path) as program:
            slurm.wait_until(lambda: jobs_of(slurm, "ion0", "PENDING"), 30, "our job waits")
            program.kill()
            slurm.wait_until(lambda: not jobs_of(slurm, "ion0"), 10, "the waiting job is cancelled")
    finally:
        slurm.run("scancel", blocker)


# What can't be had


def test_a_resource_that_nobody_offers_fails_at_once_in_slurms_own_words(slurm: Slurm, tmp_path: Path) -> None:
    with loaded(site_on(tmp_path, resource="qpu:photon:1")) as dfk:
        with pytest.raises(
            SlurmError, match=r"Requested node configuration is not available.*'qpu.ion0.resource' \(line 21\)"
        ):
            pool(dfk).submit(run, bell("ion0")).result(timeout=10)
        assert pool(dfk).submit(run, bell("sc0")).result().device_id == "sc0"
        with pytest.raises(SlurmError, match="not available"):
            pool(dfk).submit(run, bell("ion0")).result(timeout=5)


def test_a_group_whose_jobs_fail_gives_up_with_the_end_of_their_log(slurm: Slurm, tmp_path: Path) -> None:
    site = site_on(tmp_path, partition='partition = "cpu"\nlines = ["echo no such module >&2; exit 3"]')
    with loaded(site) as dfk, pytest.raises(Exception, match="no such module"):
        ParslPool(dfk, ["cpu"], quantum=False).submit(abs, -1).result(timeout=60)


def test_a_task_that_waits_can_be_asked_why(slurm: Slurm, tmp_path: Path) -> None:
    slurm.sim("drain", "q1", "--reason", "calibration")
    try:
        with loaded(site_on(tmp_path)) as dfk:
            future = pool(dfk).submit(run, bell())
            slurm.wait_until(lambda: "drained" in " ".join(executor_of(dfk).why()), 30, "the reason")
            assert not future.done()
            slurm.sim("resume", "q1")
            assert future.result().device_id == "ion0"
            assert executor_of(dfk).why() == []
    finally:
        slurm.sim("resume", "q1")


def test_nothing_is_left_of_the_programs(slurm: Slurm) -> None:
    """Last: after all that died above, no job runs or waits."""
    slurm.wait_until(lambda: all(job.ended for job in client.jobs().values()), 20, "all jobs have ended")
    assert os.environ["SLURM_CONF"]
