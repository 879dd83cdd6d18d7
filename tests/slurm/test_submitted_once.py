"""A task at a vendor's whose Slurm job is requeued or cancelled: submitted once all the same."""

from __future__ import annotations

import json
import sys
from concurrent.futures import Executor
from pathlib import Path

import dask
import parsl
import pytest
from distributed import Client

import conqure_dask
import conqure_parsl
from qpu_executors import QuantumResult, Site, run

from ..waist.test_submitted_once import QUICKLY, RESTARTED, TASK, submitted, was_run_once
from ..waist.vendor import Vendor
from .conftest import Slurm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SITE = """
name = "remote"
[slurm]
walltime = "00:10:00"
memory = "500M"
shared = "{folder}/shared"
interface = "lo"
[group.quantum]
partition = "quantum"
[qpu.vendor0]
driver = "vendor"
qubits = 10
reach = "gres"
group = "quantum"
resource = "qpu:ion:1"
options = {{ url = "{url}" }}
"""


def site_of(vendor: Vendor, folder: Path) -> Site:
    file = folder / "remote.toml"
    file.write_text(SITE.format(folder=folder, url=vendor.url))
    return Site.load(file)


def test_a_batch_script_that_slurm_requeues_waits_for_what_it_submitted_first(
    slurm: Slurm, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.behave(hold=True)
    script = tmp_path / "program.py"
    script.write_text(RESTARTED)
    job = slurm.run(
        *["sbatch", "--parsable", "--requeue", f"--output={tmp_path}/printed", "--open-mode=append"],
        f"--wrap=exec {sys.executable} {script} {vendor.url} '{TASK.to_json()}'",
    ).strip()
    slurm.wait_until(lambda: submitted(vendor), 60, "the program has submitted its task")
    slurm.run("scontrol", "requeue", job)
    vendor.behave(hold=False)
    slurm.wait_until(lambda: slurm.state(job) == "COMPLETED", 90, "the job has run again")
    assert slurm.field(job, "Restarts") == "1"
    printed = [line for line in (tmp_path / "printed").read_text().splitlines() if line.startswith("{")]
    was_run_once(vendor, type("Result", (), json.loads(printed[-1])))


def result_though_its_job_is_cancelled(pool: Executor, slurm: Slurm, vendor: Vendor) -> QuantumResult:
    """Of the task, whose job ends while the task is at the vendor's; another job has taken it up."""
    vendor.behave(hold=True)
    future = pool.submit(run, TASK)
    slurm.wait_until(lambda: submitted(vendor), 60, "the task is at the vendor's")
    job = slurm.run("squeue", "--noheader", "--name=conqure-vendor0", "--states=RUNNING", "--format=%i").strip()
    slurm.run("scancel", job)
    slurm.wait_until(lambda: slurm.state(job) == "CANCELLED", 30, "the job has ended")
    vendor.behave(hold=False)
    result: QuantumResult = future.result(timeout=90)
    assert result.metadata["slurm_job_id"] != job
    return result


def test_a_job_of_parsl_that_is_cancelled_is_replaced_by_one_that_waits_for_the_same_submission(
    slurm: Slurm, vendor: Vendor, tmp_path: Path
) -> None:
    with parsl.load(conqure_parsl.parsl_config(site_of(vendor, tmp_path), run_dir=str(tmp_path / "runs"))) as dfk:
        result = result_though_its_job_is_cancelled(conqure_parsl.pool(dfk), slurm, vendor)
    was_run_once(vendor, result)
    assert result.metadata["attempts"] == 2


def test_a_job_of_dask_that_is_cancelled_is_replaced_by_one_that_waits_for_the_same_submission(
    slurm: Slurm, vendor: Vendor, tmp_path: Path
) -> None:
    with (
        dask.config.set(QUICKLY),
        conqure_dask.cluster(site_of(vendor, tmp_path)) as started,
        Client(started) as client,
        conqure_dask.pool(client, retries=2) as pool,
    ):
        result = result_though_its_job_is_cancelled(pool, slurm, vendor)
    was_run_once(vendor, result)
