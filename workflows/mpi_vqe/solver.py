"""The classical node: the Hamiltonian on the measured configurations, in blocks of rows, and its lowest eigenpair.

Every function with a ``comm`` is called by all its ranks (mpi4py), with the same configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Configurations = NDArray[np.int64]  # sorted, each once; bit q is qubit q


@dataclass(frozen=True)
class Ising:
    """The open chain ``-Σ Z_i Z_{i+1} - field Σ X_i``."""

    n_qubits: int
    field: float = 1.0

    def rows(self, configurations: Configurations, first: int, last: int) -> csr_matrix:
        """Rows first to last (exclusive) of the Hamiltonian on these configurations, shape (last - first, all)."""
        mine = configurations[first:last]
        place = np.arange(len(mine))
        walls = np.bitwise_count((mine ^ (mine >> 1)) & ((1 << (self.n_qubits - 1)) - 1)).astype(float)
        entries = [(place, first + place, 2.0 * walls - (self.n_qubits - 1))]
        for qubit in range(self.n_qubits):
            flipped = mine ^ (1 << qubit)
            column = np.minimum(np.searchsorted(configurations, flipped), len(configurations) - 1)
            known = configurations[column] == flipped
            entries.append((place[known], column[known], np.full(known.sum(), -self.field)))
        row, column, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        return csr_matrix((value, (row, column)), shape=(len(mine), len(configurations)))


def block(comm: Any, n: int) -> tuple[int, int]:
    """Which of n rows are this rank's."""
    return n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size


def ground_state(comm: Any, model: Ising, configurations: Configurations) -> tuple[float, Floats]:
    """The lowest energy within the span of some configurations, and the whole eigenvector, on every rank."""
    n = len(configurations)
    first, last = block(comm, n)
    matrix = model.rows(configurations, first, last)
    sizes = [n * (rank + 1) // comm.size - n * rank // comm.size for rank in range(comm.size)]

    def gather(part: Floats) -> Floats:
        whole = np.empty(n)
        comm.Allgatherv(np.ascontiguousarray(part), (whole, sizes))
        return whole

    def total(values: Floats) -> Floats:
        summed = np.empty_like(values)
        comm.Allreduce(values, summed)
        return summed

    # Its amplitudes all have one sign (Perron-Frobenius), so the even vector is never orthogonal to it.
    energy, part = lanczos(lambda v: matrix @ gather(v), np.full(last - first, n**-0.5), total)
    return energy, gather(part)


def lanczos(
    apply: Callable[[Floats], Floats],
    start: Floats,
    total: Callable[[Floats], Floats],
    tolerance: float = 1e-10,
    most: int = 300,
) -> tuple[float, Floats]:
    """The lowest eigenpair of a symmetric matrix whose vectors are spread over ranks.

    Args:
        apply: the matrix times a vector, of which each rank holds and gets its part. start: of length 1.
        total: sums small arrays over all ranks.
        tolerance: the length of the residual at which it stops.
    """
    basis = [start]
    alphas: list[float] = []
    betas: list[float] = []
    while True:
        vector = apply(basis[-1])
        alphas.append(float(total(np.array([basis[-1] @ vector]))[0]))
        known = np.array(basis)
        for _ in range(2):  # rounding brings back what was projected out: twice is enough
            vector = vector - known.T @ total(known @ vector)
        beta = float(np.sqrt(total(np.array([vector @ vector]))[0]))
        values, vectors = eigh_tridiagonal(alphas, betas, select="i", select_range=(0, 0))
        if abs(beta * vectors[-1, 0]) < tolerance or len(basis) == most:
            return float(values[0]), known.T @ vectors[:, 0]
        betas.append(beta)
        basis.append(vector / beta)
