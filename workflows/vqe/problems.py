"""What a VQE needs to know about a problem, and how a problem is kept in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .ansatz import ANSATZE, Ansatz
from .errors import InvalidProblem
from .pauli import PauliSum


class Problem(Protocol):
    """A Hamiltonian whose lowest energy is wanted, and how to speak about it.

    Attributes:
        name: short, for folder names and titles.
        unit: of the energy, for axis labels.
        ansatz: the name of the circuit family to use when nobody says.
    """

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def ansatz(self) -> str: ...
    @property
    def hamiltonian(self) -> PauliSum: ...

    def exact_energy(self) -> float | None:
        """The lowest energy, computed exactly; None where that takes too long."""
        ...

    def mass_on_optimum(self, counts: Mapping[str, int]) -> float | None:
        """Share of the shots that are solutions; None where a bit string is not a solution, or none is known."""
        ...

    def describe(self, bitstring: str, exact: float | None = None) -> str:
        """What a measured bit string (qubit 0 rightmost) says, in one line, beside the exact energy if it is known."""
        ...

    def to_dict(self) -> dict[str, Any]: ...


def read_problem(values: Mapping[str, Any]) -> Problem:
    """The problem that `Problem.to_dict` wrote."""
    from .maxcut import MaxCut
    from .molecule import Molecule

    kinds: dict[str, Any] = {"maxcut": MaxCut, "molecule": Molecule}
    return kinds[values["kind"]].from_dict(values)


def make_ansatz(name: str | None, problem: Problem, layers: int = 1) -> Ansatz:
    """The circuit family of this name for a problem; by default the one the problem prefers."""
    name, n_qubits = name or problem.ansatz, problem.hamiltonian.n_qubits
    if layers < 1:
        raise InvalidProblem(f"layers must be at least 1, not {layers}.")
    if name == "listing2":
        return ANSATZE[name](n_qubits, layers)
    if name == "qaoa":
        return ANSATZE[name](problem.hamiltonian, layers)
    if name == "uccsd":
        n_electrons = getattr(problem, "n_electrons", None)
        if n_electrons is None:
            raise InvalidProblem(f"ansatz 'uccsd' is for molecules; for {problem.name} choose listing2 or qaoa.")
        return ANSATZE[name](n_qubits, n_electrons)
    raise InvalidProblem(f"no ansatz {name!r}. There are: {', '.join(ANSATZE)}.")
