"""All drivers give the same distribution, the one quantum mechanics says."""

import functools
import zlib

import pytest
from hypothesis import HealthCheck, given, settings

from qpu_executors import QPU, QPUThreadPool, QuantumTask, run
from qpu_executors.running import HeldDevice
from qpu_executors.testing import gates, vqe_program
from qpu_executors.translation.gates import GATES, GateProgram
from qpu_executors.translation.openqasm import to_openqasm3, to_program

from .reference import ROW, bound, distance, probabilities, programs
from .test_contract import LINE

SHOTS = 2000
QPUS = {
    "statevector": QPU("sv", "statevector", 6),
    "aer": QPU("aer", "aer", 6),
    "aer by density matrix": QPU("dm", "aer", 6, options={"method": "density_matrix"}),
    "lightning.qubit": QPU("pl", "pennylane", 6),
    "default.qubit": QPU("dq", "pennylane", 6, options={"device": "default.qubit"}),
    "emulated": QPU("ion", "emulated", 6),
    "BasicSimulator": QPU("bs", "qiskit", 6, options={"backend": "qiskit.providers.basic_provider:BasicSimulator"}),
    "transpiled to a line": QPU(
        "line",
        "qiskit",
        5,
        options={
            "backend": "qiskit_aer:AerSimulator",
            "arguments": {"coupling_map": LINE, "basis_gates": ["cx", "rz", "sx", "x"], "max_parallel_threads": 1},
            "optimization_level": 2,
        },
    ),
}


@functools.cache
def held(name):
    return HeldDevice(QPUS[name])


def assert_agrees(name, program, row=()):
    expected = probabilities(program, row)
    seed = zlib.crc32(program.encode())
    task = QuantumTask(program, parameter_values=[row], shots=SHOTS, seed=seed)
    (counts,) = held(name).run(task).counts
    assert sum(counts.values()) == SHOTS
    assert distance(counts, expected) < bound(expected, SHOTS), (counts, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", QPUS)
def test_every_gate_of_the_language_does_what_qiskits_matrix_says(name):
    """All gates in one circuit would hide little, but one circuit for each would take minutes: three gates each."""
    angles = [0.4, 1.3, -0.8, 0.6]
    spread = [["ry", [0], [0.9]], ["ry", [1], [2.1]], ["u", [2], [1.2, 0.3, -0.5]], ["cx", [0, 2]], ["rz", [1], [0.7]]]
    for gate, (n_qubits, n_angles) in GATES.items():
        tested = [gate, [2, 0, 1][:n_qubits], angles[:n_angles]]
        program = gates(3, *spread, tested, ["h", [0]], ["h", [1]], ["sx", [2]])
        assert_agrees(name, program)


def agreement(name, max_examples):
    """A property over random programs for one driver."""

    @given(programs())
    @settings(
        deadline=None,
        max_examples=max_examples,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    def test(program):
        assert_agrees(name, program, ROW)

    return test


test_random_programs_agree_on_the_state_vector = agreement("statevector", 150)
test_random_programs_agree_on_lightning = agreement("lightning.qubit", 60)
test_random_programs_agree_on_an_emulated_qpu = agreement("emulated", 15)
test_random_programs_agree_on_aer = agreement("aer", 15)
test_many_random_programs_agree_on_aer = pytest.mark.slow(agreement("aer", 60))
test_random_programs_agree_on_aer_by_density_matrix = pytest.mark.slow(agreement("aer by density matrix", 30))
test_random_programs_agree_on_default_qubit = pytest.mark.slow(agreement("default.qubit", 25))
test_random_programs_agree_on_the_basic_simulator = pytest.mark.slow(agreement("BasicSimulator", 15))
test_random_programs_agree_when_transpiled_to_a_line = pytest.mark.slow(agreement("transpiled to a line", 25))


@pytest.mark.slow
@given(programs(max_ops=8))
@settings(deadline=None, max_examples=25, derandomize=True, database=None)
def test_a_program_written_as_openqasm_3_and_read_again_is_the_same(program):
    again, language = to_program(to_openqasm3(program), "openqasm3")
    assert language == "gates"
    assert GateProgram.parse(again).parameters == GateProgram.parse(program).parameters
    one, two = probabilities(program, ROW), probabilities(again, ROW)
    assert one == pytest.approx(two, abs=1e-9)


@pytest.mark.parametrize("driver", ["statevector", "aer", "pennylane"])
def test_two_slots_of_a_qpu_do_not_disturb_each_other(driver):
    program = vqe_program(4)
    tasks = [
        QuantumTask(program, parameter_values=[0.1 * i + 0.2 * j for j in range(8)], shots=500, seed=seed)
        for i in range(30)
        for seed in (None, i)
    ]
    with QPUThreadPool([QPU("d", driver, 5, slots=2)]) as pool:
        results = [pool.submit(run, task) for task in tasks]
    for task, result in zip(tasks, results, strict=True):
        (row,) = task.parameter_values
        expected = probabilities(program, row)
        assert distance(result.result().counts[0], expected) < bound(expected, 500)
