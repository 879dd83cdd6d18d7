"""What a site on Slurm means for Parsl before any job is submitted: quick, and Slurm need not be there."""

from __future__ import annotations

from pathlib import Path

import parsl
import pytest

from conqure import open_engine
from conqure_parsl import parsl_config, pool
from conqure_parsl.executor import CPUExecutor, QPUExecutor
from conqure_parsl.slurm import GroupProvider, job_scripts
from qpu_executors import QPU, DeviceError, Group, NoSlurm, QuantumTask, run
from qpu_executors.testing import BELL

from .sites import site_on


def bell() -> QuantumTask:
    return QuantumTask(BELL, device_id="ion0", shots=10)


def test_a_machine_without_slurm_says_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with (
        parsl.load(parsl_config(site_on(tmp_path))) as dfk,
        pytest.raises(NoSlurm, match="no login node of Slurm.*conqure sites list"),
    ):
        pool(dfk).submit(run, bell()).result(timeout=10)


def test_a_qpu_that_jobs_hold_is_not_opened_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    refusal = pytest.raises(DeviceError, match="only a job of Slurm may open it.*Use the engine 'parsl' or 'dask'")
    with refusal, open_engine("threads", site_on(tmp_path)) as engine:
        engine.qpus.submit(run, bell()).result()


def test_the_scripts_of_a_site_are_shown_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_on(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    scripts = job_scripts(site)
    assert list(scripts) == ["ion0", "sc0", "cloud0", "cpu"]
    assert "#SBATCH --gres=qpu:ion:1" in scripts["ion0"]
    assert "--licenses=qpu_cloud:1" in scripts["cloud0"]
    assert "#SBATCH --mem=500M" in scripts["cpu"]
    assert "conqure_parsl.block" in scripts["cpu"]


def test_the_configuration_has_an_executor_for_all_qpus_and_one_for_each_group(tmp_path: Path) -> None:
    quantum, cpu = parsl_config(site_on(tmp_path, jobs=3)).executors
    assert isinstance(quantum, QPUExecutor)
    assert isinstance(cpu, CPUExecutor)
    assert [qpu.device_id for qpu in quantum.qpus] == ["ion0", "sc0", "cloud0"]
    assert (cpu.label, cpu.workers, quantum.classical) == ("cpu", 6, cpu)


def test_a_provider_is_one_of_parsls_own() -> None:
    group = Group("quantum", "quantum", walltime="1-02:00:30", nodes=4)
    provider = GroupProvider(group, QPU("ion0", "emulated", 11, reach="gres", resource="qpu:1"))
    assert (provider.walltime, provider.nodes_per_block, provider.max_blocks) == ("26:00:30", 1, 1)
