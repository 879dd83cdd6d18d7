"""The face of an optimiser: settings that a user chooses, and the search of one start.

Settings (`Rotosolve`, `Spsa`, `Adam`, `Scipy`) are plain numbers and are kept in the run folder.
``settings.begin(ansatz, x0, seed)`` gives one start's *search*: a frozen, picklable record that travels to the
classical pool and back. Nothing in it is drawn from a shared random source, so the same seed and the same energies
give the same points, on any engine, in any order, and again when a run is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from .ansatz import Ansatz
from .errors import InvalidProblem
from .pauli import Floats


class Search(Protocol):
    """One start's search for the lowest energy.

    Attributes:
        parameters: the best estimate so far, radians, shape (n_parameters,).
        energy, error: a measured energy near ``parameters`` and its standard error, for the convergence plot; NaN
            before the first `tell`.
    """

    @property
    def parameters(self) -> Floats: ...
    @property
    def energy(self) -> float: ...
    @property
    def error(self) -> float: ...

    @property
    def point(self) -> Floats:
        """``parameters`` as the circuit takes them (Adam's circuit has one parameter per gate)."""
        ...

    def ask(self) -> Floats:
        """Points to measure together, shape (n_points, columns of the circuit); no rows when the search is over."""
        ...

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        """The search that follows once the points are measured. It leaves this one as it is."""
        ...


class Settings(Protocol):
    """What a user chooses about an optimiser."""

    name: ClassVar[str]

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        """The circuit whose energies this optimiser wants. Raises `InvalidProblem` if the ansatz does not suit it."""
        ...

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search: ...

    def evaluations(self, ansatz: Ansatz) -> int:
        """Energies it will ask for per start, or the most it will."""
        ...


@dataclass(frozen=True)
class SearchRecord:
    """What the searches have in common."""

    parameters: Floats
    energy: float = field(default=float("nan"), kw_only=True)
    error: float = field(default=float("nan"), kw_only=True)

    @property
    def point(self) -> Floats:
        return self.parameters

    @property
    def nothing(self) -> Floats:
        return np.empty((0, len(self.parameters)))


def check_positive(settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise InvalidProblem(f"{settings.name}: {name} must be above 0, not {value}.")
