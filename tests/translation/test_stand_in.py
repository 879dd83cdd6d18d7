"""Circuits without entanglement: the stand-in of the paper's ion-trap evaluation."""

import math

import pytest
from hypothesis import HealthCheck, given, settings

from qpu_executors import QPU, InvalidTask, QuantumTask, as_task
from qpu_executors.running import HeldDevice
from qpu_executors.testing import BELL, gates, vqe_program
from qpu_executors.translation.gates import GATES, GateProgram
from qpu_executors.translation.ion_trap import expanded
from qpu_executors.translation.stand_in import without_entanglement

from ..drivers.reference import ROW, bound, distance, probabilities, programs

SHOTS = 2000
H, X = ("h", ()), ("x", ())


def stand_in(program):
    return without_entanglement(GateProgram.parse(program))


def on(program, qubit):
    return [(op.name, op.angles) for op in program.ops if op.qubits == (qubit,) and op.name != "measure"]


def test_a_cx_becomes_what_the_paper_says():
    made = stand_in(gates(2, ["cx", [1, 0]]))
    turn = math.pi / 2
    assert on(made, 1) == [H, H, X, X]
    assert on(made, 0) == [("ry", (turn,)), ("rx", (turn,)), H, H, X, X, ("ry", (-turn,)), ("rx", (-turn,))]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_no_gate_is_on_two_qubits_and_everything_else_stays(program):
    before, made = GateProgram.parse(program), stand_in(program)
    assert all(len(op.qubits) == 1 for op in made.ops if op.name in GATES)
    assert (made.n_qubits, made.registers, made.parameters) == (before.n_qubits, before.registers, before.parameters)
    kept = [op for op in before.ops if op.name not in GATES]
    assert [op for op in made.ops if op.name not in GATES] == kept
    assert GateProgram.parse(made.dumps()) == made


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(max_qubits=3, max_ops=8))
def test_counts_are_those_of_the_modified_unitary(program):
    """The modified unitary, made here by hand: on the target RY RX RY RX, on the control nothing, since HHXX = 1."""
    turn = math.pi / 2
    one_qubit = {name for name, (n, _) in GATES.items() if n == 1}
    entanglers = {"cx", "cy", "cz", "ch", "cs", "csdg", "csx", "ecr", "cp", "cu1", "crx", "cry", "crz"}
    entanglers |= {"rxx", "ryy", "rzz", "rzx"}
    ops = []
    for op in GateProgram.parse(program).ops:
        for part in expanded(op, one_qubit | entanglers):
            if part.name in entanglers:
                target = [part.qubits[1]]
                ops += [
                    ["ry", target, [turn]],
                    ["rx", target, [turn]],
                    ["ry", target, [-turn]],
                    ["rx", target, [-turn]],
                ]
            else:
                third = list(part.bits) if part.name == "measure" else [_plain(angle) for angle in part.angles]
                ops.append([part.name, list(part.qubits), third] if third else [part.name, list(part.qubits)])
    read = GateProgram.parse(program)
    by_hand = gates(
        read.n_qubits, *ops, parameters=read.parameters, registers=[list(register) for register in read.registers]
    )
    expected = probabilities(by_hand, ROW)
    found = probabilities(stand_in(program).dumps(), ROW)
    assert {**dict.fromkeys(expected, 0.0), **found} == pytest.approx(
        {**dict.fromkeys(found, 0.0), **expected}, abs=1e-9
    )


def _plain(angle):
    return list(angle) if isinstance(angle, tuple) else angle


def test_a_simulator_gives_the_counts_of_the_stand_in():
    made = stand_in(vqe_program(4)).dumps()
    row = [0.2 * i for i in range(8)]
    held = HeldDevice(QPU("sv0", "statevector", 4))
    (counts,) = held.run(QuantumTask(made, parameter_values=[row], shots=SHOTS, seed=1)).counts
    expected = probabilities(made, row)
    assert distance(counts, expected) < bound(expected, SHOTS)


def test_as_task_makes_one_of_any_circuit():
    task = as_task(BELL, stand_in=True, shots=10)
    assert task.program == stand_in(BELL).dumps()
    assert as_task(QuantumTask(BELL), stand_in=True).program == task.program
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
    assert '"cx"' not in as_task(text, stand_in=True).program


def test_a_program_that_only_a_device_reads_has_no_stand_in():
    with pytest.raises(InvalidTask, match="'klingon'.*gates"):
        as_task("x", language="klingon", stand_in=True)
