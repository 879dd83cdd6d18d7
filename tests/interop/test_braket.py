"""Braket's programs: `LocalSimulator("conqure")` gives what Braket's own local simulator gives."""

import inspect
import random
from pathlib import Path

import numpy as np
import pytest
from braket.circuits import Circuit, FreeParameter, Gate, Instruction, Observable
from braket.circuits import gates as braket_gates
from braket.default_simulator import StateVectorSimulator
from braket.devices import LocalSimulator
from braket.ir.openqasm import Program

from conqure import InvalidTask, QPUThreadPool, UnknownDevice, as_task
from conqure.interop.braket import ConqureSimulator
from qpu_executors import QPU
from qpu_executors.translation.braket import from_circuit, read

from ..drivers.reference import bound, distance, probabilities
from .pages import run_page

ANGLES = [0.37, -0.81, 1.43]
NOT_PLAIN = {"Unitary", "PulseGate", "GPhase"}


def names():
    """The gates of Braket's SDK that its local simulator runs, with their numbers of angles and qubits."""
    supported = set(StateVectorSimulator().properties.action["braket.ir.openqasm.program"].supportedOperations)
    for name, kind in inspect.getmembers(braket_gates, inspect.isclass):
        if issubclass(kind, Gate) and name not in NOT_PLAIN and kind.__module__ == braket_gates.__name__:
            n_angles = len(
                [p for p in inspect.signature(kind).parameters if p.startswith(("angle", "theta", "phi", "lam"))]
            )
            gate = kind(*ANGLES[:n_angles])
            if gate._qasm_name in supported:
                yield name, (kind, n_angles, kind.fixed_qubit_count())


GATES = dict(names())


def mixed(circuit, n_qubits):
    for qubit in range(n_qubits):
        circuit.ry(qubit, 0.4 + 0.3 * qubit).rz(qubit, 0.9)
    for qubit in range(n_qubits - 1):
        circuit.cnot(qubit, qubit + 1)
    return circuit


def exact(program):
    """Counts key -> probability by Braket's own simulator, of all qubits in use."""
    unmeasured = [line for line in program.source.splitlines(keepends=True) if "measure" not in line]
    source = "".join([*unmeasured, "#pragma braket result probability\n"])
    [value] = StateVectorSimulator().run(Program(source=source, inputs=program.inputs), shots=0).resultTypes
    n = int(np.log2(len(value.value)))
    return {format(i, f"0{n}b")[::-1]: float(p) for i, p in enumerate(value.value)}


def compare(circuit):
    program = circuit if isinstance(circuit, Program) else circuit.to_ir(ir_type="OPENQASM")
    found = from_circuit(program)
    assert distance(exact(program), probabilities(found.program, found.lifted)) < 1e-6


@pytest.mark.parametrize("name", GATES)
def test_each_gate_is_the_gate_of_braket(name):
    kind, n_angles, n_qubits = GATES[name]
    circuit = mixed(Circuit(), n_qubits)
    circuit.add_instruction(_on(kind, ANGLES[:n_angles], range(n_qubits)))
    compare(mixed(circuit, n_qubits))


def _on(kind, angles, qubits):
    return Instruction(kind(*angles), list(qubits))


@pytest.mark.parametrize("power", [1, -1, 2, 0.5])
@pytest.mark.parametrize("control", [[], [1], [0], [1, 0]])
@pytest.mark.parametrize("gate", ["x", "h", "s", "v", "rx(0.7)", "phaseshift(0.7)", "U(0.1, 0.2, 0.3)", "iswap"])
def test_modifiers_mean_what_they_mean_there(gate, control, power):
    before = "".join(f"ry({0.4 + 0.3 * n}) q[{n}]; rz(0.9) q[{n}];\n" for n in range(4)) + "cnot q[0], q[1];\n"
    after = "".join(f"cnot q[{n}], q[{n + 1}]; ry(0.5) q[{n}];\n" for n in range(3))
    modifiers = "".join("ctrl @ " if state else "negctrl @ " for state in control)
    raised = "inv @ " if power == -1 else f"pow({power}) @ "
    n_targets = len(control) + (2 if "swap" in gate else 1)
    qubits = ", ".join(f"q[{n}]" for n in range(n_targets))
    compare(Program(source=f"OPENQASM 3.0;\nqubit[4] q;\n{before}{modifiers}{raised}{gate} {qubits};\n{after}"))


def test_powers_of_swap_are_powers(device):
    """Not compared: Braket's simulator 1.41 swaps whatever the power is."""
    twice = "OPENQASM 3.0;\nqubit[2] q;\nx q[0];\npow(2) @ swap q[0], q[1];\n"
    halves = "OPENQASM 3.0;\nqubit[2] q;\nx q[0];\npow(0.5) @ swap q[0], q[1];\npow(0.5) @ swap q[0], q[1];\n"
    assert device.run(Program(source=twice), shots=5).result().measurement_counts == {"10": 5}
    assert device.run(Program(source=halves), shots=5).result().measurement_counts == {"01": 5}


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_have_brakets_distribution(seed):
    rng, circuit = random.Random(seed), mixed(Circuit(), 4)
    for _ in range(12):
        kind, n_angles, n_qubits = GATES[rng.choice(sorted(GATES))]
        circuit.add_instruction(
            _on(kind, [rng.uniform(-3, 3) for _ in range(n_angles)], rng.sample(range(4), n_qubits))
        )
    compare(circuit)


def test_a_matrix_is_taken_apart():
    circuit = mixed(Circuit(), 3)
    matrix = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4, 2)) @ [1, 1j])[0]
    circuit.unitary(matrix=matrix, targets=[2, 0])
    circuit.unitary(matrix=np.array([[0, 1j], [1, 0]]), targets=[1])
    compare(mixed(circuit, 3))


@pytest.fixture(scope="module")
def device():
    with QPUThreadPool([QPU("sv0", "statevector", 6), QPU("sv1", "statevector", 4, max_shots=5000)]) as pool:
        yield LocalSimulator(ConqureSimulator(pool=pool, seed=3))


MIDWAY = """OPENQASM 3.0;
qubit[3] q;
bit[4] b;
ry(1.1) q[0];
b[2] = measure q[0];
cnot q[0], q[2];
ry(0.4) q[0];
b[0] = measure q[0];
reset q[0];
b[3] = measure q[2];
b[1] = measure q[0];
"""


def test_measurements_in_the_middle_stay_there(device):
    expected = {}
    for first in (0, 1):
        p = np.sin(0.55) ** 2 if first else np.cos(0.55) ** 2
        flips = np.sin(0.2) ** 2
        for second in (0, 1):
            expected[f"{second}0{first}{first}"] = p * (flips if second != first else 1 - flips)
    result = device.run(Program(source=MIDWAY), shots=4000).result()
    assert distance(result.measurement_counts, expected) < bound(expected, 4000)
    assert result.measured_qubits == [0, 0, 0, 2]


def test_results_are_those_of_brakets_own_simulator(device):
    circuit = mixed(Circuit(), 4)
    circuit.expectation(Observable.X() @ Observable.Y(), target=[0, 2])
    circuit.variance(Observable.H(), target=3)
    circuit.sample(Observable.Hermitian(np.array([[0, 1j], [-1j, 0]])), target=1)
    ours, theirs = (d.run(circuit, shots=4000).result() for d in (device, LocalSimulator()))
    assert ours.measurements.shape == theirs.measurements.shape
    assert list(ours.measured_qubits) == list(theirs.measured_qubits)
    for mine, other in zip(ours.values[:2], theirs.values[:2], strict=True):
        assert abs(mine - other) < 12 / np.sqrt(4000)
    assert abs(np.mean(ours.values[2]) - np.mean(theirs.values[2])) < 12 / np.sqrt(4000)
    assert ours.get_value_by_result_type(circuit.result_types[2]) is ours.values[2]
    circuit = mixed(Circuit(), 4).probability(target=[1, 0])
    ours, theirs = (d.run(circuit, shots=4000).result() for d in (device, LocalSimulator()))
    assert np.abs(ours.values[0] - theirs.values[0]).max() < 12 / np.sqrt(4000)


def test_an_observable_of_all_qubits_is_measured_on_each(device):
    circuit = Circuit().h(3).x(5).h(5).expectation(Observable.X())
    assert device.run(circuit, shots=50).result().values == [[1.0, -1.0]]


def test_qubits_keep_their_numbers_and_inputs_their_names(device):
    theta = FreeParameter("theta")
    circuit = Circuit().rx(7, theta).x(2).measure([7, 2])
    result = device.run(circuit, shots=20, inputs={"theta": np.pi}).result()
    assert result.measurement_counts == {"11": 20}
    assert result.measured_qubits == [7, 2]
    batch = device.run_batch(circuit, shots=5, inputs=[{"theta": 0}, {"theta": np.pi}])
    assert [r.measurement_counts for r in batch.results()] == [{"01": 5}, {"11": 5}]
    programs = {as_task(circuit.make_bound_circuit({"theta": x})).program for x in (0.1, 0.2)}
    assert len(programs) == 1  # the angles are lifted


def test_standard_gates_of_openqasm_are_known(device):
    head = 'OPENQASM 3;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
    text = head + "x q[0];\ncx q[0], q[1];\nsdg q[1];\nc = measure q;\n"
    assert device.run(Program(source=text), shots=4).result().measurement_counts == {"11": 4}


def test_the_name_is_registered_and_the_environment_says_where(monkeypatch):
    monkeypatch.setenv("CONQURE_SITE", "laptop")
    monkeypatch.setenv("CONQURE_DEVICE", "sv1")
    assert "conqure" in LocalSimulator.registered_backends()
    result = LocalSimulator("conqure").run(Circuit().x(0), shots=3).result()
    assert result.measurement_counts == {"1": 3}
    assert result.task_metadata.deviceId == "sv1"
    monkeypatch.setenv("CONQURE_DEVICE", "ion7")
    with pytest.raises(UnknownDevice, match="ion7"):
        LocalSimulator("conqure")


def test_what_the_device_says_of_itself(device):
    said = device.properties
    assert said.paradigm.qubitCount == 6
    assert said.service.shotsRange == (1, 10**7)
    action = said.action["braket.ir.openqasm.program"]
    assert {r.name for r in action.supportedResultTypes} == {"Sample", "Expectation", "Variance", "Probability"}
    assert set(said.action) == {"braket.ir.openqasm.program"}
    assert {"cnot", "gpi", "unitary"} <= set(action.supportedOperations)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("h q[0];\n#pragma braket noise bit_flip(0.1) q[0]\n", "noise"),
        ("h q[0];\n#pragma braket result state_vector\n", "StateVector"),
        ("b[0] = measure q[0];\n#pragma braket result probability\n", "result types"),
        ("b[0] = measure q[0];\nif (b[0]) x q[1];\n", "measured bit"),
        ('include "/etc/passwd";\n', "/etc/passwd"),
        ("nonsense q[0];\n", "nonsense"),
        ("cx q[0];\n", "takes 2 qubit"),
        ("", "no qubits"),
    ],
)
def test_what_cannot_be_carried_is_named(device, body, said):
    with pytest.raises(InvalidTask, match=said):
        device.run(Program(source="OPENQASM 3.0;\nqubit[2] q;\nbit[2] b;\n" + body), shots=10)


def test_exact_results_are_not_to_be_had(device):
    with pytest.raises(InvalidTask, match="shots is 0"):
        device.run(Circuit().h(0).expectation(Observable.Z(), target=0), shots=0)


def test_which_qubits_are_measured_is_told_with_a_translation():
    found = read(Circuit().x(4).h(2))
    assert found.measured == (2, 4)


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path):
    assert "(100, 2)" in run_page("braket", tmp_path)
