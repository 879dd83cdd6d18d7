"""The NumPy state vector against Qiskit's definitions: every gate, random circuits, measurement in the middle."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import CU1Gate, CU3Gate, RCCXGate, U1Gate, U2Gate, U3Gate, get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, Statevector

from qpu_executors import QPU, InvalidTask
from qpu_executors.drivers.statevector import StatevectorDevice
from qpu_executors.drivers.unitaries import MATRICES
from qpu_executors.testing import DeviceContract, gates, vqe_program
from qpu_executors.translation.gates import GATES

DEVICE = StatevectorDevice("sv", 14)
QISKIT_GATES = {name: type(gate) for name, gate in get_standard_gate_name_mapping().items()} | {
    "u1": U1Gate,
    "u2": U2Gate,
    "u3": U3Gate,
    "cu1": CU1Gate,
    "cu3": CU3Gate,
    "rccx": RCCXGate,
}


class TestStatevector(DeviceContract):
    qpu = QPU("sv", "statevector", 12)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_qiskits(name):
    angles = np.array([0.3, 1.1, -0.7, 0.4])[: GATES[name][1]]
    np.testing.assert_allclose(MATRICES[name](angles), Operator(QISKIT_GATES[name](*angles)).data, atol=1e-12)


@st.composite
def circuits(draw):
    n_qubits = draw(st.integers(1, 6))
    names = [name for name, (k, _) in GATES.items() if k <= n_qubits]
    ops = []
    for _ in range(draw(st.integers(0, 25))):
        name = draw(st.sampled_from(names))
        qubits = draw(st.permutations(range(n_qubits)))[: GATES[name][0]]
        ops.append(
            [name, list(qubits), draw(st.lists(st.floats(-7, 7), min_size=GATES[name][1], max_size=GATES[name][1]))]
        )
    return n_qubits, ops


@pytest.mark.slow
@given(circuits())
@settings(deadline=None, max_examples=150)
def test_the_state_of_a_random_circuit_is_qiskits(circuit):
    n_qubits, ops = circuit
    expected = QuantumCircuit(n_qubits)
    for name, qubits, angles in ops:
        expected.append(QISKIT_GATES[name](*angles), qubits)
    state = DEVICE.statevector(gates(n_qubits, *(op if op[2] else op[:2] for op in ops)))
    np.testing.assert_allclose(state, Statevector(expected).data, atol=1e-9)


def test_many_rows_give_the_states_of_each_row():
    program = gates(
        3,
        ["ry", [0], [[0, 0, 1.0]]],
        ["rzz", [0, 2], [[0.1, 1, 2.0]]],
        ["crx", [0, 1], [[0, 2, -1.0]]],
        ["u", [2], [[0, 0, 1.0], 0.3, [0, 1, 1.0]]],
        parameters=["a", "b", "c"],
    )
    plan = DEVICE.prepare(program, "gates")
    rows = np.random.default_rng(1).normal(size=(5, 3))
    together = plan.states(rows)
    for row, state in zip(rows, together, strict=True):
        np.testing.assert_allclose(state, DEVICE.statevector(program, row), atol=1e-12)


def test_counts_follow_the_probabilities():
    row, shots = np.linspace(0.1, 2.0, 14), 200_000
    program = vqe_program(7)
    (counts,) = DEVICE.execute(DEVICE.prepare(program, "gates"), [row], shots, seed=3)
    probabilities = np.abs(DEVICE.statevector(program, row)) ** 2
    seen = np.array([counts.get(format(i, "07b"), 0) for i in range(128)])
    sigma = np.sqrt(shots * probabilities * (1 - probabilities)) + 1e-9
    assert np.all(np.abs(seen - shots * probabilities) < 5 * sigma + 1)


def test_few_shots_of_many_outcomes_are_drawn_from_the_same_distribution():
    plan = DEVICE.prepare(gates(12, *(["h", [q]] for q in range(11))), "gates")
    (counts,) = DEVICE.execute(plan, [[]], 900, seed=1)  # 4,096 outcomes: the look-up path
    assert sum(counts.values()) == 900
    assert all(key[0] == "0" for key in counts)


def test_a_measurement_in_the_middle_collapses_the_state():
    program = gates(
        1, ["h", [0]], ["measure", [0], [0]], ["h", [0]], ["h", [0]], ["measure", [0], [1]], registers=[["c", 2]]
    )
    (counts,) = DEVICE.execute(DEVICE.prepare(program, "gates"), [[]], 2000, seed=1)
    assert set(counts) == {"00", "11"}
    assert abs(counts["00"] - 1000) < 5 * math.sqrt(500)


def test_reset_brings_a_qubit_back_to_zero_whatever_it_was():
    program = gates(2, ["h", [0]], ["cx", [0, 1]], ["reset", [0]], ["measure", [0, 1], [0, 1]], registers=[["c", 2]])
    (counts,) = DEVICE.execute(DEVICE.prepare(program, "gates"), [[]], 1000, seed=1)
    assert set(counts) == {"00", "10"}


def test_a_bit_written_twice_holds_the_last_value():
    program = gates(2, ["x", [1]], ["measure", [0], [0]], ["measure", [1], [0]], registers=[["c", 1]])
    assert DEVICE.execute(DEVICE.prepare(program, "gates"), [[]], 10, seed=1) == [{"1": 10}]


def test_one_qubit_may_be_read_into_two_bits():
    program = gates(1, ["h", [0]], ["measure", [0], [0]], ["measure", [0], [1]], registers=[["c", 2]])
    (counts,) = DEVICE.execute(DEVICE.prepare(program, "gates"), [[]], 100, seed=1)
    assert set(counts) == {"00", "11"}


def test_more_qubits_than_memory_allows_are_refused_with_the_alternative():
    with pytest.raises(InvalidTask, match="aer"):
        StatevectorDevice("big", 60)
