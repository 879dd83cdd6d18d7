"""Adam on gradients from the parameter-shift rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from .ansatz import Ansatz
from .pauli import Floats
from .search import Search, SearchRecord, check_positive


@dataclass(frozen=True)
class Adam:
    """Gradient descent (Adam, arXiv:1412.6980) with gradients from the parameter-shift rule (arXiv:1811.11184).

    Exact for every rotation gate, so the circuit runs with one parameter per gate: two energies per gate and one at
    the present parameters for each step.
    """

    name: ClassVar[str] = "adam"
    iterations: int = 40
    rate: float = 0.2

    def __post_init__(self) -> None:
        check_positive(self, "iterations", "rate")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        return ansatz.per_gate()[0]

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        return _AdamSearch(x0, ansatz.per_gate()[1], self, np.zeros_like(x0), np.zeros_like(x0))

    def evaluations(self, ansatz: Ansatz) -> int:
        return self.iterations * (2 * len(ansatz.per_gate()[1]) + 1)


@dataclass(frozen=True)
class _AdamSearch(SearchRecord):
    matrix: Floats  # (n_gates, n_parameters)
    settings: Adam
    mean: Floats
    square: Floats
    step: int = 0

    @property
    def point(self) -> Floats:
        return self.matrix @ self.parameters

    def ask(self) -> Floats:
        if self.step == self.settings.iterations:
            return np.empty((0, len(self.matrix)))
        shifts = np.pi / 2 * np.eye(len(self.matrix))
        return self.point + np.concatenate([np.zeros((1, len(shifts))), shifts, -shifts])

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        up, down = energies[1:].reshape(2, -1)
        gradient = (up - down) / 2 @ self.matrix
        step = self.step + 1
        mean = 0.9 * self.mean + 0.1 * gradient
        square = 0.99 * self.square + 0.01 * gradient**2
        move = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        # A rate that falls to a tenth lets the noise of the gradients average out at the end.
        rate = self.settings.rate * 0.1 ** (self.step / self.settings.iterations)
        return replace(
            self,
            parameters=self.parameters - rate * move,
            mean=mean,
            square=square,
            step=step,
            energy=float(energies[0]),
            error=float(errors[0]),
        )
