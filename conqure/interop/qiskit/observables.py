"""Observables as measurements: which terms one basis serves, and what its counts say about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister

# A term is a word of Qiskit's, the letter of qubit 0 last. Beside Paulis it may have projectors on their eigenstates.
_BASIS = {"X": "X", "+": "X", "-": "X", "Y": "Y", "r": "Y", "l": "Y", "Z": "Z", "0": "Z", "1": "Z"}
_PROJECTS_ON = {"0": 0, "+": 0, "r": 0, "1": 1, "-": 1, "l": 1}


@dataclass(frozen=True)
class Basis:
    """Terms that are measured together.

    Attributes:
        letters: the Pauli that each qubit is measured in, by qubit, for those that any term acts on.
        terms: qubit-wise commuting.
    """

    letters: tuple[tuple[int, str], ...]
    terms: tuple[str, ...]

    def measured(self, circuit: QuantumCircuit) -> QuantumCircuit:
        """The circuit with these measurements behind it, in a register of their own, which is the last one."""
        taken = {register.name for register in circuit.cregs}
        name = next(
            name for name in ("pauli", *(f"pauli{number}" for number in range(len(taken)))) if name not in taken
        )
        found = circuit.copy()
        register = ClassicalRegister(len(self.letters), name)
        found.add_register(register)
        for number, (qubit, letter) in enumerate(self.letters):
            if letter == "Y":
                found.sdg(qubit)
            if letter != "Z":
                found.h(qubit)
            found.measure(qubit, register[number])
        return found

    def values(self, outcomes: NDArray[np.int8]) -> NDArray[np.float64]:
        """What each term is for each outcome.

        Args:
            outcomes: shape (n_outcomes, n_letters), bits.

        Returns:
            Shape (n_outcomes, n_terms).
        """
        flips, mismatches, ones = _tables(self)
        signs = 1.0 - 2.0 * ((outcomes @ flips) & 1)
        projected: NDArray[np.float64] = signs * (outcomes @ mismatches + ones == 0)
        return projected


@lru_cache(maxsize=512)
def bases(terms: frozenset[str], together: bool = True) -> tuple[Basis, ...]:
    """Few bases that serve all terms; with ``together`` false one for each.

    Terms that act on nothing are in none: they are 1.

    >>> [basis.terms for basis in bases(frozenset({"ZZ", "ZI", "XX", "II"}))]
    [('XX',), ('ZI', 'ZZ')]
    """
    groups: list[tuple[dict[int, str], list[str]]] = []
    for term in sorted(terms, key=lambda term: (term.count("I"), term)):  # the widest first: they leave least choice
        letters = {qubit: _BASIS[letter] for qubit, letter in enumerate(reversed(term)) if letter != "I"}
        if not letters:
            continue
        for common, members in groups if together else ():
            if all(common.get(qubit, letter) == letter for qubit, letter in letters.items()):
                common.update(letters)
                members.append(term)
                break
        else:
            groups.append((letters, [term]))
    return tuple(Basis(tuple(sorted(common.items())), tuple(members)) for common, members in groups)


@lru_cache(maxsize=512)
def _tables(basis: Basis) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Which bits flip the sign of which term, which ones a projector compares, and with how many ones."""
    flips = np.zeros((len(basis.letters), len(basis.terms)), np.int32)
    mismatches = np.zeros_like(flips)
    for column, term in enumerate(basis.terms):
        for row, (qubit, _) in enumerate(basis.letters):
            letter = term[-1 - qubit]
            if letter in _PROJECTS_ON:
                mismatches[row, column] = -1 if _PROJECTS_ON[letter] else 1
            elif letter != "I":
                flips[row, column] = 1
    return flips, mismatches, (mismatches == -1).sum(axis=0)


def bits(values: Sequence[int], places: Iterable[int]) -> NDArray[np.int8]:
    """Single bits of whole numbers of any size; shape (len(values), len(places))."""
    at = list(places)
    return np.array([[value >> place & 1 for place in at] for value in values], np.int8).reshape(len(values), len(at))
