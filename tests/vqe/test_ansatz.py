"""Circuits against matrices and against PennyLane."""

import json
from typing import Any

import numpy as np
import pytest

from conqure.workflows.vqe import InvalidProblem, MaxCut, Molecule, PauliSum, listing2, make_ansatz, qaoa, uccsd
from conqure.workflows.vqe.ansatz import Ansatz

TRIANGLE = MaxCut.of("triangle", [(0, 1, 0.5), (1, 2, 1.0), (0, 2, 2.0)])
EVERY = [listing2(4), listing2(3, layers=2), qaoa(TRIANGLE.hamiltonian, 2), uccsd(4, 2)]


def test_listing_2_is_the_papers_circuit_gate_by_gate() -> None:
    program = json.loads(listing2(3).program("ZZZ"))
    assert program["ops"] == [
        ["h", [0]],
        ["ry", [0], [[0.0, 0, 1.0]]],
        ["ry", [1], [[0.0, 1, 1.0]]],
        ["ry", [2], [[0.0, 2, 1.0]]],
        ["cx", [0, 1]],
        ["cx", [1, 2]],
        ["ry", [0], [[0.0, 3, 1.0]]],
        ["ry", [1], [[0.0, 4, 1.0]]],
        ["ry", [2], [[0.0, 5, 1.0]]],
        ["measure", [0, 1, 2], [0, 1, 2]],
    ]
    assert len(program["parameters"]) == 6


def test_the_measurement_ends_in_the_bases_asked_for() -> None:
    ops = json.loads(listing2(4).program("XYZI"))["ops"]
    assert ops[-4:-1] == [["h", [0]], ["sdg", [1]], ["h", [1]]]


@pytest.mark.parametrize("layers", [1, 2])
def test_qaoa_is_the_product_of_its_two_exponentials(layers: int, statevector: Any) -> None:
    parameters = np.random.default_rng(3).normal(size=2 * layers)
    energies = np.array([TRIANGLE.hamiltonian.expectation(column) for column in np.eye(8)])
    energies -= TRIANGLE.hamiltonian.offset
    state = np.full(8, 8**-0.5, dtype=complex)
    for gamma, beta in zip(parameters[:layers], parameters[layers:], strict=True):
        one = np.array([[np.cos(beta), -1j * np.sin(beta)], [-1j * np.sin(beta), np.cos(beta)]])
        state = np.kron(one, np.kron(one, one)) @ (np.exp(-1j * gamma * energies) * state)
    found = statevector.statevector(qaoa(TRIANGLE.hamiltonian, layers).program("ZZZ"), parameters)
    assert abs(np.vdot(found, state)) == pytest.approx(1)


def test_the_excitations_are_pennylanes(statevector: Any) -> None:
    import pennylane as qml

    ansatz = uccsd(6, 2)
    parameters = np.random.default_rng(0).normal(size=ansatz.n_parameters)
    doubles = [(0, 1, a, b) for a in range(2, 6) for b in range(a + 1, 6) if a % 2 != b % 2]
    singles = [(i, a) for i in (0, 1) for a in range(2, 6) if i % 2 == a % 2]
    assert ansatz.n_parameters == len(doubles) + len(singles)

    @qml.qnode(qml.device("default.qubit", wires=range(5, -1, -1)))
    def state() -> Any:
        qml.BasisState(np.array([1, 1, 0, 0, 0, 0]), wires=range(6))
        for angle, wires in zip(parameters, (*doubles, *singles), strict=True):
            (qml.DoubleExcitation if len(wires) == 4 else qml.SingleExcitation)(angle, wires=wires)
        return qml.state()

    found = statevector.statevector(ansatz.program("Z" * 6), parameters)
    assert abs(np.vdot(np.asarray(state()), found)) == pytest.approx(1)


@pytest.mark.parametrize("ansatz", EVERY, ids=lambda a: f"{a.name}-{a.n_parameters}")
def test_one_parameter_per_gate_gives_the_same_state(ansatz: Ansatz, statevector: Any) -> None:
    parameters = ansatz.initial(np.random.default_rng(1))
    wide, matrix = ansatz.per_gate()
    basis = "Z" * ansatz.n_qubits
    state = statevector.statevector(ansatz.program(basis), parameters)
    assert np.allclose(statevector.statevector(wide.program(basis), matrix @ parameters), state)


@pytest.mark.parametrize("ansatz", [a for a in EVERY if a.harmonics], ids=lambda a: f"{a.name}-{a.n_parameters}")
def test_the_energy_is_the_fourier_series_that_the_ansatz_says(ansatz: Ansatz, statevector: Any) -> None:
    """Twice as many points as the series needs: every further coefficient is zero, for each parameter."""
    rng = np.random.default_rng(5)
    letters = ["".join(rng.choice(list("IXYZ"), ansatz.n_qubits)) for _ in range(6)]
    operator = PauliSum(ansatz.n_qubits, tuple((string, rng.normal()) for string in dict.fromkeys(letters)))
    program, base = ansatz.program("Z" * ansatz.n_qubits), ansatz.initial(rng)
    assert ansatz.harmonics is not None
    for index, (frequency, order) in enumerate(ansatz.harmonics):
        n = 4 * order + 2
        points = np.repeat(base[None], n, axis=0)
        points[:, index] += 2 * np.pi / frequency * np.arange(n) / n
        energies = [operator.expectation(statevector.statevector(program, point)) for point in points]
        coefficients = np.abs(np.fft.rfft(energies)) / n
        assert np.all(coefficients[order + 1 :] < 1e-12)


def test_an_ansatz_that_does_not_suit_the_problem_says_which_do() -> None:
    with pytest.raises(InvalidProblem, match="for molecules; for triangle choose listing2 or qaoa"):
        make_ansatz("uccsd", TRIANGLE)
    with pytest.raises(InvalidProblem, match=r"no ansatz 'vqe'\. There are: listing2, qaoa, uccsd"):
        make_ansatz("vqe", TRIANGLE)
    molecule = Molecule("toy", 1.0, 1, PauliSum(2, (("XX", 1.0),)))
    with pytest.raises(InvalidProblem, match="QAOA needs a Hamiltonian of Z and I only"):
        make_ansatz("qaoa", molecule)
    with pytest.raises(InvalidProblem, match="layers must be at least 1"):
        make_ansatz("listing2", TRIANGLE, 0)
