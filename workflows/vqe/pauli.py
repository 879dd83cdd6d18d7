"""Sums of Pauli strings: which terms one circuit can measure together, and what its counts say about the energy.

Terms that agree on every qubit where both act (qubit-wise commuting) are measured by one circuit, each qubit rotated
into the group's basis. Within a group the terms are read from the same shots and so are correlated; the standard
error here is that of the group's *sum*, shot by shot, which contains every covariance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bits = NDArray[np.uint8]

DENSE_QUBITS = 8  # up to here a dense eigensolver is quicker than an iterative one
EXACT_QUBITS = 14  # beyond, exact diagonalisation takes minutes


@dataclass(frozen=True)
class PauliSum:
    """A Hermitian operator: ``offset + Σ coefficient · P``.

    Args:
        n_qubits: length of every Pauli string.
        terms: (string, coefficient); character i of a string (I, X, Y or Z) acts on qubit i.
        offset: coefficient of the identity.

    >>> PauliSum(2, (("ZZ", 0.5), ("XI", 1.0))).ground_energy()
    -1.118033988749895
    """

    n_qubits: int
    terms: tuple[tuple[str, float], ...]
    offset: float = 0.0

    def __post_init__(self) -> None:
        for string, coefficient in self.terms:
            if len(string) != self.n_qubits or set(string) - set("IXYZ"):
                raise ValueError(f"a term on {self.n_qubits} qubits is that many of I, X, Y, Z, not {string!r}.")
            if not np.isfinite(coefficient):
                raise ValueError(f"the coefficient of {string} is {coefficient}; it must be a finite number.")

    @property
    def is_diagonal(self) -> bool:
        return all(set(string) <= {"I", "Z"} for string, _ in self.terms)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Qubit-wise commuting groups, the largest coefficients placed first (sorted insertion, arXiv:1908.06942)."""
        placed: list[tuple[str, list[tuple[str, float]]]] = []
        for string, coefficient in sorted(self.terms, key=lambda term: (-abs(term[1]), term[0])):
            for i, (basis, members) in enumerate(placed):
                if (joint := _merge(basis, string)) is not None:
                    placed[i] = (joint, [*members, (string, coefficient)])
                    break
            else:
                placed.append((string, [(string, coefficient)]))
        return tuple(Group.of(basis, members) for basis, members in placed)

    def estimate(self, counts: Sequence[Mapping[str, int]]) -> tuple[float, float]:
        """Energy and its standard error from one counts dict per group, in the order of `groups`."""
        return estimate(self.groups, self.offset, counts)

    def apply(self, state: NDArray[Any]) -> NDArray[np.complex128]:
        """The operator times a state of shape (2**n_qubits,); bit q of the index is qubit q."""
        index = np.arange(1 << self.n_qubits)
        total = self.offset * state.astype(np.complex128)
        for string, coefficient in self.terms:
            flips = sum(1 << q for q, p in enumerate(string) if p in "XY")
            signs = sum(1 << q for q, p in enumerate(string) if p in "YZ")
            source = index ^ flips
            sign = 1.0 - 2.0 * (np.bitwise_count(source & signs) & 1)
            total += coefficient * 1j ** string.count("Y") * sign * state[source]
        return total

    def expectation(self, state: NDArray[Any]) -> float:
        """The exact energy of a normalised state of shape (2**n_qubits,)."""
        return float(np.vdot(state, self.apply(state)).real)

    def ground_energy(self) -> float | None:
        """The lowest eigenvalue by exact diagonalisation; None above 14 qubits."""
        if self.n_qubits > EXACT_QUBITS:
            return None
        size = 1 << self.n_qubits
        if self.is_diagonal:
            return float(self.apply(np.ones(size)).real.min())
        if self.n_qubits <= DENSE_QUBITS:
            return float(np.linalg.eigvalsh(np.array([self.apply(column) for column in np.eye(size)]))[0])
        from scipy.sparse.linalg import LinearOperator, eigsh

        operator = LinearOperator((size, size), matvec=self.apply, dtype=np.complex128)
        return float(eigsh(operator, k=1, which="SA", v0=np.ones(size), return_eigenvectors=False)[0])

    def to_dict(self) -> dict[str, Any]:
        return {"n_qubits": self.n_qubits, "terms": [list(term) for term in self.terms], "offset": self.offset}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PauliSum:
        terms = tuple((string, float(coefficient)) for string, coefficient in values["terms"])
        return cls(values["n_qubits"], terms, float(values["offset"]))


@dataclass(frozen=True, eq=False)
class Group:
    """Terms that one circuit measures together.

    Attributes:
        basis: character i is the basis of qubit i: X, Y, Z, or I where it does not matter.
        masks: (n_terms, n_qubits), 1 where a term acts.
        coefficients: (n_terms,).
    """

    basis: str
    masks: Bits
    coefficients: Floats

    @classmethod
    def of(cls, basis: str, terms: Sequence[tuple[str, float]]) -> Group:
        masks = np.array([[p != "I" for p in string] for string, _ in terms], dtype=np.uint8)
        return cls(basis, masks, np.array([coefficient for _, coefficient in terms]))

    def values(self, bits: Bits) -> Floats:
        """The group's sum for each measured bit string: (n_strings, n_qubits) -> (n_strings,)."""
        odd = (bits @ self.masks.T) & 1
        return (1.0 - 2.0 * odd) @ self.coefficients

    def estimate(self, counts: Mapping[str, int]) -> tuple[float, float]:
        """Mean of the group's sum over the shots, and the variance of that mean."""
        bits, numbers = read_counts(counts)
        shots = numbers.sum()
        values = self.values(bits)
        mean = values @ numbers / shots
        sample_variance = (values - mean) ** 2 @ numbers / max(shots - 1, 1)
        return float(mean), float(sample_variance / shots)


def estimate(groups: Sequence[Group], offset: float, counts: Sequence[Mapping[str, int]]) -> tuple[float, float]:
    """Energy and its standard error from one counts dict per group. Groups are separate samples: variances add."""
    found = [group.estimate(seen) for group, seen in zip(groups, counts, strict=True)]
    return offset + sum(mean for mean, _ in found), float(np.sqrt(sum(variance for _, variance in found)))


def read_counts(counts: Mapping[str, int]) -> tuple[Bits, Floats]:
    """Counts as arrays: bits (n_strings, n_qubits) with column i for qubit i, and how often each string was seen."""
    rows = np.frombuffer("".join(counts).encode(), dtype=np.uint8).reshape(len(counts), -1)
    return (rows[:, ::-1] & 1).astype(np.uint8, copy=False), np.fromiter(
        counts.values(), dtype=np.float64, count=len(counts)
    )


def _merge(basis: str, string: str) -> str | None:
    """The basis that measures both, or None where they disagree."""
    joint = [a if b == "I" else b for a, b in zip(basis, string, strict=True) if a == b or "I" in (a, b)]
    return "".join(joint) if len(joint) == len(basis) else None
