"""Qiskit circuits become programs that do the same, or a clear error."""

import contextlib
import io
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Clbit, Gate, Parameter, ParameterVector
from qiskit.circuit.library import (
    CUGate,
    MCXGate,
    PauliEvolutionGate,
    QFTGate,
    RYGate,
    SwapGate,
    UGate,
    XGate,
    efficient_su2,
)
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Clifford, SparsePauliOp, Statevector, random_clifford, random_unitary

from qpu_executors import InvalidTask, as_task
from qpu_executors.drivers.circuits import Prepared
from qpu_executors.translation.gates import GateProgram
from qpu_executors.translation.qiskit import from_circuit, load_qpy, to_circuit, to_qpy

from ..drivers.reference import probabilities, programs


def assert_same(circuit, values=()):
    """The translated circuit has the probabilities Qiskit computes, key by key."""
    found = from_circuit(circuit)
    assert found.language == "gates"
    assert GateProgram.parse(found.program).dumps() == found.program
    ours = probabilities(found.program, values or found.lifted)
    bound = circuit.assign_parameters(dict(zip(circuit.parameters, values, strict=True)))
    theirs = Statevector(bound.remove_final_measurements(inplace=False)).probabilities_dict()
    assert {k: p for k, p in ours.items() if p > 1e-9} == pytest.approx(
        {k: p for k, p in theirs.items() if p > 1e-9}, abs=1e-9
    )


def measured(n_qubits, *operations):
    circuit = QuantumCircuit(n_qubits)
    for operation, qubits in operations:
        circuit.append(operation, qubits)
    circuit.measure_all()
    return circuit


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60, derandomize=True, database=None)
def test_random_circuits_keep_their_probabilities(n_qubits, depth, seed):
    circuit = random_circuit(n_qubits, depth, max_operands=4, seed=seed)
    circuit.measure_all()
    assert_same(circuit)


SPREAD = [(UGate(0.7, 0.2, 0.4), [0]), (UGate(1.9, -0.3, 0.4), [1]), (UGate(0.4, 1.2, 2.4), [2])]
CLOSE = [(UGate(0.3, 0.9, -0.4), [q]) for q in range(3)]
OPERATIONS = {
    "open controls": (XGate().control(2, ctrl_state=1), [0, 1, 2]),
    "three controls": (MCXGate(3), [0, 1, 2, 3]),
    "a control of a rotation": (RYGate(0.3).control(2, annotated=False), [2, 0, 1]),
    "an annotated control": (RYGate(0.3).control(2, annotated=True), [0, 1, 2]),
    "an annotated inverse": (CUGate(0.1, 0.2, 0.3, 0.4).inverse(annotated=True), [0, 1]),
    "an annotated power": (SwapGate().power(0.5, annotated=True), [0, 2]),
    "a fractional power": (XGate().power(0.3), [1]),
    "a Fourier transform": (QFTGate(3), [0, 1, 2]),
    "an evolution": (PauliEvolutionGate(SparsePauliOp(["XYZ", "ZZI"]), time=0.4), [0, 1, 2]),
    "a Clifford": (Clifford(random_clifford(3, seed=1)), [0, 1, 2]),
    "a unitary": (random_unitary(8, seed=2).to_instruction(), [2, 1, 0]),
}


exact_evolution = pytest.mark.filterwarnings("ignore:.*CSC (matrix )?format")  # what Qiskit's own reference does there


@exact_evolution
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_not_in_the_language_is_decomposed(name):
    operation, qubits = OPERATIONS[name]
    assert_same(measured(4, *SPREAD, (operation, qubits), *CLOSE))


def test_nested_definitions_and_inverses_of_them_are_decomposed():
    inner = QuantumCircuit(2, name="inner")
    inner.ry(0.3, 0)
    inner.cx(0, 1)
    outer = QuantumCircuit(3, name="outer")
    outer.append(inner.to_gate(), [2, 0])
    outer.append(inner.to_gate().control(1, annotated=False), [1, 0, 2])
    circuit = measured(3, *SPREAD, (outer.to_gate().inverse(), [1, 2, 0]), *CLOSE)
    assert_same(circuit)


def test_a_gate_of_ones_own_that_is_called_h_is_not_taken_for_h():
    own = QuantumCircuit(1, name="h")
    own.x(0)
    circuit = measured(1, (own.to_gate(), [0]))
    assert probabilities(from_circuit(circuit).program) == {"1": 1.0}


def test_an_initialised_state_is_prepared_by_gates():
    circuit = QuantumCircuit(2)
    circuit.initialize([0.6, 0, 0, 0.8], [0, 1])
    circuit.measure_all()
    found = from_circuit(circuit)
    assert probabilities(found.program, found.lifted) == pytest.approx({"00": 0.36, "11": 0.64})


def test_parameters_keep_names_and_qiskits_order_also_beyond_ten():
    vector, alone = ParameterVector("a", 12), Parameter("Z")
    circuit = QuantumCircuit(1)
    for parameter in [*reversed(vector), alone]:
        circuit.ry(parameter, 0)
    circuit.measure_all()
    found = from_circuit(circuit)
    assert found.parameters == tuple(p.name for p in circuit.parameters)
    assert found.parameters == ("Z", *(f"a[{i}]" for i in range(12)))
    assert_same(circuit, tuple(0.1 * i for i in range(13)))


@exact_evolution
def test_affine_expressions_stay_parameters():
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2)
    circuit.ry(2 * a - b / 3 + 0.5, 0)
    circuit.rz(-(a + b) + a, 0)
    circuit.rx(a - a + 0.25, 1)
    circuit.append(PauliEvolutionGate(SparsePauliOp("XY"), time=a), [0, 1])
    circuit.measure_all()
    assert GateProgram.parse(from_circuit(circuit).program).ops[0].angles[0] == (0.5, 0, 2.0, 1, pytest.approx(-1 / 3))
    assert_same(circuit, (0.3, -1.2))


@pytest.mark.parametrize(
    "nonlinear", [lambda a: a * a, lambda a: a.sin(), lambda a: a.sign(), lambda a: abs(a), lambda a: 1 / a]
)
def test_other_expressions_travel_as_qpy(nonlinear):
    a = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.ry(nonlinear(a), 0)
    circuit.measure_all()
    found = from_circuit(circuit)
    assert (found.language, found.parameters) == ("qpy", ("a",))
    assert load_qpy(found.program).num_parameters == 1


def test_registers_stay_apart_and_loose_bits_come_last():
    circuit = QuantumCircuit(QuantumRegister(3), [Clbit()], ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.x(0)
    circuit.measure([0, 1, 0], [1, 2, 0])
    found = from_circuit(circuit)
    assert GateProgram.parse(found.program).registers == (("a", 2), ("b", 1), ("loose", 1))
    assert probabilities(found.program) == {"1 0 01": 1.0}


def test_several_loose_bits_follow_each_other():
    circuit = QuantumCircuit([*QuantumRegister(3)], [Clbit(), Clbit(), Clbit()])
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    program = GateProgram.parse(from_circuit(circuit).program)
    assert program.registers == (("loose", 3),)
    assert sorted(bit for op in program.ops for bit in op.bits) == [0, 1, 2]


def test_registers_that_share_a_bit_are_refused():
    register = ClassicalRegister(2, "a")
    circuit = QuantumCircuit(QuantumRegister(1), register, ClassicalRegister(name="again", bits=register[:1]))
    circuit.measure(0, 0)
    with pytest.raises(InvalidTask, match=r"register 'again' shares a bit"):
        from_circuit(circuit)


def test_a_register_nobody_writes_is_in_the_key_as_in_qiskit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure_all()
    assert probabilities(from_circuit(circuit).program) == {"1 0": 1.0}


def test_loops_over_numbers_are_unrolled_and_boxes_opened():
    circuit = QuantumCircuit(2)
    a = Parameter("a")
    with circuit.for_loop(range(3)) as i:
        circuit.ry(i * 0.2 + a, 0)
        with circuit.for_loop((0, 1)):
            circuit.cx(0, 1)
    with circuit.box():
        circuit.x(1)
    circuit.measure_all()
    found = from_circuit(circuit)
    assert found.language == "gates"
    assert [op.name for op in GateProgram.parse(found.program).ops[:9]] == ["ry", "cx", "cx"] * 3
    assert [op.angles for op in GateProgram.parse(found.program).ops if op.name == "ry"] == [
        ((0.2 * i, 0, 1.0),) for i in range(3)
    ]


@pytest.mark.parametrize("times", [10**9, pytest.param(600_000, marks=pytest.mark.drill)])
def test_a_loop_without_end_is_refused(times):
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(times)):
        circuit.x(0)
        circuit.h(0)
    circuit.measure_all()
    with pytest.raises(InvalidTask, match="1,000,000 operations"):
        from_circuit(circuit)


def branching():
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    return circuit


def test_branches_and_delays_travel_as_qpy():
    assert from_circuit(branching()).language == "qpy"
    circuit = QuantumCircuit(1)
    circuit.delay(100, 0)
    circuit.measure_all()
    assert from_circuit(circuit).language == "qpy"


def test_equal_branching_circuits_are_the_same_program():
    one, two = branching(), branching()
    assert one.name != two.name
    assert to_qpy(one) == to_qpy(two)


def test_qpy_programs_have_their_bits_in_registers():
    circuit = QuantumCircuit(QuantumRegister(2), [Clbit()], ClassicalRegister(1, "a"))
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    again = load_qpy(from_circuit(circuit).program)
    assert [(r.name, len(r)) for r in again.cregs] == [("a", 1), ("loose", 1)]
    assert [again.find_bit(bit).index for i in again.data for bit in i.clbits] == [1, 1, 0]


@pytest.mark.parametrize("make", [lambda: QuantumCircuit(2), lambda: QuantumCircuit(2, 2)])
def test_a_circuit_that_measures_nothing_is_told_how_to(make):
    circuit = make()
    circuit.h(0)
    with pytest.raises(InvalidTask, match="measure_all"):
        from_circuit(circuit)
    circuit.delay(10, 0)
    with pytest.raises(InvalidTask, match="measure_all"):
        from_circuit(circuit)


def test_a_circuit_without_qubits_is_refused():
    with pytest.raises(InvalidTask, match="no qubits"):
        from_circuit(QuantumCircuit())


def test_an_opaque_gate_is_named():
    with pytest.raises(InvalidTask, match=r"'wobble'.*no definition"):
        from_circuit(measured(1, (Gate("wobble", 1, []), [0])))


@pytest.mark.parametrize("angle", [math.nan, math.inf])
def test_an_angle_that_is_no_finite_number_is_refused(angle):
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    circuit.measure_all()
    with pytest.raises(InvalidTask, match=r"'ry'.*finite"):
        from_circuit(circuit)


# Lifted angles


def bound_circuit(*angles):
    circuit = QuantumCircuit(2)
    circuit.rz(math.pi / 2, 0)
    circuit.u(angles[0], 3 * math.pi / 4, angles[1], 1)
    circuit.measure_all()
    return circuit


def test_two_circuits_that_differ_in_their_angles_are_one_program():
    one, two = from_circuit(bound_circuit(0.1, 0.2)), from_circuit(bound_circuit(0.3, 0.4))
    assert one.program == two.program
    assert (one.lifted, two.lifted) == ((0.1, 0.2), (0.3, 0.4))
    assert one.parameters == ("angle[0]", "angle[1]")


def test_angles_stay_where_they_are_if_asked():
    found = from_circuit(bound_circuit(0.1, 0.2), lift_angles=False)
    assert (found.lifted, found.parameters) == ((), ())


def test_a_circuit_of_very_many_angles_keeps_them():
    circuit = QuantumCircuit(1)
    for i in range(600):
        circuit.rx(0.1 + i, 0)
    circuit.measure_all()
    assert from_circuit(circuit).lifted == ()


# Back to Qiskit


@given(programs(max_ops=10))
@settings(deadline=None, max_examples=40, derandomize=True, database=None)
def test_a_program_made_a_circuit_and_a_program_again_is_unchanged(program):
    read = GateProgram.parse(program)
    circuit, parameters = to_circuit(read)
    assert [p.name for p in parameters] == list(read.parameters)
    again = from_circuit(circuit, lift_angles=False)
    used = [name for name in read.parameters if name in again.parameters]
    assert list(again.parameters) == used
    row = (0.83, -1.94, 2.61)
    values = [row[read.parameters.index(name)] for name in used]
    assert probabilities(again.program, values) == pytest.approx(probabilities(program, row), abs=1e-9)


# QPY from anybody


def dumped(*circuits, **options):
    buffer = io.BytesIO()
    qpy.dump(list(circuits), buffer, **options)
    return buffer.getvalue()


def test_qpy_of_an_older_qiskit_is_read_from_version_13_on():
    assert load_qpy(dumped(branching(), version=13)).num_qubits == 2


@pytest.mark.parametrize("version", [10, 12, 99])
def test_qpy_that_might_unpickle_or_is_too_new_is_refused(version):
    program = bytearray(dumped(branching()))
    program[6] = version
    with pytest.raises(InvalidTask, match=f"QPY {version}"):
        load_qpy(bytes(program))


def test_several_circuits_in_one_qpy_program_are_refused():
    with pytest.raises(InvalidTask, match="exactly one circuit"):
        load_qpy(dumped(branching(), branching()))


def test_a_pulse_schedule_in_qpy_is_refused():
    program = bytearray(dumped(branching()))
    assert program[19:20] == b"q"
    program[19:20] = b"s"
    with pytest.raises(InvalidTask, match="no pulse schedule"):
        load_qpy(bytes(program))


def test_qpy_that_claims_impossible_sizes_is_refused_before_it_is_read():
    program = bytearray(dumped(branching(), version=13))
    place = 20 + 5  # after the file's header: name size, phase type and size, then the number of qubits
    assert int.from_bytes(program[place : place + 4], "big") == 2
    program[place : place + 4] = (2**31).to_bytes(4, "big")
    with pytest.raises(InvalidTask, match="claims 2147483648 qubits"):
        load_qpy(bytes(program))


@pytest.mark.parametrize("program", ["text", b"", b"QISKIT", b"nonsense" * 100])
def test_bytes_that_are_no_qpy_are_refused(program):
    with pytest.raises(InvalidTask, match="qpy"):
        load_qpy(program)


def test_qpy_with_damaged_or_missing_bytes_is_invalid_and_nothing_worse():
    whole = dumped(branching())
    random = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[random.integers(60, len(whole))] ^= 1 << int(random.integers(8))
        for program in (bytes(damaged), whole[: random.integers(len(whole))]):
            with contextlib.suppress(InvalidTask):
                load_qpy(program)


def test_a_wrong_number_of_columns_for_qpy_is_refused():
    a = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.ry(a.sin(), 0)
    circuit.measure_all()
    prepared = Prepared.read(from_circuit(circuit).program, "qpy", 5)
    with pytest.raises(InvalidTask, match=r"2 columns, the program has 1 parameters: a"):
        prepared.check([[0.1, 0.2]])


# Speed


def test_a_seven_qubit_circuit_becomes_a_task_in_less_than_a_millisecond():
    circuit = efficient_su2(7, entanglement="linear", reps=1)
    circuit.measure_all()
    values = [0.1] * circuit.num_parameters

    def once():
        started = time.perf_counter()
        as_task(circuit, parameter_values=values)
        return time.perf_counter() - started

    assert min(once() for _ in range(30)) < 1e-3
