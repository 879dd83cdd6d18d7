"""SPSA: a gradient estimate from two energies, whatever the number of parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from .ansatz import Ansatz
from .pauli import Floats
from .search import Search, SearchRecord, check_positive


@dataclass(frozen=True)
class Spsa:
    """Simultaneous perturbation: two energies per step, whatever the number of parameters (Spall 1992).

    Gains a/(k+1+A)^0.602 and c/(k+1)^0.101; ``a`` is chosen from a first round of ``calibration`` pairs so that the
    first step moves each parameter by about ``first_step`` radians. The result is the mean of the last tenth of
    the iterates.
    """

    name: ClassVar[str] = "spsa"
    iterations: int = 150
    perturbation: float = 0.2
    first_step: float = 0.2
    calibration: int = 5

    def __post_init__(self) -> None:
        check_positive(self, "iterations", "perturbation", "first_step", "calibration")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        return ansatz

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        return _SpsaSearch(x0, x0, np.zeros_like(x0), self, seed)

    def evaluations(self, ansatz: Ansatz) -> int:
        return 2 * (self.iterations + self.calibration)


@dataclass(frozen=True)
class _SpsaSearch(SearchRecord):
    iterate: Floats
    tail: Floats  # sum of the iterates that the result is the mean of
    settings: Spsa
    seed: int
    gain: float = 0.0
    step: int = -1  # -1 is the calibration

    def ask(self) -> Floats:
        if self.step == self.settings.iterations:
            return self.nothing
        shifts = self._width() * self._signs()
        return np.concatenate([self.iterate + shifts, self.iterate - shifts])

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        pairs = energies.reshape(2, -1)
        slopes = (pairs[0] - pairs[1]) / (2 * self._width())
        told = replace(self, energy=float(energies.mean()), error=float(np.sqrt(errors @ errors)) / len(errors))
        settings, steadiness = self.settings, 0.1 * self.settings.iterations
        if self.step < 0:
            steepness = float(np.abs(slopes).mean()) or 1.0
            gain = settings.first_step * (1 + steadiness) ** 0.602 / steepness
            return replace(told, step=0, gain=gain)
        rate = self.gain / (self.step + 1 + steadiness) ** 0.602
        iterate = self.iterate - rate * slopes[0] * self._signs()[0]
        done = self.step + 1
        first_kept = settings.iterations - max(1, settings.iterations // 10)
        tail = self.tail + iterate if done > first_kept else self.tail
        parameters = tail / (done - first_kept) if done > first_kept else iterate
        return replace(told, parameters=parameters, iterate=iterate, tail=tail, step=done)

    def _width(self) -> float:
        return self.settings.perturbation / float(max(self.step, 0) + 1) ** 0.101

    def _signs(self) -> Floats:
        """Directions of this step, entries ±1, shape (pairs, n_parameters)."""
        rng = np.random.default_rng([self.seed, self.step + 1])
        return rng.choice(np.array([-1.0, 1.0]), (self.settings.calibration if self.step < 0 else 1, len(self.iterate)))
