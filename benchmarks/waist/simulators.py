"""The bare statevector driver against the fast simulators people use, each by its own quickest ordinary call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from qpu_executors.drivers.statevector import StatevectorDevice

from ..harness import Measure, beside, in_turn, measure, ratios
from .circuit import N_QUBITS, PROGRAM, ROW, SHOTS, qiskit_circuit


def statevector() -> Callable[[], Any]:
    device = StatevectorDevice("sv0", N_QUBITS)
    plan = device.prepare(PROGRAM, "gates")
    return lambda: device.execute(plan, [ROW], SHOTS, None)


def aer() -> Callable[[], Any]:
    """Aer on one thread, the circuit built and transpiled before."""
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(method="statevector", max_parallel_threads=1)
    circuit = qiskit_circuit()
    return lambda: simulator.run(circuit, shots=SHOTS).result().get_counts()


def lightning() -> Callable[[], Any]:
    """PennyLane's C++ simulator; the device executes a tape that is ready."""
    import pennylane as qml

    device = qml.device("lightning.qubit", wires=N_QUBITS)
    operations = [qml.Hadamard(0), *(qml.RY(ROW[q], q) for q in range(N_QUBITS))]
    operations += [qml.CNOT([q, q + 1]) for q in range(N_QUBITS - 1)]
    operations += [qml.RY(ROW[N_QUBITS + q], q) for q in range(N_QUBITS)]
    tape = qml.tape.QuantumScript(operations, [qml.counts(wires=range(N_QUBITS))], shots=SHOTS)
    return lambda: device.execute([tape])


def cudaq() -> Callable[[], Any]:
    """CUDA-Q's CPU target (package ``cudaq``), the kernel compiled before."""
    import cudaq as cq

    cq.set_target("qpp-cpu")
    kernel, angles = cq.make_kernel(list)
    qubits = kernel.qalloc(N_QUBITS)
    kernel.h(qubits[0])
    for q in range(N_QUBITS):
        kernel.ry(angles[q], qubits[q])
    for q in range(N_QUBITS - 1):
        kernel.cx(qubits[q], qubits[q + 1])
    for q in range(N_QUBITS):
        kernel.ry(angles[N_QUBITS + q], qubits[q])
    kernel.mz(qubits)
    row = list(ROW)
    return lambda: cq.sample(kernel, row, shots_count=SHOTS)


def measures() -> Iterable[Measure]:
    calls = {"statevector": statevector(), "Aer": aer(), "lightning.qubit": lightning()}
    if find_spec("cudaq"):
        calls["CUDA-Q"] = cudaq()
    times = in_turn(calls, rounds=15, repeat=20)
    best_other = [
        min(values) for values in zip(*(v for name, v in times.items() if name != "statevector"), strict=True)
    ]
    yield measure(
        "bare statevector driver, 7 qubits, 1024 shots",
        ratios({**times, "best": best_other}, "statevector", "best"),
        goal=("<=", 1.0),
        compared_with="the fastest of " + ", ".join(name for name in times if name != "statevector"),
        note=beside(times) + ("" if "CUDA-Q" in calls else "; CUDA-Q: package cudaq is not installed"),
    )
