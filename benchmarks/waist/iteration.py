"""One VQE iteration in process: against the bare driver, and against the paper's script per circuit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from qpu_executors import QPU, QPUThreadPool, run

from ..harness import Measure, beside, in_turn, measure, ratios
from .circuit import N_QUBITS, ROW, SHOTS, task
from .simulators import statevector

# The paper's Listing 6 in today's Qiskit: what its OpenMP-Q wrote to a file and started for each circuit.
SCRIPT = f"""
import json, sys
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

if __name__ == "__main__":
    circuit = QuantumCircuit({N_QUBITS})
{{gates}}
    circuit.measure_all()
    counts = AerSimulator(method="statevector").run(circuit, shots={SHOTS}).result().get_counts()
    print(json.dumps(counts))
"""


def spawned_script(folder: Path) -> Callable[[], object]:
    """Write the script with this iteration's angles, run it in a new interpreter, read its counts."""
    lines = ["circuit.h(0)", *(f"circuit.ry({ROW[q]}, {q})" for q in range(N_QUBITS))]
    lines += [f"circuit.cx({q}, {q + 1})" for q in range(N_QUBITS - 1)]
    lines += [f"circuit.ry({ROW[N_QUBITS + q]}, {q})" for q in range(N_QUBITS)]
    text = SCRIPT.format(gates="\n".join(f"    {line}" for line in lines))

    def call() -> object:
        path = folder / "circuit.py"
        path.write_text(text)
        return subprocess.run([sys.executable, str(path)], capture_output=True, check=True).stdout

    return call


def measures() -> Iterable[Measure]:
    with QPUThreadPool([QPU("sv0", "statevector", N_QUBITS)]) as pool, tempfile.TemporaryDirectory() as folder:
        ours = lambda: pool.submit(run, task()).result()  # noqa: E731
        ours()
        times = in_turn({"pool": ours, "bare driver": statevector()}, rounds=25, repeat=100)
        yield measure(
            "one VQE iteration through the in-process pool",
            ratios(times, "pool", "bare driver"),
            goal=("<=", 1.5),
            compared_with="the bare driver call",
            note=beside(times) + "; the bare call is five times quicker than when this goal was set (0.6 ms)",
        )
        times = in_turn({"script": spawned_script(Path(folder)), "pool": ours}, rounds=5)
        yield measure(
            "speed-up over a Python script per circuit (the paper's way)",
            ratios(times, "script", "pool"),
            goal=(">=", 300.0),
            compared_with="writing and running Listing 6 with today's Qiskit, packages byte-compiled",
            note=beside(times),
        )
