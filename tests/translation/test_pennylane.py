"""PennyLane tapes become programs with the same probabilities; gates become PennyLane operations."""

import math

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane.tape import QuantumScript

from qpu_executors import QPU, InvalidTask, as_task, hold
from qpu_executors.drivers.unitaries import MATRICES
from qpu_executors.translation.gates import GATES, GateProgram, Op
from qpu_executors.translation.pennylane import GATE_NAMES, from_tape, operations

from ..drivers.reference import probabilities

PARAMETERS = {"U2": 2, "U3": 3, "Rot": 3, "CRot": 3}
ONE = [
    "PauliX",
    "PauliY",
    "PauliZ",
    "Hadamard",
    "S",
    "T",
    "SX",
    "RX",
    "RY",
    "RZ",
    "PhaseShift",
    "U1",
    "U2",
    "U3",
    "Rot",
]
TWO = ["CNOT", "CY", "CZ", "CH", "SWAP", "ISWAP", "ECR", "SISWAP", "ControlledPhaseShift", "CRX", "CRY", "CRZ", "CRot"]
TWO += ["IsingXX", "IsingYY", "IsingZZ", "IsingXY", "PSWAP"]
THREE = ["Toffoli", "CCZ", "CSWAP"]
ANGLED = {"RX", "RY", "RZ", "PhaseShift", "U1", "ControlledPhaseShift", "CRX", "CRY", "CRZ", "PSWAP"}
ANGLED |= {"IsingXX", "IsingYY", "IsingZZ", "IsingXY"}


def assert_same(tape):
    """Bit i of our key is the i-th measured wire; PennyLane's probabilities have the first wire leftmost."""
    found = from_tape(tape)
    ours = probabilities(found.program, found.lifted)
    wires = list(tape.measurements[0].wires) or sorted(tape.wires)
    exact = QuantumScript(tape.operations, [qml.probs(wires=wires)])
    theirs = qml.device("default.qubit", wires=sorted(tape.wires)).execute(exact)
    for outcome, p in enumerate(theirs):
        assert ours.get(format(outcome, f"0{len(wires)}b")[::-1], 0.0) == pytest.approx(p, abs=1e-9)


@st.composite
def tapes(draw):
    done = [qml.RY(0.3 + w, w) for w in range(3)]
    for _ in range(draw(st.integers(0, 12))):
        name = draw(st.sampled_from(ONE + TWO + THREE))
        n_wires = 1 if name in ONE else 2 if name in TWO else 3
        wires = list(draw(st.permutations(range(3)))[:n_wires])
        n_angles = PARAMETERS.get(name, int(name in ANGLED))
        angles = [draw(st.floats(-7, 7).map(lambda x: round(x, 2))) for _ in range(n_angles)]
        operation = getattr(qml, name)(*angles, wires=wires)
        kind = draw(st.sampled_from(["plain", "plain", "adjoint", "power", "controlled"]))
        if kind == "adjoint":
            operation = qml.adjoint(operation)
        elif kind == "power":
            operation = qml.pow(operation, 2)
        elif kind == "controlled" and n_wires < 3:
            control = next(w for w in range(3) if w not in wires)
            operation = qml.ctrl(operation, control, control_values=[draw(st.booleans())])
        done.append(operation)
    read = list(draw(st.permutations(range(3)))[: draw(st.integers(1, 3))])
    return QuantumScript(done, [draw(st.sampled_from([qml.counts, qml.sample]))(wires=read)])


@pytest.mark.slow
@given(tapes())
@settings(deadline=None, max_examples=60, derandomize=True, database=None)
def test_random_tapes_keep_their_probabilities(tape):
    assert_same(tape)


@pytest.mark.parametrize("name", GATE_NAMES)
def test_names_that_are_taken_over_mean_the_same_matrix(name):
    ours = GATE_NAMES[name]
    angles = [0.3, 1.1, -0.7][: GATES[ours][1]]
    wires = list(range(GATES[ours][0]))
    inner = name.removeprefix("Adjoint(").removesuffix(")")
    operation = getattr(qml, inner)(*angles, wires=wires)
    operation = qml.adjoint(operation) if inner != name else operation
    assert operation.name == name
    assert_equal_up_to_phase(qml.matrix(operation, wire_order=wires[::-1]), MATRICES[ours](np.array(angles)))


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_operations_with_its_matrix(name):
    n_qubits, n_angles = GATES[name]
    angles = (0.3, 1.1, -0.7, 0.4)[:n_angles]
    made = QuantumScript(operations(Op(name, tuple(range(n_qubits)), angles), ()))
    ours = qml.matrix(made, wire_order=list(reversed(range(n_qubits))))
    assert_equal_up_to_phase(ours, MATRICES[name](np.array(angles)))


def assert_equal_up_to_phase(one, two):
    two = np.asarray(two).reshape(one.shape)
    place = np.unravel_index(np.abs(two).argmax(), two.shape)
    np.testing.assert_allclose(one, two * one[place] / two[place], atol=1e-12)


@pytest.mark.parametrize(
    "operation",
    [
        qml.QFT([0, 1, 2]),
        qml.MultiRZ(0.3, [0, 1, 2]),
        qml.PauliRot(0.4, "XYZ", [2, 0, 1]),
        qml.StatePrep(np.array([0.6, 0.8j]), wires=[0]),
        qml.BasisState(np.array([1, 0, 1]), wires=[0, 1, 2]),
        qml.QubitUnitary(qml.matrix(qml.IsingXY(0.3, [0, 1])), [1, 2]),
        qml.prod(qml.X(0), qml.Y(1)),
        qml.exp(qml.X(0) @ qml.Y(1), 0.3j),
        qml.GlobalPhase(0.4),
        qml.DoubleExcitation(0.3, [0, 1, 2, 3]),
    ],
    ids=lambda operation: operation.name,
)
def test_templates_are_decomposed(operation):
    before = [qml.RY(0.7 + w, w) for w in range(4)] if not operation.name.endswith(("State", "Prep")) else []
    assert_same(QuantumScript([*before, operation, *(qml.RX(0.4, w) for w in range(4))], [qml.counts()]))


def test_wire_zero_is_the_rightmost_bit():
    tape = QuantumScript([qml.PauliX(0), qml.Identity(1), qml.Identity(2)], [qml.counts()])
    assert probabilities(from_tape(tape).program) == {"001": 1.0}


def test_wires_with_names_are_numbered_as_they_come():
    tape = QuantumScript([qml.PauliX("b"), qml.CNOT(["b", "a"]), qml.Identity("c")], [qml.counts(wires=["c", "b"])])
    assert probabilities(from_tape(tape).program) == {"10": 1.0}


def test_each_measurement_is_a_register():
    tape = QuantumScript([qml.PauliX(0), qml.Identity(1)], [qml.counts(wires=[0]), qml.sample(wires=[1, 0])])
    program = from_tape(tape).program
    assert GateProgram.parse(program).registers == (("meas0", 1), ("meas1", 2))
    assert probabilities(program) == {"10 1": 1.0}


def test_measurements_in_the_middle_and_resets_are_kept():
    with qml.queuing.AnnotatedQueue() as queue:
        qml.PauliX(0)
        first = qml.measure(0)
        qml.PauliX(0)
        qml.measure(0, reset=True)
        second = qml.measure(0)
        qml.counts([second, first])
    found = from_tape(QuantumScript.from_queue(queue))
    assert probabilities(found.program) == {"10": 1.0}


def test_tapes_with_other_angles_are_the_same_program():
    one, two = (from_tape(QuantumScript([qml.RX(x, 0), qml.RY(math.pi / 2, 0)], [qml.counts()])) for x in (0.1, 0.2))
    assert one.program == two.program
    assert (one.lifted, two.lifted) == ((0.1,), (0.2,))


def test_the_shots_of_a_tape_are_the_tasks_unless_others_are_given():
    tape = QuantumScript([qml.RX(0.1, 0)], [qml.counts()], shots=77)
    assert as_task(tape).shots == 77
    assert as_task(tape, shots=5).shots == 5
    assert as_task(QuantumScript([qml.RX(0.1, 0)], [qml.counts()])).shots == 1024


def test_translating_inside_a_qnode_adds_nothing_to_it():
    with qml.queuing.AnnotatedQueue() as queue:
        from_tape(QuantumScript([qml.adjoint(qml.SX(0)), qml.QFT([0, 1])], [qml.counts()]))
    assert len(queue.queue) <= 4  # the operations made here; those of the decompositions are not recorded


def test_a_qnode_without_arguments_is_its_tape():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def bell():
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        return qml.counts()

    with hold(QPU("sv", "statevector", 2)) as held:
        assert set(held.run(as_task(bell, shots=100)).counts[0]) == {"00", "11"}


def make(measurements, *done, **options):
    return lambda: QuantumScript([*done, qml.Hadamard(0)], measurements, **options)


def conditional():
    with qml.queuing.AnnotatedQueue() as queue:
        outcome = qml.measure(0)
        qml.cond(outcome, qml.PauliX)(1)
        qml.counts(outcome)
    return QuantumScript.from_queue(queue)


def unreported(**options):
    with qml.queuing.AnnotatedQueue() as queue:
        qml.measure(0, **options)
        qml.Hadamard(0)
        qml.counts(wires=[0])
    return QuantumScript.from_queue(queue)


def computed():
    with qml.queuing.AnnotatedQueue() as queue:
        one, two = qml.measure(0), qml.measure(1)
        qml.counts(one + two)
    return QuantumScript.from_queue(queue)


def needs_arguments():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def circuit(x):
        qml.RX(x, 0)
        return qml.counts()

    return circuit


class Opaque(qml.operation.Operation):
    num_wires = 1


REFUSED = {
    "an expectation value": (make([qml.expval(qml.Z(0))]), r"asks for expectation of Z\(0\).*qml.counts"),
    "probabilities": (make([qml.probs(wires=[0])]), "asks for probability"),
    "a state": (make([qml.state()]), "asks for state"),
    "counts of an observable": (make([qml.counts(qml.X(0))]), "diagonalise an observable"),
    "no measurement": (make([]), r"measures nothing.*qml.counts\(\)"),
    "a batch": (make([qml.counts()], qml.RX(np.array([0.1, 0.2]), 0)), "arrays of 2.*broadcast_expand"),
    "a list of shots": (make([qml.counts()], shots=(10, 20)), "list of shots"),
    "a condition": (conditional, "defer_measurements"),
    "an outcome nobody reads": (unreported, "not among the tape's measurements"),
    "a postselection": (lambda: unreported(postselect=1), "postselection"),
    "a computed outcome": (computed, "computed outcomes"),
    "an operation without definition": (make([qml.counts()], Opaque(wires=0)), "'Opaque'.*no decomposition"),
    "an angle that is not finite": (make([qml.counts()], qml.RX(math.nan, 0)), "'RX'.*finite"),
    "a QNode with arguments": (needs_arguments, "needs arguments.*construct_tape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_translated_is_refused_with_advice(name):
    tape, message = REFUSED[name]
    with pytest.raises(InvalidTask, match=message):
        as_task(tape())
