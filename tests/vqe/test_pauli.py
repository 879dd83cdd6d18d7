"""Energies from counts, against exact linear algebra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conqure.workflows.vqe import PauliSum
from conqure.workflows.vqe.pauli import read_counts

MATRICES = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
HEISENBERG = PauliSum(3, (("XXI", 0.5), ("YYI", 0.5), ("ZZI", 0.5), ("IXX", -0.2), ("IIZ", 0.7), ("YIY", 0.1)), 0.25)


def matrix(operator: PauliSum) -> np.ndarray:
    """Kronecker products, qubit 0 as the least significant."""
    total = operator.offset * np.eye(1 << operator.n_qubits, dtype=complex)
    for string, coefficient in operator.terms:
        term = np.eye(1)
        for letter in string:
            term = np.kron(MATRICES[letter], term)
        total += coefficient * term
    return total


def random_state(n_qubits: int, rng: np.random.Generator) -> np.ndarray:
    state = rng.normal(size=1 << n_qubits) + 1j * rng.normal(size=1 << n_qubits)
    return state / np.linalg.norm(state)


def sample(operator: PauliSum, state: np.ndarray, shots: int, rng: np.random.Generator) -> list[dict[str, int]]:
    """Counts of each group's measurement of a state: every qubit rotated into the group's basis."""
    to_z = {"X": np.array([[1, 1], [1, -1]]) / 2**0.5, "Y": np.array([[1, -1j], [1, 1j]]) / 2**0.5}
    found = []
    for group in operator.groups:
        rotation = np.eye(1)
        for letter in group.basis:
            rotation = np.kron(to_z.get(letter, np.eye(2)), rotation)
        seen = rng.multinomial(shots, np.abs(rotation @ state) ** 2)
        found.append({format(i, f"0{operator.n_qubits}b"): int(n) for i, n in enumerate(seen) if n})
    return found


paulis = st.lists(
    st.tuples(st.text("IXYZ", min_size=3, max_size=3).filter(lambda p: p != "III"), st.floats(-2, 2)),
    min_size=1,
    max_size=12,
    unique_by=lambda term: term[0],
)


@given(paulis)
def test_every_term_is_in_exactly_one_group_whose_basis_measures_it(terms: list[tuple[str, float]]) -> None:
    operator = PauliSum(3, tuple(terms))
    placed = []
    for group in operator.groups:
        for mask, coefficient in zip(group.masks, group.coefficients, strict=True):
            string = "".join(p if acts else "I" for p, acts in zip(group.basis, mask, strict=True))
            placed.append((string, coefficient))
    assert sorted(placed) == sorted(terms)


@given(paulis)
def test_the_exact_expectation_is_that_of_the_matrix(terms: list[tuple[str, float]]) -> None:
    operator, state = PauliSum(3, tuple(terms), 0.5), random_state(3, np.random.default_rng(1))
    assert operator.expectation(state) == pytest.approx(np.vdot(state, matrix(operator) @ state).real)


def test_the_ground_energy_is_the_lowest_eigenvalue_by_every_method() -> None:
    assert HEISENBERG.ground_energy() == pytest.approx(np.linalg.eigvalsh(matrix(HEISENBERG))[0])
    large = PauliSum(9, tuple((string + "I" * 6, c) for string, c in HEISENBERG.terms), 0.25)
    assert large.ground_energy() == pytest.approx(HEISENBERG.ground_energy())
    ising = PauliSum(2, (("ZZ", 1.0), ("ZI", 0.5)))
    assert ising.ground_energy() == -1.5
    assert PauliSum(15, (("Z" * 15, 1.0),)).ground_energy() is None


def test_energies_from_counts_scatter_by_their_standard_errors_around_the_exact_value() -> None:
    """400 repeated measurements: mean of the z scores 0 ± 0.05, their spread 1 ± 0.035, both within four of these."""
    rng = np.random.default_rng(7)
    state = random_state(3, rng)
    exact = HEISENBERG.expectation(state)
    found = np.array([HEISENBERG.estimate(sample(HEISENBERG, state, 500, rng)) for _ in range(400)])
    scores = (found[:, 0] - exact) / found[:, 1]
    assert abs(scores.mean()) < 4 * 0.05
    assert abs(scores.std() - 1) < 4 * 0.035


def test_the_standard_error_counts_covariances_inside_a_group() -> None:
    """On (|00> + |11>)/√2 the terms ZI and -IZ always cancel: no error, although each alone is a fair coin."""
    counts = [{"00": 500, "11": 500}]
    assert PauliSum(2, (("ZI", 1.0), ("IZ", -1.0))).estimate(counts) == (0.0, 0.0)
    energy, error = PauliSum(2, (("ZI", 1.0), ("IZ", 1.0))).estimate(counts)
    assert energy == 0.0
    assert error == pytest.approx(2 / 999**0.5)  # twice one coin's, not √2 times


def test_bit_strings_are_read_in_qiskits_order() -> None:
    bits, numbers = read_counts({"001": 3, "110": 1})
    assert bits.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert numbers.tolist() == [3, 1]


def test_a_single_shot_gives_an_energy_and_no_division_by_zero() -> None:
    assert PauliSum(1, (("Z", 1.0),)).estimate([{"1": 1}]) == (-1.0, 0.0)


@pytest.mark.parametrize(("string", "coefficient"), [("ZZZ", 1.0), ("ZA", 1.0), ("ZZ", float("nan"))])
def test_a_term_that_is_none_is_refused(string: str, coefficient: float) -> None:
    with pytest.raises(ValueError, match=r"must be|is that many"):
        PauliSum(2, ((string, coefficient),))


def test_an_operator_survives_its_json() -> None:
    assert PauliSum.from_dict(HEISENBERG.to_dict()) == HEISENBERG
