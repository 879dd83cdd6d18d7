"""The paper's circuit of `benchmarks.waist.circuit` in the words of each framework, with an open row of angles.

Each function returns the call that runs one evaluation on a pool: circuits are built and compiled before, once, as a
user's loop does; what is left is what every step of a variational loop pays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from ..waist.circuit import N_QUBITS, SHOTS
from ..waist.circuit import qiskit_circuit as circuit_with

Row = Sequence[float]
Run = Callable[[Row], Any]


def qiskit(pool: Executor) -> Run:
    """SamplerV2 with one PUB: a transpiled circuit with parameters, and their values. Gives Qiskit's BitArray."""
    from qiskit import transpile

    from conqure.interop.qiskit import SamplerV2

    sampler = SamplerV2("any", pool=pool)
    circuit = transpile(qiskit_circuit(), target=sampler.backend.target, optimization_level=1)
    return lambda row: sampler.run([(circuit, row)], shots=SHOTS).result()[0].data.meas


def qiskit_circuit() -> Any:
    """The circuit with Qiskit's parameters, in the order of a row."""
    from qiskit.circuit import ParameterVector

    return circuit_with(ParameterVector("theta", 2 * N_QUBITS))


def cirq(pool: Executor) -> Run:
    """A sampler's run with a parameter resolver."""
    import cirq as package
    import sympy

    from conqure.interop.cirq import ConqureSampler

    sampler = ConqureSampler(pool=pool)
    qubits = package.LineQubit.range(N_QUBITS)
    names = [f"theta{number}" for number in range(2 * N_QUBITS)]
    angles = list(map(sympy.Symbol, names))
    circuit = package.Circuit(
        package.H(qubits[0]),
        [package.ry(angles[q])(qubits[q]) for q in range(N_QUBITS)],
        [package.CNOT(qubits[q], qubits[q + 1]) for q in range(N_QUBITS - 1)],
        [package.ry(angles[N_QUBITS + q])(qubits[q]) for q in range(N_QUBITS)],
        package.measure(*qubits, key="m"),
    )
    return lambda row: sampler.run(circuit, dict(zip(names, row, strict=True)), repetitions=SHOTS).histogram(key="m")


def pytket(pool: Executor) -> Run:
    """A compiled circuit with symbols, in which each step puts its values."""
    from pytket.circuit import Circuit
    from sympy import Symbol

    from conqure.interop.pytket import ConqureBackend

    backend = ConqureBackend(pool=pool)
    symbols = [Symbol(f"theta{number}") for number in range(2 * N_QUBITS)]
    circuit = Circuit(N_QUBITS).H(0)
    for q in range(N_QUBITS):
        circuit.Ry(symbols[q], q)
    for q in range(N_QUBITS - 1):
        circuit.CX(q, q + 1)
    for q in range(N_QUBITS):
        circuit.Ry(symbols[N_QUBITS + q], q)
    compiled = backend.get_compiled_circuit(circuit.measure_all())

    def call(row: Row) -> Any:
        bound = compiled.copy()
        bound.symbol_substitution(
            {symbol: angle / 3.141592653589793 for symbol, angle in zip(symbols, row, strict=True)}
        )
        return backend.run_circuit(bound, n_shots=SHOTS).get_counts()

    return call


def braket(pool: Executor) -> Run:
    """The SDK's local simulator with the values as inputs."""
    from braket.circuits import Circuit, FreeParameter
    from braket.devices import LocalSimulator

    from conqure.interop.braket import ConqureSimulator

    device = LocalSimulator(ConqureSimulator(pool=pool))
    names = [f"theta{number}" for number in range(2 * N_QUBITS)]
    circuit = Circuit().h(0)
    for q in range(N_QUBITS):
        circuit.ry(q, FreeParameter(names[q]))
    for q in range(N_QUBITS - 1):
        circuit.cnot(q, q + 1)
    for q in range(N_QUBITS):
        circuit.ry(q, FreeParameter(names[N_QUBITS + q]))

    def call(row: Row) -> Any:
        done = device.run(circuit, shots=SHOTS, inputs=dict(zip(names, map(float, row), strict=True)))
        return done.result().measurement_counts

    return call


def pennylane(pool: Executor) -> Callable[[Sequence[Any]], Any]:
    """A batch of tapes, as a gradient hands it over; see `tape`."""
    import pennylane as qml

    from conqure.interop.pennylane import ConqureDevice

    device = ConqureDevice(wires=N_QUBITS, pool=pool)
    return lambda tapes: qml.execute(tapes, device, diff_method=None)


def tape(row: Row) -> Any:
    """PennyLane's tape with the energy of a ring's MaxCut. To build one takes about a millisecond by itself."""
    import pennylane as qml

    gates = [qml.Hadamard(0), *(qml.RY(row[q], q) for q in range(N_QUBITS))]
    gates += [qml.CNOT([q, q + 1]) for q in range(N_QUBITS - 1)]
    gates += [qml.RY(row[N_QUBITS + q], q) for q in range(N_QUBITS)]
    energy = qml.Hamiltonian([0.5] * N_QUBITS, [qml.Z(q) @ qml.Z((q + 1) % N_QUBITS) for q in range(N_QUBITS)])
    return qml.tape.QuantumScript(gates, [qml.expval(energy)], shots=SHOTS)
