"""What people write by hand without CONQURE, as functions that engines can import on a worker."""

from __future__ import annotations

from functools import cache
from typing import Any

from .circuit import N_QUBITS, SHOTS, qiskit_circuit


def nothing() -> None:
    """A task that does nothing."""


def paper_circuit(angle: float) -> Any:
    """The paper's Listing 2 as a QuantumCircuit, all angles from one."""
    every = range(N_QUBITS)
    return qiskit_circuit([*(angle + q for q in every), *(angle - q for q in every)])


@cache
def _simulator() -> Any:
    """One simulator per worker; a careful user sets one thread and does not build it anew for each circuit."""
    from qiskit_aer import AerSimulator

    return AerSimulator(max_parallel_threads=1)


def circuit_by_hand(circuit: Any) -> dict[str, int]:
    """Run a circuit with Aer on the worker."""
    counts: dict[str, int] = _simulator().run(circuit, shots=SHOTS).result().get_counts()
    return counts


def by_hand(angle: float) -> dict[str, int]:
    """Build and run the circuit on the worker."""
    return circuit_by_hand(paper_circuit(angle))
