"""The library's own gates, state vector, expectations and exports against the Python side and Qiskit."""

from __future__ import annotations

import contextlib
import io
import json
import math
import warnings
from collections.abc import Mapping

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm3
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from qpu_executors import as_task
from qpu_executors.drivers.statevector import StatevectorDevice
from qpu_executors.drivers.unitaries import MATRICES
from qpu_executors.translation.gates import GATES, Angle, GateProgram, Op

from .host import INVALID, OK, Counts, HostCircuit

SHOTS = 400_000
ANGLES = (0.7, -1.3, 2.1, 0.45)
PYTHON = StatevectorDevice("python", 14)


def gate(name: str) -> Op:
    """The gate on its own qubits, last one first, with angles that no symmetry hides."""
    n_qubits, n_angles = GATES[name]
    return Op(name, tuple(reversed(range(n_qubits))), ANGLES[:n_angles])


def turned(n_qubits: int, seed: int) -> list[Op]:
    """A random rotation of each qubit: between two of these all entries of a gate show in the counts."""
    angles = np.random.default_rng(seed).uniform(0.4, 2.6, (n_qubits, 3)).tolist()
    return [Op("u", (qubit,), tuple(three)) for qubit, three in enumerate(angles)]


def measured(n_qubits: int, *ops: Op, parameters: tuple[str, ...] = ()) -> GateProgram:
    everything = tuple(range(n_qubits))
    return GateProgram(n_qubits, (("meas", n_qubits),), parameters, (*ops, Op("measure", everything, bits=everything)))


def mixed(name: str) -> GateProgram:
    n_qubits = GATES[name][0]
    return measured(n_qubits, *turned(n_qubits, 1), gate(name), *turned(n_qubits, 2))


def probabilities(program: GateProgram, row: tuple[float, ...] = ()) -> dict[str, float]:
    state = PYTHON.statevector(program.dumps(), row)
    return {format(k, f"0{program.n_qubits}b"): abs(amplitude) ** 2 for k, amplitude in enumerate(state)}


def agrees(counts: Counts, expected: Mapping[str, float]) -> bool:
    """Chi-squared at about one wrong alarm in a million; seeds are fixed, so a test that passed passes again."""
    shots = sum(counts.values())
    likely = {key: p for key, p in expected.items() if p > 1e-12}
    if not set(counts) <= set(likely):
        return False
    chi2 = sum((counts.get(key, 0) - shots * p) ** 2 / (shots * p) for key, p in likely.items())
    return chi2 <= limit(len(likely) - 1)


def alike(ours: Counts, theirs: Counts) -> bool:
    """The same for two samples of one size; keys that are rare in both are one key."""
    pairs: dict[str, tuple[int, int]] = {}
    for key in ours | theirs:
        a, b = ours.get(key, 0), theirs.get(key, 0)
        name = key if a + b > 20 else "rare"
        rare = pairs.get(name, (0, 0))
        pairs[name] = (a + rare[0], b + rare[1])
    assert sum(ours.values()) == sum(theirs.values())
    return sum((a - b) ** 2 / (a + b) for a, b in pairs.values()) <= limit(len(pairs))


def limit(freedom: int) -> float:
    return freedom + 5 * math.sqrt(2 * freedom) + 12


def test_the_gates_are_those_of_the_language_gates() -> None:
    unknown = HostCircuit(GateProgram(1, (), (), (Op("nope", (0,)),)))
    assert unknown.status == INVALID
    assert unknown.error.partition("Gates: ")[2] == ", ".join(GATES) + "."


@pytest.mark.parametrize("name", GATES)
def test_a_gate_takes_as_many_qubits_and_angles_as_in_the_language(name: str) -> None:
    n_qubits, n_angles = GATES[name]
    for qubits, angles in [(n_qubits, n_angles), (n_qubits, n_angles + 1), (n_qubits + 1, n_angles)]:
        op = Op(name, tuple(range(qubits)), (0.5,) * angles)
        expected = OK if (qubits, angles) == GATES[name] else INVALID
        assert HostCircuit(GateProgram(4, (), (), (op,))).status == expected


@pytest.mark.parametrize("name", GATES)
def test_a_gate_does_what_it_does_in_python(name: str) -> None:
    [counts] = HostCircuit(mixed(name), SHOTS).counts()
    assert agrees(counts, probabilities(mixed(name)))


def test_the_comparison_sees_a_small_angle() -> None:
    [counts] = HostCircuit(measured(1, Op("ry", (0,), (1.0,))), SHOTS).counts()
    assert not agrees(counts, probabilities(measured(1, Op("ry", (0,), (1.01,)))))


def test_parameters_are_bound_row_by_row_with_scale_and_offset() -> None:
    ops = (
        Op("ry", (0,), ((0.2, 0, 2.0),)),
        Op("rx", (1,), ((-0.1, 1, -0.5),)),
        Op("cx", (0, 1)),
        Op("ry", (1,), (0.3,)),
    )
    program = measured(2, *ops, parameters=("theta", "phi"))
    rows = [(0.1, 0.9), (1.4, -2.0), (0.0, 0.0)]
    for row, counts in zip(rows, HostCircuit(program, SHOTS).counts(rows), strict=True):
        assert agrees(counts, probabilities(program, row))


def random_program(seed: int) -> GateProgram:
    """Gates, measurements into any bit of two registers, resets and barriers in any order, on four qubits."""
    rng = np.random.default_rng(seed)
    # A register is made, and grows, as it is written to: so each bit is written first, in order.
    ops = [*(Op("measure", (3,), bits=(bit,)) for bit in range(5)), *turned(4, seed)]
    for _ in range(24):
        name = str(rng.choice(["measure", "reset", "barrier", "gate", "gate", "gate"]))
        if name == "gate":
            name = str(rng.choice(list(GATES)))
        n_qubits, n_angles = GATES.get(name, (1, 0))
        qubits = tuple(int(q) for q in rng.permutation(4)[:n_qubits])
        angles: tuple[Angle, ...] = tuple(rng.uniform(-3, 3, n_angles).tolist())
        bits = (int(rng.integers(5)),) if name == "measure" else ()
        ops.append(Op(name, qubits, angles, bits))
    return GateProgram(4, (("a", 2), ("b", 3)), (), (*ops, Op("measure", (2, 0), bits=(4, 0))))


@pytest.mark.parametrize("seed", range(30))
def test_measurements_and_resets_in_the_middle_do_what_they_do_in_python(seed: int) -> None:
    program = random_program(seed)
    [ours] = HostCircuit(program, 20_000, seed).counts()
    [theirs] = PYTHON.execute(PYTHON.prepare(program.dumps(), "gates"), [[]], 20_000, seed)
    assert alike(ours, theirs)


def test_a_measurement_in_the_middle_of_many_qubits_does_not_cost_a_simulation_per_shot() -> None:
    everything = [Op("h", (qubit,)) for qubit in range(16)]
    program = measured(16, *everything, Op("reset", (3,)), Op("measure", (5,), bits=(5,)), *everything)
    [counts] = HostCircuit(program, 10_000).counts()  # 10,000 simulations would take minutes
    assert sum(counts.values()) == 10_000


# -- expectations -----------------------------------------------------------------------------------------------------

TERMS = {"III": -7.5, "ZZI": 0.8, "IZZ": -0.6, "XXI": 0.5, "IYY": 0.4, "ZIZ": 0.3, "XIX": -0.2, "YXZ": 0.7}
ANSATZ = (*turned(3, 3), Op("cx", (0, 1)), Op("cx", (1, 2)), *turned(3, 4))


def exact(terms: Mapping[str, float]) -> float:
    circuit = QuantumCircuit(3)
    for op in ANSATZ:
        getattr(circuit, op.name)(*op.angles, *op.qubits)
    return float(Statevector(circuit).expectation_value(SparsePauliOp(list(terms), list(terms.values()))).real)


def test_an_expectation_is_the_exact_one_within_its_standard_error() -> None:
    [value], [error] = HostCircuit(GateProgram(3, (), (), ANSATZ), SHOTS).expectation(TERMS)
    assert 0 < error < 0.01
    assert abs(value - exact(TERMS)) < 4.5 * error


@pytest.mark.parametrize("seed", [-1, 3])
def test_the_standard_error_is_the_scatter_of_repeated_expectations(seed: int) -> None:
    rows = 1000
    program = GateProgram(3, (), ("unused",), ANSATZ)
    values, errors = HostCircuit(program, 100, seed=seed).expectation(TERMS, [(0.0,)] * rows)
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.1)  # the scatter is itself known to 1 in 45
    assert np.mean(values) == pytest.approx(exact(TERMS), abs=4.5 * float(np.std(values)) / math.sqrt(rows))


def test_an_identity_contributes_exactly() -> None:
    assert HostCircuit(GateProgram(3, (), (), ANSATZ), 10).expectation({"III": 0.1}) == ([0.1], [0.0])


# -- exports ----------------------------------------------------------------------------------------------------------


def read(text: str) -> QuantumCircuit:
    """As a person reads it: with Qiskit's own function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return qasm3.loads(text)


def affine(name: str) -> tuple[Op, dict[str, float]]:
    """The gate with its angles given by parameters, and values with which they are ANGLES."""
    op = gate(name)
    angles = tuple((-0.25, k, 2.0 - 3 * (k % 2)) for k in range(len(op.angles)))
    values = {f"p{k}": (ANGLES[k] + 0.25) / (2.0 - 3 * (k % 2)) for k in range(len(op.angles))}
    return op._replace(angles=angles), values


@pytest.mark.parametrize("name", GATES)
def test_qiskit_reads_a_gate_back_from_openqasm(name: str) -> None:
    n_qubits = GATES[name][0]
    wanted = QuantumCircuit(n_qubits)
    wanted.unitary(MATRICES[name](np.array(ANGLES[: GATES[name][1]])), gate(name).qubits)
    assert Operator(read(HostCircuit(GateProgram(n_qubits, (), (), (gate(name),))).qasm3)).equiv(Operator(wanted))
    op, values = affine(name)
    named = read(HostCircuit(GateProgram(n_qubits, (), tuple(values), (op,))).qasm3)
    assert Operator(named.assign_parameters(values)).equiv(Operator(wanted))


def test_our_own_reader_takes_every_gate_of_an_export() -> None:
    gates = [gate(name) for name in GATES]
    program = measured(3, *turned(3, 5), *gates, *turned(3, 6))
    task = as_task(HostCircuit(program).qasm3)
    expected = PYTHON.statevector(program.dumps())
    state = PYTHON.statevector(str(task.program), task.parameter_values[0])
    assert abs(np.vdot(state, expected)) == pytest.approx(1.0)


WORDS = ("lambda", "pi", "in", "theta", "a", "q", "parameters", "rxx", "input", "_x", "theta_")
SCRIPT = GateProgram(
    3,
    (("measure", 1), ("q", 1), ("a", 2)),
    WORDS,
    (
        *turned(3, 7),
        *(op for name in GATES for op in [gate(name)]),
        *(Op("rxx", (0, 1), ((0.1, k, 0.5),)) for k in range(len(WORDS))),
        Op("barrier", (0, 1, 2)),
        Op("measure", (2,), bits=(0,)),
        Op("reset", (2,)),
        *turned(3, 8),
        Op("measure", (0, 1, 2), bits=(1, 2, 3)),
    ),
)


def test_names_may_be_words_of_the_languages() -> None:
    text = HostCircuit(SCRIPT).qasm3
    circuit = read(text)
    assert len(circuit.parameters) == len(WORDS)
    assert [register.size for register in circuit.cregs] == [1, 1, 2]
    assert "input float[64] theta;" in text  # no more is renamed than has to be


VALUES = [0.1 * k for k in range(len(WORDS))]


def test_openqasm_with_registers_resets_and_parameters_gives_the_same_distribution() -> None:
    circuit = HostCircuit(SCRIPT, 20_000)
    task = as_task(circuit.qasm3, parameter_values=[VALUES], shots=20_000, seed=1)
    assert task.language == "gates"
    [theirs] = PYTHON.execute(PYTHON.prepare(task.program, "gates"), task.parameter_values, 20_000, 1)
    [ours] = circuit.counts([VALUES])
    assert alike(ours, theirs)


@pytest.mark.slow
def test_the_qiskit_script_prints_the_same_distribution() -> None:
    shots = 20_000
    text = HostCircuit(SCRIPT, shots).qiskit
    zeros = f"values = {[0.0] * len(WORDS)}"
    assert zeros in text
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(text.replace(zeros, f"values = {VALUES}"), "export.py", "exec"), {"__name__": "__main__"})
    theirs: Counts = json.loads(output.getvalue())
    [ours] = HostCircuit(SCRIPT, shots).counts([VALUES])
    assert alike(ours, theirs)


def test_angles_are_written_so_that_they_read_back_equal_and_no_longer() -> None:
    angles = [0.1, 1 / 3, math.pi, 1e-300, -5e22, 2.0]
    text = HostCircuit(GateProgram(1, (), (), tuple(Op("rz", (0,), (angle,)) for angle in angles))).qasm3
    written = [line[3:].partition(")")[0] for line in text.splitlines() if line.startswith("rz(")]
    assert [float(angle) for angle in written] == angles
    assert written[0] == "0.1"
