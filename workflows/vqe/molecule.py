"""Small molecules: the qubit Hamiltonian from PennyLane's own quantum chemistry (no PySCF), in Jordan-Wigner form.

Minimal basis STO-3G. PennyLane is imported only when a Hamiltonian is computed; a run folder keeps the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qpu_executors import MissingPackage

from .errors import InvalidProblem
from .pauli import PauliSum


@dataclass(frozen=True)
class _Species:
    atoms: tuple[str, str]
    bond: float  # equilibrium length, angstrom
    n_electrons: int
    active: tuple[int, int] | None  # (electrons, orbitals) that the wave function may use


# LiH: the two 1s electrons of lithium stay where they are, the two others use all five orbitals above.
SPECIES = {
    "H2": _Species(("H", "H"), 0.735, 2, None),
    "LiH": _Species(("Li", "H"), 1.57, 4, (2, 5)),
}


@dataclass(frozen=True)
class Molecule:
    """A molecule whose ground state energy is wanted, in hartree.

    Attributes:
        bond: distance of the two nuclei, angstrom.
        n_electrons: active electrons; they fill the lowest qubits in the Hartree-Fock state.

    >>> Molecule.of("H2", 0.735).exact_energy()
    -1.137306
    """

    name: str
    bond: float
    n_electrons: int
    hamiltonian: PauliSum

    unit = "hartree"
    ansatz = "uccsd"

    @classmethod
    def of(cls, species: str, bond: float | None = None, active: tuple[int, int] | None = None) -> Molecule:
        """H2 or LiH at a bond length (angstrom); ``active`` is (electrons, orbitals) to use, the rest stays frozen.

        Raises:
            InvalidProblem: unknown molecule, or a bond length or active space that makes no sense.
            MissingPackage: PennyLane is not installed.
        """
        if species not in SPECIES:
            raise InvalidProblem(f"no molecule {species!r}. There are: {', '.join(SPECIES)}.")
        known = SPECIES[species]
        bond = known.bond if bond is None else bond
        if not 0.2 <= bond <= 10:
            raise InvalidProblem(f"a bond of {bond} angstrom: choose 0.2 to 10. {species} has {known.bond} at rest.")
        electrons, orbitals = active or known.active or (known.n_electrons, None)
        try:
            hamiltonian = _compute(known.atoms, bond, electrons, orbitals)
        except ValueError as error:
            raise InvalidProblem(f"{species} with {electrons} electrons in {orbitals} orbitals: {error}") from None
        return cls(f"{species}-{bond:g}", bond, electrons, hamiltonian)

    def hartree_fock_energy(self) -> float:
        """The energy of the state that the ansatz starts from."""
        state = np.zeros(1 << self.hamiltonian.n_qubits)
        state[(1 << self.n_electrons) - 1] = 1.0
        return self.hamiltonian.expectation(state)

    @cached_property
    def _exact(self) -> float | None:
        return self.hamiltonian.ground_energy()

    def exact_energy(self) -> float | None:
        return self._exact

    def mass_on_optimum(self, counts: Mapping[str, int]) -> float | None:
        return None

    def describe(self, bitstring: str, exact: float | None = None) -> str:
        return f"leading determinant |{bitstring}>"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "molecule",
            "name": self.name,
            "bond": self.bond,
            "n_electrons": self.n_electrons,
            "hamiltonian": self.hamiltonian.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Molecule:
        hamiltonian = PauliSum.from_dict(values["hamiltonian"])
        return cls(values["name"], values["bond"], values["n_electrons"], hamiltonian)


def _compute(atoms: tuple[str, str], bond: float, electrons: int, orbitals: int | None) -> PauliSum:
    try:
        from pennylane import qchem
    except ImportError:
        raise MissingPackage("molecules need PennyLane. Install it: pip install 'conqure[pennylane]'") from None
    geometry = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, bond]])
    molecule = qchem.Molecule(list(atoms), geometry, unit="angstrom")
    operator, n_qubits = qchem.molecular_hamiltonian(
        molecule, method="dhf", mapping="jordan_wigner", active_electrons=electrons, active_orbitals=orbitals
    )
    words = {
        "".join(word.get(q, "I") for q in range(n_qubits)): complex(c).real for word, c in operator.pauli_rep.items()
    }
    offset = words.pop("I" * n_qubits, 0.0)
    return PauliSum(n_qubits, tuple((string, c) for string, c in words.items() if abs(c) > 1e-12), offset)
