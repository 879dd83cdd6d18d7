"""Circuits and pools that the tests of the Qiskit front end share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import ParameterVector

from conqure import QPUThreadPool, QuantumTask
from qpu_executors import QPU

QPUS = (QPU("sv0", "statevector", 8, tags=("fast",)), QPU("sv1", "statevector", 10), QPU("aer0", "aer", 9))


class CountingPool(Executor):
    """A pool that keeps the tasks which go through it, and their futures."""

    def __init__(self, pool: QPUThreadPool) -> None:
        self._pool, self.qpus = pool, pool.qpus
        self.tasks: list[QuantumTask] = []
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += [argument for argument in args if isinstance(argument, QuantumTask)]
        self.futures.append(self._pool.submit(fn, *args, **kwargs))
        return self.futures[-1]


@contextmanager
def counting_pool(qpus: tuple[QPU, ...] = QPUS) -> Iterator[CountingPool]:
    with QPUThreadPool(list(qpus)) as pool:
        yield CountingPool(pool)


def bell(name: str = "bell") -> QuantumCircuit:
    circuit = QuantumCircuit(2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def ansatz(n_qubits: int = 3) -> QuantumCircuit:
    """A parametrised circuit without measurements."""
    circuit = QuantumCircuit(n_qubits)
    angles = ParameterVector("a", 2 * n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(angles[qubit], qubit)
    for qubit in range(n_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(n_qubits):
        circuit.rz(2 * angles[n_qubits + qubit], qubit)
        circuit.rx(angles[n_qubits + qubit], qubit)
    return circuit


def registers() -> QuantumCircuit:
    """Three registers, one of them empty, whose bits are measured in no order; bits of q: 1, 0, 1."""
    a, empty, b = ClassicalRegister(2, "a"), ClassicalRegister(0, "empty"), ClassicalRegister(9, "b")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), a, empty, b)
    circuit.x([0, 2])
    circuit.measure(0, b[8])
    circuit.measure(1, a[0])
    circuit.measure(2, a[1])
    return circuit


_ONE = ("x", "y", "z", "h", "s", "sdg", "t", "sx")
_ANGLED = ("rx", "ry", "rz", "p")
_TWO = ("cx", "cz", "swap", "iswap")


@st.composite
def circuits(draw: st.DrawFn, most_qubits: int = 4) -> QuantumCircuit:
    """Random circuits without measurements."""
    n_qubits = draw(st.integers(1, most_qubits))
    circuit = QuantumCircuit(n_qubits)
    for _ in range(draw(st.integers(1, 12))):
        first, second = draw(st.permutations(range(max(2, n_qubits))))[:2]
        kind = draw(st.sampled_from(["one", "angled", "two"] if n_qubits > 1 else ["one", "angled"]))
        if kind == "two":
            getattr(circuit, draw(st.sampled_from(_TWO)))(first, second)
        elif kind == "angled":
            getattr(circuit, draw(st.sampled_from(_ANGLED)))(draw(st.floats(-7, 7)), first % n_qubits)
        else:
            getattr(circuit, draw(st.sampled_from(_ONE)))(first % n_qubits)
    return circuit


def distance(counts: dict[str, int], exact: dict[str, float]) -> float:
    """Half the sum of the differences between frequencies and probabilities: 0 for the same, 1 for disjoint."""
    shots = sum(counts.values())
    return sum(abs(counts.get(key, 0) / shots - exact.get(key, 0.0)) for key in {*counts, *exact}) / 2


def allowed_distance(n_outcomes: int, shots: int) -> float:
    """Five times what chance makes of this many outcomes at most, on average."""
    return 5 * float(np.sqrt(n_outcomes / shots)) / 2


def angles(*shape: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-3, 3, shape)
