"""One function takes what people call a circuit, and values the way they have them."""

import io
import subprocess
import sys

import numpy as np
import pennylane as qml
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter, ParameterVector

from qpu_executors import QPU, InvalidTask, QuantumTask, as_task, hold
from qpu_executors.testing import BELL, ROTATION
from qpu_executors.translation import rows, translate

THETA = Parameter("theta")
VECTOR = ParameterVector("v", 2)


def parametrised():
    circuit = QuantumCircuit(1)
    circuit.ry(VECTOR[1], 0)
    circuit.ry(THETA, 0)
    circuit.ry(VECTOR[0], 0)
    circuit.measure_all()
    return circuit  # in order: theta, v[0], v[1]


def bell_qpy():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer)
    return circuit, buffer.getvalue()


BELLS = {
    "a circuit": lambda: bell_qpy()[0],
    "QPY": lambda: bell_qpy()[1],
    "gates": lambda: BELL,
    "a task": lambda: QuantumTask(BELL),
    "OpenQASM 2": lambda: (
        'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q->c;'
    ),
    "OpenQASM 3": lambda: (
        '// Bell\nOPENQASM 3;\ninclude "stdgates.inc"; qubit[2] q; h q[0]; cx q[0],q[1]; bit[2] c = measure q;'
    ),
    "OpenQASM 3 without its first line": lambda: (
        'include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0],q[1]; c = measure q;'
    ),
    "a tape": lambda: qml.tape.QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1])], [qml.counts()]),
}


@pytest.mark.parametrize("kind", BELLS)
def test_every_kind_of_circuit_becomes_a_task_that_runs(kind):
    task = as_task(BELLS[kind](), shots=50, device_id="sv", seed=1, priority="HIGH")
    assert (task.shots, task.device_id, task.seed, task.priority) == (50, "sv", 1, "HIGH")
    with hold(QPU("sv", "statevector", 2)) as held:
        assert set(held.run(task).counts[0]) == {"00", "11"}


def test_a_task_without_changes_is_itself():
    task = QuantumTask(BELL)
    assert as_task(task) is task or as_task(task) == task
    assert as_task(task, shots=None, seed=None) == task
    assert as_task(task, shots=3).task_id == task.task_id


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [[1, 2, 3]],
        np.array([1, 2, 3]),
        qml.numpy.array([[1, 2, 3]]),
        {"theta": 1, "v": [2, 3]},
        {THETA: 1, VECTOR: np.array([2, 3])},
        {"v[1]": 3, VECTOR[0]: 2.0, "theta": np.float64(1)},
    ],
    ids=str,
)
def test_one_row_is_given_in_many_ways(values):
    assert as_task(parametrised(), parameter_values=values).parameter_values == ((1.0, 2.0, 3.0),)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2, 3], [4, 2, 3]],
        np.array([[1, 2, 3], [4, 2, 3]]),
        {"theta": [1, 4], "v": [2, 3]},
        {"theta": np.array([1, 4]), VECTOR: [[2, 3], [2, 3]]},
        {"theta": (1, 4), "v[0]": 2, "v[1]": [3, 3]},
    ],
    ids=str,
)
def test_rows_are_given_in_many_ways(values):
    assert as_task(parametrised(), parameter_values=values).parameter_values == ((1, 2, 3), (4, 2, 3))


WRONG = {
    "nothing": (None, r"3 parameters \(theta, v\[0\], v\[1\]\) without values"),
    "too few columns": ([1, 2], r"2 columns, the circuit has 3 parameters"),
    "a missing name": ({"theta": 1}, r"lacks 2 parameters \(v\[0\], v\[1\]\)"),
    "an unknown name": ({"phi": 1}, r"no parameter 'phi'. It has 3 parameters \(theta"),
    "a vector of another length": ({"v": [1, 2, 3], "theta": 1}, "'v' takes 2 values"),
    "rows of different numbers": ({"theta": [1, 2], "v": [[1, 2]] * 3}, "different numbers of rows"),
    "text": ("1, 2", "rows of numbers"),
    "NaN": ([1, float("nan"), 3], r"\[0\]\[1\] is nan"),
    "a number": (3.0, "rows of numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_do_not_fit_are_refused(name):
    values, message = WRONG[name]
    with pytest.raises(InvalidTask, match=message):
        as_task(parametrised(), parameter_values=values)


def test_rows_of_a_circuit_without_parameters_repeat_it():
    circuit, program = bell_qpy()
    assert as_task(circuit, parameter_values=[[], [], []]).n_rows == 3
    assert as_task(program, parameter_values={}).n_rows == 1
    with pytest.raises(InvalidTask, match="1 columns, the circuit has no parameters"):
        as_task(circuit, parameter_values=[0.3])


def test_bound_angles_are_lifted_and_can_be_left():
    circuit = parametrised().assign_parameters([0.1, 0.2, 0.3])
    assert as_task(circuit).parameter_values == ((0.3, 0.1, 0.2),)  # in the order they are in the circuit
    assert as_task(circuit, lift_angles=False).parameter_values == ((),)
    assert as_task(circuit, parameter_values=[[], []]).n_rows == 2


def test_a_mapping_works_for_programs_and_tasks_too():
    assert as_task(ROTATION, parameter_values={"theta": [1, 2]}).parameter_values == ((1,), (2,))
    task = QuantumTask(ROTATION, parameter_values=[[0.0]])
    assert as_task(task, parameter_values={"theta": 3}).parameter_values == ((3,),)
    with pytest.raises(InvalidTask, match="names of the parameters of this dax program are not known"):
        as_task(QuantumTask("x", language="dax"), parameter_values={"theta": 3})


@pytest.mark.parametrize("thing", [5, None, [BELL], object(), {"gates": 1}], ids=lambda thing: type(thing).__name__)
def test_what_is_no_circuit_is_refused_with_what_is(thing):
    with pytest.raises(InvalidTask, match=r"is no circuit. Give a qiskit.QuantumCircuit, OpenQASM"):
        as_task(thing)


def test_text_that_is_no_circuit_is_refused():
    with pytest.raises(InvalidTask, match="'hello world'"):
        as_task("hello world")


def test_what_only_a_device_reads_passes_as_it_is():
    found = translate("some dax", "dax")
    assert (found.program, found.language, found.parameters) == ("some dax", "dax", None)
    assert as_task(b"\x00\x01", language="dax", parameter_values=[[1, 2]]).parameter_values == ((1, 2),)


def test_rows_of_a_mapping_keep_the_order_of_the_parameters():
    assert rows(["b", "a"], {"a": 1, "b": [2, 3]}) == [(2, 1), (3, 1)]


def test_a_program_of_100_mb_is_refused_at_once():
    for text in (
        "{" + " " * 10**8,
        "OPENQASM 3;" + " " * 10**8,
        "OPENQASM 2.0;" + " " * 10**8,
        b"QISKIT" + b"0" * 10**8,
    ):
        with pytest.raises(InvalidTask, match="95 MiB, the limit is 16 MiB"):
            as_task(text)


def test_gates_and_tasks_need_no_sdk():
    code = f"""
import sys
for name in ("qiskit", "pennylane", "numpy"):
    sys.modules[name] = None
from qpu_executors import as_task
print(as_task({ROTATION!r}, parameter_values={{"theta": 1}}).n_rows)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1", done.stderr
