"""pytket's circuits: the backend and the translation give what pytket's own state vector gives."""

import random
import threading
from pathlib import Path

import numpy as np
import pytest
import sympy
from pytket.backends import CircuitNotRunError, CircuitNotValidError, ResultHandle, StatusEnum
from pytket.circuit import Bit, CircBox, Circuit, OpType, PauliExpBox
from pytket.pauli import Pauli

from conqure import InvalidTask, QPUThreadPool, UnknownDevice, as_task
from conqure.interop.pytket import ConqureBackend
from qpu_executors import QPU
from qpu_executors.translation.pytket import GATE_SET, from_circuit

from ..drivers.reference import distance, probabilities
from .pages import run_page

NOT_GATES = {OpType.Measure, OpType.Reset, OpType.Barrier, OpType.Phase}
OTHERS = [OpType.CnRy, OpType.CnX, OpType.PhasedISWAP, OpType.FSim, OpType.NPhasedX, OpType.ESWAP, OpType.CSXdg]
ALL = sorted([*(GATE_SET - NOT_GATES), *OTHERS], key=lambda kind: kind.name)
VALUES = (0.37, -0.81, 1.43)


def shape(kind):
    """(angles, qubits) that a kind of gate takes."""
    for n_angles in range(4):
        for n_qubits in (1, 2, 3):
            try:
                Circuit(n_qubits).add_gate(kind, list(VALUES[:n_angles]), list(range(n_qubits)))
                return n_angles, n_qubits
            except RuntimeError:
                continue
    raise AssertionError(kind)


SHAPES = {kind: shape(kind) for kind in ALL}


def mixed(circuit):
    for number in range(circuit.n_qubits):
        circuit.TK1(0.2, 0.3 + 0.11 * number, 0.1 * number, number)
    for number in range(circuit.n_qubits - 1):
        circuit.CX(number, number + 1)
    return circuit


def exact(circuit):
    """Counts key -> probability of measuring all qubits at the end, by pytket's own state vector."""
    n = circuit.n_qubits
    return {format(i, f"0{n}b")[::-1]: abs(a) ** 2 for i, a in enumerate(circuit.get_statevector())}


def compare(circuit):
    found = from_circuit(circuit.copy().measure_all())
    assert distance(exact(circuit), probabilities(found.program, found.lifted)) < 1e-6


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_each_gate_is_the_gate_of_pytket(kind):
    n_angles, n_qubits = SHAPES[kind]
    circuit = mixed(Circuit(n_qubits)).add_gate(kind, list(VALUES[:n_angles]), list(range(n_qubits)))
    compare(mixed(circuit))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(15))
def test_random_circuits_have_pytkets_distribution(seed):
    rng, circuit = random.Random(seed), mixed(Circuit(4))
    for _ in range(15):
        kind = rng.choice(ALL)
        n_angles, n_qubits = SHAPES[kind]
        circuit.add_gate(kind, [rng.uniform(-2, 2) for _ in range(n_angles)], rng.sample(range(4), n_qubits))
    compare(circuit)
    backend = ConqureBackend("laptop")
    for level in range(3):  # compiling must not move a measured bit
        compiled = backend.get_compiled_circuit(circuit.copy().measure_all(), level)
        assert backend.valid_circuit(compiled)
        found = from_circuit(compiled)
        assert distance(exact(circuit), probabilities(found.program, found.lifted)) < 1e-6


def test_boxes_are_opened():
    box = CircBox(Circuit(2).H(0).CX(0, 1))
    circuit = mixed(Circuit(3)).add_circbox(box, [2, 0])
    compare(circuit.add_pauliexpbox(PauliExpBox([Pauli.X, Pauli.Y, Pauli.Z], 0.3), [0, 1, 2]))


@pytest.fixture(scope="module")
def backend():
    with QPUThreadPool([QPU("sv0", "statevector", 5), QPU("sv1", "statevector", 5)]) as pool:
        yield ConqureBackend(pool=pool, seed=3)


def test_bits_keep_their_registers_and_pytkets_order(backend):
    circuit = Circuit()
    q = circuit.add_q_register("q", 3)
    late, early = circuit.add_c_register("z", 2), circuit.add_c_register("a", 2)
    circuit.X(q[0]).Measure(q[0], late[1]).Measure(q[1], early[0]).Reset(q[0]).Measure(q[0], late[0])
    circuit.X(q[2]).Measure(q[2], early[1])
    result = backend.run_circuit(circuit, n_shots=9)
    assert circuit.bits == [early[0], early[1], late[0], late[1]]
    assert result.get_counts() == {(0, 1, 0, 1): 9}
    assert result.get_counts([late[1], early[0]]) == {(1, 0): 9}


def test_several_circuits_wait_at_the_same_time(backend):
    circuits = [Circuit(2, 2).Rx(n, 0).measure_all() for n in (0, 1, 0, 1)]
    handles = backend.process_circuits(circuits, n_shots=[1, 2, 3, 4], seed=1)
    assert [r.get_counts() for r in backend.get_results(handles, timeout=60)] == [{(n % 2, 0): n + 1} for n in range(4)]
    assert {backend.circuit_status(handle).status for handle in handles} == {StatusEnum.COMPLETED}


def test_what_waits_can_be_cancelled():
    with QPUThreadPool([QPU("one", "statevector", 2)]) as pool:
        backend, free = ConqureBackend(pool=pool), threading.Event()
        held = pool.submit(free.wait, 60)
        handle = backend.process_circuit(Circuit(1, 1).X(0).Measure(0, 0), n_shots=1)
        assert backend.circuit_status(handle).status == StatusEnum.QUEUED
        with pytest.raises(CircuitNotRunError):
            backend.get_result(handle, timeout=0.01)
        backend.cancel(handle)
        assert backend.circuit_status(handle).status == StatusEnum.CANCELLED
        with pytest.raises(CircuitNotRunError):
            backend.get_result(handle)
        free.set()
        assert held.result(60)


def test_a_circuit_that_fails_says_why():
    with QPUThreadPool([QPU("one", "statevector", 2)]) as pool:
        backend = ConqureBackend(pool=pool)
        wide = Circuit(3, 1).H(2).Measure(2, 0)
        with pytest.raises(CircuitNotValidError, match="MaxNQubits"):
            backend.process_circuit(wide, n_shots=1)
        failed = backend.process_circuit(wide, n_shots=1, valid_check=False)
        with pytest.raises(InvalidTask, match="3 qubits"):
            backend.get_result(failed, timeout=60)
        assert backend.circuit_status(failed).status == StatusEnum.ERROR
        assert backend.circuit_status(failed).error_detail == "InvalidTask"


def test_symbols_are_refused_by_the_backend_and_parameters_of_a_task(backend):
    a, b = sympy.symbols("a b")
    circuit = Circuit(1, 1).Rx(2 * a + b, 0).Measure(0, 0)
    with pytest.raises(CircuitNotValidError, match="NoSymbols"):
        backend.process_circuit(circuit, n_shots=5)
    with pytest.raises(InvalidTask, match="a, b"):
        backend.process_circuit(circuit, n_shots=5, valid_check=False)
    task = as_task(circuit, parameter_values={"b": 1, "a": [0, 0.5]})
    assert task.parameter_values == ((0, 1), (0.5, 1))
    assert np.isclose(probabilities(task.program, (0, 1))["1"], 1)
    assert np.isclose(probabilities(task.program, (0.5, 1))["0"], 1)
    circuit.symbol_substitution({a: 0.0, b: 1.0})
    assert backend.run_circuit(circuit, n_shots=5).get_counts() == {(1,): 5}


def test_what_cannot_be_carried_is_named():
    conditional = Circuit(1, 1).Measure(0, 0).X(0, condition=Bit(0)).Measure(0, 0)
    with pytest.raises(InvalidTask, match="depends on a measurement"):
        as_task(conditional)
    with pytest.raises(InvalidTask, match="classical bits"):
        as_task(Circuit(1, 2).add_c_copybits([Bit(0)], [Bit(1)]).Measure(0, 0))
    with pytest.raises(InvalidTask, match="measures nothing"):
        as_task(Circuit(1).X(0))
    with pytest.raises(InvalidTask, match="not affine"):
        as_task(Circuit(1, 1).Rx(sympy.Symbol("a") ** 2, 0).Measure(0, 0), parameter_values=[1])


def test_what_the_backend_says_of_itself(backend):
    info = backend.backend_info
    assert (info.n_nodes, info.supports_reset, info.supports_midcircuit_measurement) == (5, True, True)
    assert {i.device_name for i in ConqureBackend.available_devices(site="laptop")} >= {"sv0", "ion0"}
    assert backend.supports_counts
    assert not backend.supports_shots
    with pytest.raises(UnknownDevice):
        ConqureBackend("laptop", device="ion7")
    with pytest.raises(CircuitNotRunError):
        backend.get_result(ResultHandle("nobody"))
    with pytest.raises(ValueError, match="n_shots"):
        backend.process_circuit(Circuit(1, 1).Measure(0, 0))


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path):
    assert "COMPLETED" in run_page("pytket", tmp_path)
