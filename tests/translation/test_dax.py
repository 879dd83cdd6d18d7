"""DAX programs: written from circuits, read without executing anything, and the way back from raw measurements."""

import ast
import json
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

from qpu_executors import QPU, InvalidTask, as_task
from qpu_executors.running import HeldDevice
from qpu_executors.testing import ROTATION
from qpu_executors.translation.dax import DaxProgram, StoredValues, to_program
from qpu_executors.translation.dax_writer import to_dax, to_dax_rows
from qpu_executors.translation.gates import GATES, GateProgram

READ_0 = ("self.q.m_z(0)", "self.q.store_measurements([0])")


def ghz(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit


def program(*ops: list, n: int = 2, bits: int = 2) -> str:
    measure = [["measure", list(range(bits)), list(range(bits))]]
    return GateProgram.parse(
        json.dumps({"gates": 1, "qubits": n, "registers": [["c", bits]], "parameters": [], "ops": [*ops, *measure]})
    ).dumps()


def body(*lines: str, shots: int = 10, header: str = "") -> str:
    text = "\n".join(" " * 16 + line for line in lines)
    return f"""{header}
from dax.program import *
class Anything(DaxProgram, Experiment):
    def build(self):
        self._num_iterations = {shots}
        self._num_qubits = 3
    def run(self):
        self._run()
    @kernel
    def _run(self):
        with self.data_context:
            for _ in range(self._num_iterations):
{text}
"""


def test_a_circuit_written_and_read_is_the_same_circuit() -> None:
    task = as_task(ghz(4))
    read = DaxProgram.parse(to_dax(task.program, 30))
    assert (read.shots, read.n_qubits, read.order, read.stores) == (30, 4, (0, 1, 2, 3), (4,))
    assert read.program.registers == (("meas", 4),)
    written = [op for op in GateProgram.parse(task.program).ops if op.name not in ("barrier", "measure")]
    assert [op for op in read.program.ops if op.name != "measure"] == written


def test_the_text_is_python_with_parameters_before_qubits() -> None:
    text = to_dax(program(["rx", [1], [0.25]], ["rxx", [0, 1], [0.5]], ["cx", [0, 1]]), 7)
    ast.parse(text)
    for line in ("self.q.rx(0.25, 1)", "self.q.rxx(0.5, 0, 1)", "self.q.cnot(0, 1)", "self._num_iterations = 7"):
        assert line in text


@pytest.mark.parametrize("gate", [gate for gate, (n_qubits, _) in GATES.items() if n_qubits < 3])
def test_every_gate_that_is_written_does_the_same(gate: str) -> None:
    n_qubits, n_angles = GATES[gate]
    op = [gate, list(range(n_qubits)), [0.3 + 0.4 * i for i in range(n_angles)]]
    around = [
        ["h", [0]],
        ["ry", [1], [0.7]],
        ["rz", [1], [0.3]],
        op if n_angles else op[:2],
        ["h", [0]],
        ["rx", [1], [0.9]],
    ]
    direct = program(*around)
    by_dax, _ = to_program(to_dax(direct, 10))
    device = HeldDevice(QPU("sv0", "statevector", 4)).device
    states = [device.statevector(text) for text in (direct, by_dax)]
    assert abs(numpy.vdot(*states)) == pytest.approx(1.0)


def test_a_gate_that_the_machine_cannot_do_is_refused_by_name_and_never_left_out() -> None:
    with pytest.raises(InvalidTask, match="no way to do gate 'cnot': it has rx, rz"):
        to_dax(program(["h", [0]], ["cx", [0, 1]], n=2), 10, basis=frozenset({"rx", "rz"}))


def test_parameters_are_bound_to_the_row() -> None:
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(1)
    circuit.rx(2 * Parameter("theta"), 0)
    circuit.measure_all()
    text = as_task(circuit, parameter_values=[0.1]).program
    assert "self.q.rx(0.2, 0)" in to_dax(text, 10, [0.1])
    with pytest.raises(InvalidTask, match="give 1 values, not 0"):
        to_dax(text, 10)


def test_the_order_of_classical_bits_travels_with_the_text() -> None:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.x(0)
    circuit.measure(2, 0)
    circuit.measure(0, 2)
    circuit.measure(1, 1)
    read = DaxProgram.parse(to_dax(as_task(circuit).program, 10))
    assert read.order == (0, 2, 1)
    assert read.counts([[0, 1, 0]] * 10) == {"1 00": 10}
    held = HeldDevice(QPU("sv0", "statevector", 3))
    assert held.run(as_task(to_dax(as_task(circuit).program, 10))).counts == ({"1 00": 10},)


def test_a_measurement_in_the_middle_is_stored_alone_since_all_stores_must_be_of_one_size() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.cx(0, 1)
    circuit.measure(1, 1)
    read = DaxProgram.parse(to_dax(as_task(circuit).program, 50))
    assert read.stores == (1, 1)
    held = HeldDevice(QPU("sv0", "statevector", 3))
    counts = held.run(as_task(to_dax(as_task(circuit).program, 50))).counts[0]
    assert set(counts) <= {"00", "11"}
    assert numpy.asarray(read.raw(counts)).shape == (100, 1)


@given(st.dictionaries(st.sampled_from(["000", "001", "010", "100", "111"]), st.integers(1, 20), min_size=1))
def test_counts_survive_the_way_through_raw_measurements(counts: dict[str, int]) -> None:
    read = DaxProgram.parse(body("self.q.m_z_all()", "self.q.store_measurements([2, 0, 1])"))
    assert read.counts(read.raw(counts)) == counts
    assert read.counts(numpy.asarray(read.raw(counts)).flatten()) == counts


def test_any_value_but_zero_is_a_one_and_a_wrong_number_of_values_is_refused() -> None:
    read = DaxProgram.parse(body("self.q.m_z(0)", "self.q.m_z(1)", "self.q.store_measurements([0, 1])"))
    assert read.counts([[7, 0], [0, 0]]) == {"01": 1, "00": 1}
    with pytest.raises(InvalidTask, match="3 raw values are no whole number of shots with 2 values"):
        read.counts([1, 0, 1])


def test_texts_of_other_writers_are_read_with_parallel_blocks_comments_and_loops() -> None:
    read = DaxProgram.parse(
        body(
            "self.core.reset()",
            "self.q.prep_0_all()",
            "with parallel:",
            "    with sequential:",
            "        self.q.rx(pi / 2, 0)",
            "        pass",
            "    with sequential:",
            "        self.q.sqrt_y_dag(1)",
            "# self.q.barrier(0, 1)",
            "for i in range(2):",
            "    self.q.cnot(i, i + 1)",
            "self.q.m_z(1)",
            "self.q.store_measurements([1])",
            "self.q.m_z(0)",
            "self.q.store_measurements([0])",
        )
    )
    gates = [(op.name, op.qubits, op.angles) for op in read.program.ops if op.name != "measure"]
    half = math.pi / 2
    assert gates == [("rx", (0,), (half,)), ("ry", (1,), (-half,)), ("cx", (0, 1), ()), ("cx", (1, 2), ())]
    assert (read.order, read.stores) == ((1, 0), (1, 1))  # without a header, bits follow the qubits


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("self.q.gms(0, 1)", "self.q.gms is not known"),
        ("self.q.x(0, 1)", "takes 0 angle"),
        ("self.q.cnot(1, 1)", "names a qubit twice"),
        ("self.q.x(-1)", "no qubit -1"),
        ("self.q.x(n)", "not a whole number that can be known: 'n'"),
        ("self.q.rx(1e400, 0)", "finite"),
        ("self.q.rx(1 / 0, 0)", "finite"),
        ("self.q.rx(theta, 0)", "not an angle that can be known"),
        ("__import__('os').system('false')", "cannot be read"),
        ("self.q.x(__import__('os').getpid())", "not a whole number that can be known"),
        ("if self.q.get_measurement(0): self.q.x(1)", "cannot be read"),
        ("while True: pass", "cannot be read"),
        ("for i in range(10 ** 9): pass", "not a whole number"),
        ("for i in range(1000000000): pass", "more than 1,000,000 operations"),
        ("for i in qubits: pass", "must be over range"),
        ("self.q.store_measurements([2])", "stored before it is measured"),
        ("x = 1", "cannot be read"),
    ],
)
def test_what_could_change_the_circuit_is_refused_with_its_line(line: str, message: str) -> None:
    with pytest.raises(InvalidTask, match=message) as caught:
        DaxProgram.parse(body("self.q.x(0)", line, *READ_0))
    assert "line 14" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0"),
        ("class A(DaxProgram): pass", "one block"),
        ("class A(DaxProgram):\n  x = (", "never closed"),
        ("(" * 500, "line 1|nested|parentheses"),
        ("x = " + "-" * 100_000 + "1", "nested|cannot be read"),
        ("x" * (2**20 + 1), "MiB"),
        (body("self.q.x(0)"), "stores no measurement"),
        (body("self.q.x(0)", shots=0), "loop over the shots"),
        (body(*READ_0, header="# conqure: {}"), "bits and registers"),
        (body(*READ_0, header='# conqure: {"bits":[5],"registers":[["c",1]]}'), "fit"),
        (
            body("self.q.m_z(0)", "self.q.x(0)", "self.q.m_z(1)", "self.q.store_measurements([1])"),
            "measured, not stored",
        ),
        (body("self.q.rx(" + "1 + " * 5_000 + "1, 0)", *READ_0), "nested"),
    ],
)
def test_texts_that_are_no_such_program_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        DaxProgram.parse(text)


def test_rows_become_one_program_with_a_data_context_for_each() -> None:
    text = to_dax_rows(ROTATION, 20, [[0.1], [0.2], [0.3]])
    read = DaxProgram.parse_rows(text)
    assert [one.program.ops[0].angles for one in read] == [(0.1,), (0.2,), (0.3,)]
    assert {(one.shots, one.order) for one in read} == {(20, (0,))}
    assert [line.strip() for line in text.splitlines() if "_circuit_" in line and "def" not in line] == [
        "self._circuit_0()",
        "self._circuit_1()",
        "self._circuit_2()",
    ]
    with pytest.raises(InvalidTask, match="one block 'with self.data_context', this text has 3"):
        DaxProgram.parse(text)
    with pytest.raises(InvalidTask, match="give 1 values, not 2"):
        to_dax_rows(ROTATION, 20, [[0.1], [0.2, 0.3]])
    with pytest.raises(InvalidTask, match="fewer rows"):
        to_dax_rows(ROTATION, 20, [[0.1]] * 40_000)


def test_the_header_alone_says_what_values_are_and_how_many() -> None:
    circuit = QuantumCircuit(QuantumRegister(2, "q"), ClassicalRegister(1, "a"), ClassicalRegister(1, "b"))
    circuit.measure([0, 1], [1, 0])
    text = to_dax(as_task(circuit).program, 3)
    header = next(line for line in text.splitlines() if line.startswith("# conqure"))
    stored = StoredValues.of(f"{header}\nwhatever a machine may read")
    assert stored == DaxProgram.parse(text).stored == StoredValues((1, 0), (("a", 1), ("b", 1)), 3)
    assert stored.n_values == 6
    assert stored.counts([[0, 1], [0, 1], [1, 0]]) == {"0 1": 2, "1 0": 1}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"bits":[0],"registers":[["c",1]],"shots":11}', "loop runs 10 times.*11 shots"),
        ('{"bits":[0],"registers":[["c",1]],"shots":10,"more":1}', "bits and registers"),
        ('{"bits":[0],"registers":[["c",-1],["d",2]],"shots":10}', "do not fit"),
        ('{"bits":[0],"registers":[["c",20000]],"shots":10}', "do not fit"),
        ('{"bits":[0],"registers":7,"shots":10}', r"must be \[bit"),
    ],
)
def test_a_header_that_does_not_fit_its_program_is_refused(header: str, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        DaxProgram.parse(body(*READ_0, header=f"# conqure: {header}"))


@pytest.mark.parametrize("shots", ["0", "-1", '"10"', "1.5", "10000000000"])
def test_a_header_alone_must_say_a_number_of_shots(shots: str) -> None:
    with pytest.raises(InvalidTask, match="must say shots from 1"):
        StoredValues.of(f'# conqure: {{"bits":[0],"registers":[["c",1]],"shots":{shots}}}')


def test_a_device_that_speaks_dax_gets_the_text_as_it_is() -> None:
    class Speaks:
        device_id, n_qubits, languages = "ion0", 4, ("dax",)

        def prepare(self, program: str, language: str) -> str:
            assert language == "dax"
            return program

        def execute(self, prepared: str, rows: object, shots: int, seed: int | None) -> list[dict[str, int]]:
            assert prepared.startswith('"""Program written by CONQURE')
            return [{"0000": shots}]

        def close(self) -> None: ...

    held = HeldDevice(QPU("ion0", "fake", 4), Speaks())
    assert held.run(as_task(to_dax(as_task(ghz(4)).program, 30))).counts == ({"0000": 30},)
