"""Rotosolve: one parameter at a time to the minimum of the Fourier series that the energy is in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from .ansatz import Ansatz
from .errors import InvalidProblem
from .pauli import Floats
from .search import Search, SearchRecord, check_positive


@dataclass(frozen=True)
class Rotosolve:
    """One parameter at a time, each set to the minimum of the Fourier series that the energy is in it.

    The series is fixed by 2·order + 1 energies at equally spaced angles: three for a rotation gate, five for an
    excitation. No step size, no gradient (arXiv:1905.09692, arXiv:1903.12166, excitations arXiv:2409.05939).
    """

    name: ClassVar[str] = "rotosolve"
    sweeps: int = 2

    def __post_init__(self) -> None:
        check_positive(self, "sweeps")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        if ansatz.harmonics is None:
            raise InvalidProblem(
                f"rotosolve needs an energy that is a short Fourier series in each angle; {ansatz.name} uses an angle "
                "in many gates. Choose another optimizer for it: spsa, adam, cobyla."
            )
        return ansatz

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        assert ansatz.harmonics is not None
        return _RotosolveSearch(x0, ansatz.harmonics, self.sweeps * len(x0))

    def evaluations(self, ansatz: Ansatz) -> int:
        return self.sweeps * sum(2 * order + 1 for _, order in ansatz.harmonics or ())


@dataclass(frozen=True)
class _RotosolveSearch(SearchRecord):
    harmonics: tuple[tuple[float, int], ...]
    left: int  # parameters still to be set

    def ask(self) -> Floats:
        if not self.left:
            return self.nothing
        index, shifts = self._line()
        points = np.repeat(self.parameters[None], len(shifts), axis=0)
        points[:, index] += shifts
        return points

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        index, _ = self._line()
        frequency, _ = self.harmonics[index]
        parameters = self.parameters.copy()
        angle = parameters[index] + lowest_angle(energies) / frequency
        period = 2 * np.pi / frequency
        parameters[index] = angle - period * np.round(angle / period)
        # The first point is the present parameters themselves: its energy is the honest one.
        return replace(
            self, parameters=parameters, left=self.left - 1, energy=float(energies[0]), error=float(errors[0])
        )

    def _line(self) -> tuple[int, Floats]:
        """The parameter whose turn it is, and the shifts at which its series is measured."""
        index = -self.left % len(self.parameters)
        frequency, order = self.harmonics[index]
        return index, 2 * np.pi / frequency * np.arange(2 * order + 1) / (2 * order + 1)


def lowest_angle(values: Floats) -> float:
    """Where a real Fourier series is lowest, given its values at 2R+1 equally spaced angles from 0.

    >>> round(lowest_angle(np.cos(2 * np.pi * np.arange(3) / 3 - 0.5)) % (2 * np.pi) - np.pi, 9)
    0.5
    """
    order = len(values) // 2
    coefficients = np.fft.fft(values) / len(values)
    if order == 1:
        return float(np.pi - np.angle(coefficients[1]))
    m = np.arange(-order, order + 1)
    series = coefficients[m]
    derivative = (1j * m * series)[::-1]  # a polynomial in z = exp(iφ), highest power first
    angles = np.append(np.angle(np.roots(derivative)), 0.0)
    heights = (np.exp(1j * np.outer(angles, m)) @ series).real
    return float(angles[np.argmin(heights)])
