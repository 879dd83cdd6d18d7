"""GHZ circuits as users hand them in. No two workloads are alike, since a queue may keep like ones only once."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from qpu_executors import QuantumTask
from qpu_executors.translation.dax_writer import to_dax

SHOTS = 100
_DIGITS = 12
_numbers = itertools.count(1)


def number() -> str:
    """Another one each time, always as long."""
    return f"{next(_numbers):0{_DIGITS}d}"


@dataclass(frozen=True)
class Ghz:
    """The circuit of one size: its gates, and the DAX program with a place for a number in its last line."""

    n_qubits: int
    gates: str = field(init=False)
    dax_text: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gates", ghz_gates(self.n_qubits))
        object.__setattr__(self, "dax_text", f"{to_dax(self.gates, SHOTS)}# number ")

    def dax(self) -> str:
        return self.dax_text + number()

    def task(self) -> QuantumTask:
        """The number is the seed."""
        return QuantumTask(self.gates, shots=SHOTS, seed=int(number()))

    def circuit(self) -> Any:
        """A `QuantumCircuit`; works of it are told apart by their seeds."""
        from qiskit import QuantumCircuit

        circuit = QuantumCircuit(self.n_qubits)
        circuit.h(0)
        for q in range(self.n_qubits - 1):
            circuit.cx(q, q + 1)
        circuit.measure_all()
        return circuit


def ghz_gates(n_qubits: int) -> str:
    from qpu_executors.translation import as_task

    return str(as_task(_openqasm(n_qubits)).program)


def _openqasm(n_qubits: int) -> str:
    chain = "".join(f"cx q[{q}],q[{q + 1}];\n" for q in range(n_qubits - 1))
    return (
        f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{n_qubits}];\ncreg c[{n_qubits}];\n'
        f"h q[0];\n{chain}measure q -> c;\n"
    )


def measurements(n_qubits: int, shots: int) -> bytes:
    """What a DAX program of a GHZ circuit gives: for each stored value of a shot a row, as JSON."""
    rows = [[shot % 2 for shot in range(shots)]] * n_qubits
    return json.dumps(rows, separators=(",", ":")).encode()
