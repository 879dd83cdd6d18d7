"""Observables in the Z basis: the gates that take them there, and the eigenvalue that a shot then stands for.

Sums of Pauli words that agree about the basis of each wire are measured together, each shot giving the whole sum; what
else there is goes PennyLane's way, factor by factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.measurements import ExpectationMP, VarianceMP
from pennylane.ops import Prod, SProd, Sum
from pennylane.ops.op_math import CompositeOp
from pennylane.ops.qubit.observables import BasisStateProjector
from pennylane.tape import QuantumScript

Array = NDArray[Any]
_SIGNS = (qml.PauliX, qml.PauliY, qml.PauliZ, qml.Hadamard)


def basis_of(measurement: Any) -> dict[Any, str] | None:
    """Wire to X, Y or Z, if the observable is a sum of Pauli words that agree about it; else None."""
    words = measurement.obs.pauli_rep
    if words is None or not words or any(np.imag(factor) for factor in words.values()):
        return None
    if len(words) > 1 and not isinstance(measurement, (ExpectationMP, VarianceMP)):
        return None  # equal sums would differ in their last digit, and so be counted apart
    return agreed(words)


def agreed(bases: Any) -> dict[Any, str] | None:
    """Several bases as one; None if two differ about a wire."""
    found: dict[Any, str] = {}
    for basis in bases:
        if any(found.setdefault(wire, letter) != letter for wire, letter in basis.items()):
            return None
    return found


def rotations(measurements: Sequence[Any]) -> list[Any]:
    """The gates that make all these observables diagonal; no two may disagree about a wire."""
    basis: dict[Any, str] = {}
    others = []
    for measurement in measurements:
        if measurement.obs is not None:
            own = basis_of(measurement)
            if own is None:
                others.append(measurement)
            else:
                basis |= own
    with qml.QueuingManager.stop_recording():
        gates = [gate for wire, letter in basis.items() for gate in _rotation(letter, wire)]
        return gates + (QuantumScript([], others).diagonalizing_gates if others else [])


def _rotation(letter: str, wire: Any) -> list[Any]:
    if letter == "Z":
        return []
    return [qml.Hadamard(wire)] if letter == "X" else [qml.adjoint(qml.S(wire)), qml.Hadamard(wire)]


def eigenvalues(measurement: Any, place: Mapping[Any, int], bits: Array) -> Array:
    """The observable's eigenvalue for each line of bits, shape (n,), once `rotations` were applied.

    Args:
        place: wire to column of ``bits``, shape (n, n_columns).
    """
    if basis_of(measurement) is None:
        return _by_factors(measurement.obs, place, bits)
    signs = 1.0 - 2.0 * bits
    values = np.zeros(len(bits))
    for word, factor in measurement.obs.pauli_rep.items():
        values += np.real(factor) * signs[:, [place[wire] for wire in word]].prod(axis=1)
    return values


def _by_factors(observable: Any, place: Mapping[Any, int], bits: Array) -> Array:
    """As PennyLane diagonalizes: each operand of a product or a sum by itself where they share no wire."""
    match observable:
        case qml.Identity():
            return np.ones(len(bits))
        case _ if isinstance(observable, _SIGNS):
            return 1.0 - 2.0 * bits[:, place[observable.wires[0]]]
        case BasisStateProjector():  # PennyLane puts its eigenvalue 1 last, without a gate that would take it there
            state = np.asarray(observable.data[0]).astype(int)
            return np.all(bits[:, [place[wire] for wire in observable.wires]] == state, axis=1).astype(float)
        case SProd():
            return _real(observable.scalar * _by_factors(observable.base, place, bits))
        case Prod() | Sum() if _are_apart(observable):
            combine = np.multiply if isinstance(observable, Prod) else np.add
            return reduce(combine, (_by_factors(operand, place, bits) for operand in observable.operands))
    values = _real(observable.eigvals())
    return values[index(bits[:, [place[wire] for wire in observable.wires]])]


def _are_apart(observable: CompositeOp) -> bool:
    """Whether no two operands share a wire; else PennyLane diagonalizes those that do as one matrix."""
    return sum(len(operand.wires) for operand in observable.operands) == len(observable.wires)


def _real(values: Any) -> Array:
    return np.real_if_close(np.asarray(values))


def index(bits: Array) -> Array:
    """Lines of bits as numbers, the first column being the most significant."""
    return bits @ (1 << np.arange(bits.shape[1], dtype=np.int64)[::-1])
