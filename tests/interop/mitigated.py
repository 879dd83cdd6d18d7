"""What `test_mitiq` runs in the environment that has Mitiq, where the test suite's own packages are not."""

import cirq
import numpy as np
import pennylane as qml
import pytest
from mitiq import Executor, MeasurementResult, Observable, PauliString, ddd, zne
from pennylane.tape import QuantumTape
from qiskit import QuantumCircuit

from conqure import QPUThreadPool
from conqure.interop.mitiq import batched_executor, executor
from qpu_executors import QPU

Q = cirq.LineQubit.range(3)
CIRQ = cirq.Circuit(cirq.H(Q[0]), [cirq.CNOT(Q[0], Q[2])] * 3, cirq.X(Q[1]))
OBSERVABLE = Observable(PauliString("ZIZ"), PauliString("Z", 2.0, (1,)))  # 1 - 2


def qiskit_circuit():
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.x(1)
    return circuit


@pytest.fixture(scope="module")
def pool():
    with QPUThreadPool([QPU("sv0", "statevector", 5), QPU("sv1", "statevector", 5)]) as pool:
        yield pool


@pytest.mark.parametrize("circuit", [CIRQ, qiskit_circuit()], ids=["cirq", "qiskit"])
@pytest.mark.parametrize(("make", "calls"), [(executor, 3), (batched_executor, 1)])
def test_zero_noise_extrapolation(pool, circuit, make, calls):
    run = Executor(make(pool=pool, shots=500))
    assert np.isclose(zne.execute_with_zne(circuit, run, OBSERVABLE), -1)
    assert run.can_batch == (make is batched_executor)
    assert run.calls_to_executor == calls


def test_dynamical_decoupling(pool):
    run = batched_executor(pool=pool, shots=200)
    assert np.isclose(ddd.execute_with_ddd(CIRQ, run, OBSERVABLE, rule=ddd.rules.xx), -1)


def test_groups_that_do_not_commute_are_measured_apart(pool):
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.X(Q[1]))
    observable = Observable(PauliString("X"), PauliString("Z", 3.0, (1,)), PauliString("X", 5.0, (1,)))
    assert observable.ngroups == 2
    value = observable.expectation(circuit, batched_executor(pool=pool, shots=4000, seed=1))
    assert abs(value.real - (1 - 3)) < 5 * 6 / np.sqrt(4000)


def test_a_result_knows_its_qubits(pool):
    run = executor(pool=pool, shots=10)
    partly = cirq.Circuit(cirq.X(Q[2]), cirq.I.on_each(*Q), cirq.measure(Q[2], Q[1], key="m"))
    result = run(partly)
    assert isinstance(result, MeasurementResult)
    assert result.qubit_indices == (1, 2)
    assert result.get_counts() == {"01": 10}


def test_pennylane_tapes_run_as_mitiq_makes_them(pool):
    run = executor(pool=pool, shots=10)
    assert run(QuantumTape([qml.X(1), qml.Identity(0)])).get_counts() == {"01": 10}
    text = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg m[1];\nx q[1];\nmeasure q[1] -> m[0];\n'
    with QuantumTape() as tape:  # as qml.from_qasm writes it
        qml.Identity(0)
        qml.X(1)
        qml.measure(1)
    result = run(tape)
    assert (result.get_counts(), result.qubit_indices) == ({"1": 10}, (1,))
    assert run(text).get_counts() == {"1": 10}


def test_a_batch_is_submitted_whole_and_keeps_its_order(pool):
    circuits = [cirq.Circuit(cirq.X(Q[0]) ** n, cirq.measure(Q[0], key="m")) for n in (0, 1, 1, 0)]
    results = batched_executor(pool=pool, seed=1)(circuits, shots=6)
    assert [result.get_counts() for result in results] == [{str(n): 6} for n in (0, 1, 1, 0)]
