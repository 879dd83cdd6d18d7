"""The worked example: a distributed solver as the classical node of a VQE, checked against exact diagonalisation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conqure.workflows.mpi_vqe.loop import State, configurations, program
from conqure.workflows.mpi_vqe.solver import Ising, block, lanczos
from qpu_executors import QPU, QPUThreadPool, QuantumTask, run

from .compiling import BIN, need
from .test_mpi import ROOT_MAY

SOLVE = """
import sys
import numpy as np
from mpi4py import MPI
from conqure.workflows.mpi_vqe.solver import Ising, ground_state
comm = MPI.COMM_WORLD
for n, field in ((6, 0.5), (8, 1.3), (1, 0.7)):
    model, some = Ising(n, field), np.unique(np.random.default_rng(n).integers(0, 1 << n, 3 << n >> 2))
    for chosen in (np.arange(1 << n), some, some[:1]):
        energy, vector = ground_state(comm, model, chosen)
        dense = model.rows(np.arange(1 << n), 0, 1 << n).toarray()[np.ix_(chosen, chosen)]
        exact = np.linalg.eigvalsh(dense)[0]
        assert abs(energy - exact) < 1e-9, (n, energy, exact)
        assert abs(vector @ dense @ vector - exact) < 1e-9
        assert abs(vector @ vector - 1) < 1e-9
sys.stdout.write(f"agrees {comm.size}\\n")  # in one piece, however the ranks take turns
"""


def dense(n: int, field: float) -> np.ndarray:
    """The Hamiltonian from its definition, qubit 0 the last factor of the tensor product."""
    x, z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])

    def acting(*factors: tuple[int, np.ndarray]) -> np.ndarray:
        whole = np.eye(1)
        for qubit in reversed(range(n)):
            whole = np.kron(whole, dict(factors).get(qubit, np.eye(2)))
        return whole

    bonds = sum(acting((q, z), (q + 1, z)) for q in range(n - 1))
    return -bonds - field * sum(acting((q, x)) for q in range(n))


@pytest.mark.parametrize(("n", "field"), [(2, 0.5), (5, 1.0), (6, 0.3)])
def test_the_rows_are_those_of_the_hamiltonian(n: int, field: float) -> None:
    all_ = np.arange(1 << n)
    exact = dense(n, field)
    assert np.allclose(Ising(n, field).rows(all_, 0, 1 << n).toarray(), exact)
    some = np.array([0, 1, 3])
    assert np.allclose(Ising(n, field).rows(some, 1, 3).toarray(), exact[np.ix_(some, some)][1:3])


def test_lanczos_finds_the_lowest_eigenpair_of_a_dense_matrix() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(40, 40))
    matrix += matrix.T
    value, vector = lanczos(lambda v: matrix @ v, np.full(40, 40**-0.5), lambda values: values)
    assert abs(value - np.linalg.eigvalsh(matrix)[0]) < 1e-9
    assert np.linalg.norm(matrix @ vector - value * vector) < 1e-7


def test_blocks_cover_all_rows_once_also_with_more_ranks_than_rows() -> None:
    class Comm:
        def __init__(self, rank: int, size: int) -> None:
            self.rank, self.size = rank, size

    for n, size in ((10, 3), (2, 5), (0, 2)):
        rows = [row for rank in range(size) for row in range(*block(Comm(rank, size), n))]
        assert rows == list(range(n))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_finds_what_exact_diagonalisation_finds(ranks: int, tmp_path: Path) -> None:
    need(shutil.which("mpirun"), "Open MPI")
    (tmp_path / "solve.py").write_text(SOLVE)
    said = started(["mpirun", "--oversubscribe", "-n", str(ranks), sys.executable, "solve.py"], tmp_path)
    assert said.split("\n")[:-1] == [f"agrees {ranks}"] * ranks


def test_the_circuit_at_angles_of_zero_makes_two_configurations() -> None:
    with QPUThreadPool([QPU("sv0", "statevector", 8)]) as pool:
        counts = pool.submit(run, QuantumTask(program(5, 1), parameter_values=[0.0] * 5)).result().counts[0]
    assert set(configurations(counts)) == {0, 31}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conqure.toml").write_text(
        '[qpu.sv0]\ndriver = "statevector"\nqubits = 10\n[qpu.sv1]\ndriver = "statevector"\nqubits = 10\n'
    )
    return tmp_path


@pytest.mark.slow
def test_it_is_the_same_program_alone_under_mpirun_and_under_openmpq_run(folder: Path) -> None:
    need(shutil.which("mpirun"), "Open MPI")
    program = [sys.executable, "-m", "conqure.workflows.mpi_vqe", "--qubits", "6", "--iterations", "12"]
    alone = started(program, folder)
    energy = float(re.findall(r"energy (\S+),", alone)[0])
    exact = np.linalg.eigvalsh(dense(6, 0.5))[0]
    assert exact - 1e-9 <= energy < exact + 0.02
    assert started(["mpirun", "--oversubscribe", "-n", "3", *program], folder) == alone
    shared = [str(BIN / "openmpq-run"), "-q", "--json", "run.json", "-n", "2", *program]
    assert started(shared, folder, OPENMPQ_MPIRUN="mpirun --oversubscribe") == alone
    assert '"circuits": 24' in (folder / "run.json").read_text()


def test_a_state_waits_in_a_file(tmp_path: Path) -> None:
    state = State.begin(4, 0.5, 1, 100, 3)
    state.write(tmp_path / "state")
    assert State.read(tmp_path / "state") == state
    assert state.ask(0).parameter_values != state.ask(1).parameter_values


def started(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ROOT_MAY | variables, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
