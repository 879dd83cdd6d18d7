"""Hamiltonians of molecules, against known energies and exact diagonalisation."""

import json
from typing import Any

import numpy as np
import pytest

from conqure import Engine
from conqure.workflows.vqe import InvalidProblem, Molecule, Rotosolve, make_ansatz, solve
from conqure.workflows.vqe.search import Search

CHEMICAL_ACCURACY = 1.6e-3  # hartree


@pytest.fixture(scope="module")
def h2() -> Molecule:
    return Molecule.of("H2", 0.735)


def lowest_exact(molecule: Molecule, statevector: Any, sweeps: int) -> float:
    """The energy that Rotosolve reaches from the Hartree-Fock state with exact expectations."""
    hamiltonian, ansatz = molecule.hamiltonian, make_ansatz(None, molecule)
    program = ansatz.program("Z" * hamiltonian.n_qubits)
    search: Search = Rotosolve(sweeps).begin(ansatz, np.zeros(ansatz.n_parameters), 0)
    while len(points := search.ask()):
        states = [statevector.statevector(program, point) for point in points]
        energies = np.array([hamiltonian.expectation(state) for state in states])
        search = search.tell(points, energies, np.zeros_like(energies))
    return hamiltonian.expectation(statevector.statevector(program, search.point))


def test_hydrogen_has_the_energies_of_the_literature(h2: Molecule) -> None:
    """STO-3G at 0.735 angstrom: full configuration interaction -1.137306, Hartree-Fock -1.116999 (Qiskit Nature)."""
    assert h2.exact_energy() == pytest.approx(-1.137306, abs=1e-6)
    assert h2.hartree_fock_energy() == pytest.approx(-1.116999, abs=1e-6)


def test_the_terms_of_hydrogen_are_measured_by_five_circuits(h2: Molecule) -> None:
    assert len(h2.hamiltonian.terms) == 14
    assert sorted(group.basis for group in h2.hamiltonian.groups) == ["XXYY", "XYYX", "YXXY", "YYXX", "ZZZZ"]


@pytest.mark.parametrize("bond", [0.5, 0.735, 2.0])
def test_the_ansatz_reaches_the_ground_state_of_hydrogen_at_any_bond_length(bond: float, statevector: Any) -> None:
    molecule, exact = Molecule.of("H2", bond), Molecule.of("H2", bond).exact_energy()
    assert exact is not None
    assert lowest_exact(molecule, statevector, 3) - exact < 0.01 * CHEMICAL_ACCURACY


@pytest.mark.slow
def test_lithium_hydride_reaches_chemical_accuracy_in_a_small_active_space(statevector: Any) -> None:
    molecule = Molecule.of("LiH", active=(2, 3))
    exact = molecule.exact_energy()
    assert molecule.hamiltonian.n_qubits == 6
    assert exact == pytest.approx(-7.863746, abs=1e-5)
    assert exact is not None
    assert molecule.hartree_fock_energy() > exact + 0.6 * CHEMICAL_ACCURACY
    assert lowest_exact(molecule, statevector, 4) - exact < 0.1 * CHEMICAL_ACCURACY


@pytest.mark.drill
def test_lithium_hydride_reaches_chemical_accuracy_in_its_default_active_space(statevector: Any) -> None:
    molecule = Molecule.of("LiH")
    exact = molecule.exact_energy()
    assert molecule.hamiltonian.n_qubits == 10
    assert exact == pytest.approx(-7.88245, abs=1e-4)
    assert exact is not None
    assert lowest_exact(molecule, statevector, 2) - exact < CHEMICAL_ACCURACY


def test_a_measured_run_agrees_with_exact_diagonalisation_within_its_errors(h2: Molecule, engine: Engine) -> None:
    """Each of three starts ends within chemical accuracy, and measures its energy within four standard errors."""
    result = solve(h2, qpus=engine.qpus, cpus=engine.cpus, starts=3, shots=1000, final_shots=20_000, seed=2)
    assert result.exact is not None
    for start in result.starts:
        assert start.noiseless is not None
        assert 0 <= start.noiseless - result.exact + 1e-12 < CHEMICAL_ACCURACY
        assert abs(start.energy - start.noiseless) < 4 * start.error
        assert start.error < 2e-3
    assert result.best.bitstring == "0011"  # the two lowest spin orbitals are filled


def test_a_molecule_survives_its_json_without_pennylane(h2: Molecule) -> None:
    assert Molecule.from_dict(json.loads(json.dumps(h2.to_dict()))) == h2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"species": "H3"}, r"no molecule 'H3'\. There are: H2, LiH"),
        ({"species": "H2", "bond": 0.0}, r"a bond of 0\.0 angstrom: choose 0\.2 to 10"),
        ({"species": "H2", "bond": float("nan")}, "a bond of nan"),
        ({"species": "LiH", "active": (2, 50)}, "LiH with 2 electrons in 50 orbitals"),
        ({"species": "LiH", "active": (3, 2)}, "LiH with 3 electrons in 2 orbitals"),
    ],
)
def test_a_molecule_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        Molecule.of(**arguments)
