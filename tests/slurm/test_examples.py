"""The shipped example sites run as they stand, on a cluster that is set up like the machines they imitate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conqure import open_engine
from qpu_executors import DeviceError, QuantumTask, Site, run
from qpu_executors.testing import BELL

from .conftest import Slurm, cluster_with, need_slurm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SETTINGS = ["--qpus", "ion:2", "--licenses", "qpu_cloud:4", "--spank-qpu", "--cpus-per-node", "16"]
PARTITIONS = [
    "PartitionName=standard Nodes=c[1-3]",
    "PartitionName=small Nodes=c[1-3]",
    "PartitionName=q_fiqci Nodes=q1",
]
# What these machines have and ours has not: a command `module`.
MODULE = "function module { echo module $* >> {folder}/modules; }; export -f module"


@pytest.fixture(scope="module")
def machine() -> Iterator[Slurm]:
    need_slurm("gcc")
    with cluster_with(*SETTINGS, *(word for line in PARTITIONS for word in ("--config", line))) as cluster:
        yield cluster


@pytest.fixture
def example(machine: Slurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Slurm:
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return machine


def device_of(site: Site, device_id: str, engine: str) -> str:
    with open_engine(engine, site) as opened:
        result = opened.qpus.submit(run, QuantumTask(BELL, device_id=device_id, shots=10)).result(timeout=120)
        return f"{result.device_id} in job {result.metadata['slurm_job_id']}"


@pytest.mark.parametrize("engine", ["parsl", "dask"])
@pytest.mark.parametrize("name", ["slurm_spank", "slurm_license", "slurm_gres"])
def test_an_example_runs_as_it_stands(example: Slurm, name: str, engine: str) -> None:
    site = Site.load(name)
    ran = device_of(site, site.qpus[-1].device_id, engine)
    assert ran.startswith(f"{site.qpus[-1].device_id} in job ")


def test_the_job_of_a_plugins_qpu_is_told_which_it_has(example: Slurm, tmp_path: Path) -> None:
    text = (Site.load("slurm_spank").path or Path()).read_text()
    (tmp_path / "wrong.toml").write_text(text.replace("QRMI_JOB_QPU_RESOURCES=ion_a", "QRMI_JOB_QPU_RESOURCES=ion_z"))
    with pytest.raises(DeviceError, match="was not given to job .*QRMI_JOB_QPU_RESOURCES is 'ion_a'"):
        device_of(Site.load(tmp_path / "wrong.toml"), "ion_a", "parsl")


def test_modules_are_loaded_in_the_job_of_a_partitions_qpu(example: Slurm, tmp_path: Path) -> None:
    text = (Site.load("slurm_partition").path or Path()).read_text()
    text = text.replace("/scratch/project_465000000/conqure", str(tmp_path / "shared"))
    text = text.replace("lines = [", f"lines = [\n  '{MODULE.replace('{folder}', str(tmp_path))}',")
    (tmp_path / "here.toml").write_text(text)
    assert device_of(Site.load(tmp_path / "here.toml"), "q5", "parsl").startswith("q5")
    assert "module load fiqci-vtt-qiskit" in (tmp_path / "modules").read_text()
