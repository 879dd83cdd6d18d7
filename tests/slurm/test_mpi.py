"""MPI on a real Slurm: ranks share QPUs through one connection per node, and MPI programs are tasks of Parsl."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import parsl
import pytest

from conqure_parsl import parsl_config
from conqure_parsl.mpi import GroupMPIExecutor
from qpu_executors import InvalidTask, Site

from ..openmpq import examples
from ..openmpq.compiling import BIN, GCC, need
from .conftest import Slurm
from .sites import site_on

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

QPUS = """
[slurm]
interface = "lo"
[group.cpu]
partition = "cpu"
[qpu.sv0]
driver = "statevector"
qubits = 9
[qpu.sv1]
driver = "statevector"
qubits = 9
"""
RANK = """
import os
from mpi4py import MPI
import openmpq_runtime
from qpu_executors import QuantumTask, run
from qpu_executors.testing import BELL
with openmpq_runtime.connect() as pool:
    done = [pool.submit(run, QuantumTask(BELL, shots=10)).result() for _ in range(5)]
    MPI.COMM_WORLD.Barrier()
print(f"{os.environ['SLURMD_NODENAME']} {MPI.COMM_WORLD.rank} {len(done)}")
"""
SRUN = ["srun", "--mpi=pmix", "-N2", "-n8", "--ntasks-per-node=4", "-c1", "--overcommit", "--mem=100M"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conqure.toml").write_text(QPUS)
    (tmp_path / "rank.py").write_text(RANK)
    return tmp_path


def openmpq_run(*command: str) -> subprocess.CompletedProcess[str]:
    """openmpq-run with the site of the working folder, and its figures in run.json."""
    words = [str(BIN / "openmpq-run"), "--json", "run.json", *command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def figures(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


@pytest.mark.usefixtures("slurm")
def test_eight_python_ranks_on_two_nodes_are_two_connections(folder: Path) -> None:
    done = openmpq_run(*SRUN, sys.executable, "rank.py")
    said = sorted(line.split() for line in done.stdout.splitlines())
    nodes = sorted({node for node, _, _ in said})
    assert [(rank, n) for _, rank, n in sorted(said, key=lambda line: int(line[1]))] == [
        (str(k), "5") for k in range(8)
    ]
    assert len(nodes) == 2
    ran = figures(folder)
    assert (ran["connections"], ran["nodes"]) == (2, nodes)
    assert (ran["circuits"], ran["failures"]) == (40, 0)


@pytest.mark.usefixtures("slurm")
def test_ranks_in_cpp_with_threads_are_one_connection_per_node_too(folder: Path) -> None:
    need(shutil.which("mpicxx"), "Open MPI's compiler")
    program = examples.built(GCC) / "vqe_mpi"
    command = ["srun", "--mpi=pmix", "-N2", "-n2", "--ntasks-per-node=1", "-c2", "--mem=100M", str(program), "2"]
    done = openmpq_run(*command)
    best = set(re.findall(r"angles sum to (\S+)", done.stdout))
    assert len(best) == 1
    assert float(re.findall(r"mean cut ([\d.]+) of 9", done.stdout)[0]) > 8.5
    ran = figures(folder)
    assert (ran["connections"], len(ran["nodes"])) == (2, 2)


def test_inside_a_job_it_is_the_same(slurm: Slurm, folder: Path) -> None:
    words = " ".join(["srun", "--mpi=pmix", "--mem=0", "--overlap", "-n4", sys.executable, "rank.py"])
    script = f"cd {folder} && {BIN}/openmpq-run --json run.json {words} >out 2>err; echo $? >code"
    job = slurm.submit(script, "-N2", "--ntasks-per-node=2", "--mem=200M")
    slurm.wait_until(lambda: slurm.state(job) in ("COMPLETED", "FAILED"), 120, "the job ends")
    assert (folder / "code").read_text() == "0\n", (folder / "err").read_text()
    assert len((folder / "out").read_text().splitlines()) == 4
    ran = figures(folder)
    assert (ran["connections"], len(ran["nodes"]), ran["circuits"]) == (2, 2, 20)


# -- MPI programs as tasks of Parsl --

MPI_GROUP = """
[group.mpi]
partition = "cpu"
nodes = {nodes}
cores = 2
idle_s = {idle_s}
mpi = true
environment = {{ SLURM_MPI_TYPE = "pmix" }}
"""


def site_with_mpi(folder: Path, nodes: int = 2, idle_s: int = 60) -> Site:
    path = site_on(folder).path
    assert path is not None
    text = path.read_text()
    classical = text[text.index("[group.cpu]") : text.index("[group.quantum]")]
    path.write_text(text.replace(classical, MPI_GROUP.format(nodes=nodes, idle_s=idle_s)))
    return Site.load(path)


@contextmanager
def mpi_tasks(site: Site) -> Iterator[Any]:
    """Submits MPI tasks: so many nodes, two ranks on each, for so long; what each gives is where its ranks ran."""

    def where(number: int, seconds: float, stdout: str = "", **options: Any) -> str:
        return f"$PARSL_MPI_PREFIX sh -c 'sleep {seconds}; echo $SLURMD_NODENAME $SLURM_PROCID'"

    with parsl.load(parsl_config(site)):
        app = parsl.bash_app(executors=["mpi"])(where)
        folder = site.path.parent  # type: ignore[union-attr]

        def submit(number: int, nodes: int, seconds: float = 0) -> Future[Any]:
            asked = {"num_nodes": nodes, "ranks_per_node": 2}
            future: Future[Any] = app(
                number, seconds, stdout=str(folder / f"out{number}"), parsl_resource_specification=asked
            )
            return future

        yield submit


def ranks_in(path: Path) -> list[list[str]]:
    return sorted(line.split() for line in path.read_text().splitlines())


@pytest.mark.usefixtures("slurm")
def test_tasks_of_different_widths_share_a_job(tmp_path: Path) -> None:
    site = site_with_mpi(tmp_path, nodes=3)
    with mpi_tasks(site) as submit:
        # The third does not fit when the first has ended, and waits for the second.
        futures = [submit(0, 1, 0.5), submit(1, 1, 3), submit(2, 3), submit(3, 2)]
        assert [future.result(90) for future in futures] == [0, 0, 0, 0]
    on = [{node for node, _ in ranks_in(tmp_path / f"out{k}")} for k in range(4)]
    assert list(map(len, on)) == [1, 1, 3, 2]
    assert on[0] != on[1]
    assert [len(ranks_in(tmp_path / f"out{k}")) for k in range(4)] == [2, 2, 6, 4]


@pytest.mark.usefixtures("slurm")
def test_what_no_job_of_the_group_can_hold_is_refused(tmp_path: Path) -> None:
    with mpi_tasks(site_with_mpi(tmp_path)) as submit:
        with pytest.raises(InvalidTask, match=r"asks for 3 nodes, and a job of group 'mpi' has 2.*raise 'nodes'"):
            submit(0, 3).result(30)
        with pytest.raises(InvalidTask, match="an MPI task says how many nodes it needs"):
            submit(1, 0).result(30)


def test_a_job_that_stands_idle_is_given_back(slurm: Slurm, tmp_path: Path) -> None:
    with mpi_tasks(site_with_mpi(tmp_path, idle_s=1)) as submit:
        assert submit(0, 2).result(90) == 0
        running = time.monotonic()
        slurm.wait_until(lambda: not slurm.run("squeue", "--noheader", "--partition=cpu").strip(), 60, "no job")
        assert time.monotonic() - running > 1
        assert submit(1, 1).result(90) == 0  # and another is asked for when there is work again


@pytest.mark.usefixtures("slurm")
def test_circuits_and_mpi_solvers_are_nodes_of_one_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with_mpi(tmp_path)
    monkeypatch.chdir(tmp_path)
    program = [sys.executable, "-m", "conqure.workflows.mpi_vqe", "--qubits", "6", "--iterations", "2"]
    graph = ["--graph", "--site", str(site.path), "--starts", "2", "--nodes", "1", "--ranks-per-node", "2"]
    done = subprocess.run([*program, *graph], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    alone = subprocess.run([*program, "--site", "laptop"], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[0] + "\n" == alone.stdout
    assert done.stdout.splitlines()[1].startswith("seed 2: energy ")


def test_its_executor_is_parsls_own_with_absolute_commands(tmp_path: Path) -> None:
    executor = next(e for e in parsl_config(site_with_mpi(tmp_path)).executors if e.label == "mpi")
    assert isinstance(executor, GroupMPIExecutor)
    assert executor.mpi_launcher == "srun"
    assert executor.max_workers_per_block == 2
    assert executor.launch_cmd.startswith(sys.executable)
    assert executor.interchange_launch_cmd[0] == sys.executable
    assert executor.address == "127.0.0.1"
