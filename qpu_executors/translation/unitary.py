"""Unitaries that come as matrices, as gates of the language `gates`; two qubits and more need Qiskit."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any

from ..errors import InvalidTask, MissingPackage
from .writer import ProgramWriter

MAX_QUBITS = 6  # a matrix of 64 × 64 is thousands of gates already


def add_unitary(writer: ProgramWriter, matrix: Any, qubits: Sequence[int]) -> None:
    """Add a unitary, given as rows of complex numbers, up to its global phase. The first qubit is the high one.

    Raises:
        InvalidTask: it acts on too many qubits.
        MissingPackage: it acts on two or more, and Qiskit is not installed.

    >>> add_unitary(writer, [[0, 1], [1, 0]], [3])
    """
    if len(qubits) == 1:
        writer.add("u", list(qubits), _euler(matrix))
        return
    if len(qubits) > MAX_QUBITS:
        raise InvalidTask(f"a matrix on {len(qubits)} qubits; at most {MAX_QUBITS} are decomposed. Give the gates.")
    try:
        from qiskit import QuantumCircuit, transpile
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "decomposing a matrix on several qubits needs Qiskit. Install it: pip install 'conqure[qiskit]'"
        ) from error
    circuit = QuantumCircuit(len(qubits))
    circuit.unitary(matrix, circuit.qubits[::-1])
    plain = transpile(circuit, basis_gates=["u", "cx"], optimization_level=1)
    for instruction in plain.data:
        places = [qubits[plain.find_bit(qubit).index] for qubit in instruction.qubits]
        writer.add(instruction.name, places, [float(param) for param in instruction.params])


def _euler(matrix: Any) -> list[float]:
    """The angles of the gate `u` for a matrix of two rows."""
    (a, b), (c, d) = [[complex(value) for value in row] for row in matrix]
    theta = 2 * math.atan2(abs(c), abs(a))
    if abs(a) < 1e-12:
        return [theta, cmath.phase(c), cmath.phase(-b)]
    phi = cmath.phase(c / a) if abs(c) > 1e-12 else 0.0
    return [theta, phi, cmath.phase(d / a) - phi]
