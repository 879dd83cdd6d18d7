"""Rows of a task as PUBs of Qiskit's SamplerV2, and its results as counts with our keys. Needs the extra ``qiskit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives import BitArray

from ..device import Counts
from .circuits import Prepared


def without_empty_registers(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit; samplers refuse classical registers of no bits, which programs may have."""
    if all(circuit.cregs):
        return circuit
    plain = QuantumCircuit(*circuit.qregs, *filter(None, circuit.cregs))
    return plain.compose(circuit, plain.qubits, plain.clbits)


def pubs(prepared: Prepared, rows: Sequence[Sequence[float]]) -> list[tuple[Any, ...]]:
    """All rows as one PUB with an array of bindings; a circuit without parameters as one PUB for each row."""
    used = prepared.used
    if not used:
        return [(prepared.circuit,)] * len(rows)
    return [(prepared.circuit, {parameter: [row[column] for row in rows] for column, parameter in used})]


def counts(prepared: Prepared, results: Any) -> list[Counts]:
    """One dict for each row, from the results of all PUBs in order."""
    names = [register.name for register in prepared.circuit.cregs if register]
    found: list[Counts] = []
    for result in results:
        bits = BitArray.concatenate_bits([result.data[name] for name in names])
        flat = bits.reshape(bits.size)
        found += [_row(prepared, flat.get_int_counts(row)) for row in range(flat.size)]
    return found


def _row(prepared: Prepared, outcomes: dict[int, int]) -> Counts:
    return prepared.counts({hex(outcome): number for outcome, number in outcomes.items()})
