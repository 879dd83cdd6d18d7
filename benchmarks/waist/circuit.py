"""The circuit all figures are about: the paper's Listing 2 on 7 qubits, 14 angles, 1024 shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qpu_executors import QuantumTask
from qpu_executors.testing import vqe_program

N_QUBITS, SHOTS = 7, 1024
PROGRAM = vqe_program(N_QUBITS)
ROW = tuple(0.1 + 0.2 * i for i in range(2 * N_QUBITS))


def task(**fields: object) -> QuantumTask:
    return QuantumTask(PROGRAM, **{"shots": SHOTS, "parameter_values": ROW, **fields})  # type: ignore[arg-type]


def qiskit_circuit(row: Sequence[float] = ROW) -> Any:
    """The same circuit with its angles (or parameters) put in, as a Qiskit user would write it."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(N_QUBITS)
    circuit.h(0)
    for q in range(N_QUBITS):
        circuit.ry(row[q], q)
    for q in range(N_QUBITS - 1):
        circuit.cx(q, q + 1)
    for q in range(N_QUBITS):
        circuit.ry(row[N_QUBITS + q], q)
    circuit.measure_all()
    return circuit
