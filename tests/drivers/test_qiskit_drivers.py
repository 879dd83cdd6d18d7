"""What the drivers on Qiskit do beyond the contract: options, noise, branches, transpiling, how often they compile."""

import math
import time

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers.fake_provider import GenericBackendV2

from qpu_executors import QPU, DeviceError, InvalidSite, InvalidTask, MissingPackage, QuantumTask, as_task, hold
from qpu_executors.drivers.aer import AerDevice
from qpu_executors.drivers.qiskit_backend import QiskitBackendDevice
from qpu_executors.testing import BELL, ROTATION, gates, vqe_program

MANILA = "qiskit_ibm_runtime.fake_provider:FakeManilaV2"


def run(device, program, rows=((),), shots=1000, seed=1):
    return device.execute(device.prepare(program, "gates"), rows, shots, seed)


# Aer


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "guess"}, r"\[qpu.a.options\].*Invalid simulation method guess.*statevector"),
        ({"precison": "single"}, r"Invalid option precison. Did you mean 'precision'\?"),
        ({"max_parallel_threads": "all"}, "max_parallel_threads must be a whole number"),
        ({"optimization_level": 4}, "optimization_level must be a whole number from 0 to 3"),
        ({"noise": {"two": 0.1}}, "noise has 'two'. It takes: one_qubit, two_qubit, readout"),
        ({"noise": {"readout": 1.5}}, "readout is a probability"),
        ({"noise": "somewhere"}, "noise must be 'package.module:callable', not 'somewhere'"),
        ({"noise": MANILA + "x"}, r"has no 'FakeManilaV2x'. Did you mean 'FakeManilaV2'\?"),
        ({"noise": MANILA, "noise_arguments": {"x": 1}}, "failed: TypeError"),
    ],
    ids=str,
)
def test_wrong_options_of_aer_are_named(options, sentence):
    with pytest.raises(InvalidSite, match=sentence):
        AerDevice("a", 5, **options)


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(MissingPackage, match="needs the module 'no_such_package'"):
        AerDevice("a", 5, noise="no_such_package:model")


def test_noise_shows_and_grows_with_its_strength():
    wrong = []
    for strength in (0.0, 0.02, 0.2):
        (counts,) = run(AerDevice("a", 5, noise={"two_qubit": strength}), BELL, shots=4000)
        wrong.append(counts.get("01", 0) + counts.get("10", 0))
    assert wrong[0] == 0 < wrong[1] < wrong[2]
    (counts,) = run(AerDevice("a", 5, noise={"readout": 0.25}), gates(1, ["x", [0]]), shots=4000)
    assert counts["0"] == pytest.approx(1000, abs=150)


def test_noise_reaches_gates_of_three_qubits_too():
    program = gates(3, ["x", [0]], ["x", [1]], *[["ccx", [0, 1, 2]]] * 20)
    (counts,) = run(AerDevice("a", 5, noise={"two_qubit": 0.01}), program)
    assert counts.get("011", 0) < 900


def noise_model(strength):
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    model = NoiseModel(basis_gates=["cx", "rz", "sx", "x"])
    model.add_all_qubit_quantum_error(depolarizing_error(strength, 2), ["cx"])
    return model


def test_a_noise_model_by_name_gets_the_gates_it_knows():
    device = AerDevice("a", 5, noise=f"{__name__}:noise_model", noise_arguments={"strength": 0.5})
    (counts,) = run(device, gates(2, ["h", [0]], ["cy", [0, 1]]))
    assert counts.get("01", 0) + counts.get("10", 0) > 100


def test_gates_aer_lacks_are_made_of_those_it_has():
    device = AerDevice("a", 5)
    assert run(device, gates(2, ["x", [0]], ["dcx", [0, 1]])) == [{"10": 1000}]
    assert run(device, gates(2, ["x", [0]], ["iswap", [0, 1]])) == [{"10": 1000}]


def test_a_method_that_cannot_do_a_circuit_says_so():
    with pytest.raises(InvalidTask, match=r"not all Clifford gates.*rz"):
        run(AerDevice("a", 5, method="stabilizer"), gates(3, ["ccx", [0, 1, 2]]))
    program = gates(1, ["h", [0]], ["rz", [0], [[0, 0, 1.0]]], ["h", [0]], parameters=["theta"])
    assert run(AerDevice("a", 5, method="stabilizer"), program, [[math.pi]]) == [{"1": 1000}]
    with pytest.raises(InvalidTask, match="another method"):
        run(AerDevice("a", 5, method="stabilizer"), program, [[0.3]])


def test_a_circuit_too_large_for_the_memory_is_refused():
    program = gates(50, *[["ry", [q], [0.3]] for q in range(50)], *[["cx", [q, q + 1]] for q in range(49)])
    with pytest.raises(InvalidTask, match="Insufficient memory"):
        run(AerDevice("a", 50, method="statevector"), program)


def test_a_clifford_circuit_of_60_qubits_runs():
    program = gates(60, ["h", [0]], *[["cx", [q, q + 1]] for q in range(59)])
    (counts,) = run(AerDevice("a", 60), program, shots=50)
    assert set(counts) == {"0" * 60, "1" * 60}


# Branches (qpy)


def branching(angle):
    circuit = QuantumCircuit(2, 2)
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
        circuit.iswap(0, 1)
    with otherwise:
        circuit.id(1)
    circuit.measure(1, 1)
    return circuit


@pytest.mark.parametrize(
    "qpu",
    [
        QPU("a", "aer", 5),
        QPU("b", "qiskit", 5, options={"backend": "qiskit_aer:AerSimulator"}),
        QPU("c", "emulated", 5, options={"driver": "aer"}),
    ],
    ids=lambda qpu: qpu.device_id,
)
def test_branches_on_measured_bits_run_with_their_rows(qpu):
    a = Parameter("a")
    task = as_task(branching(a), parameter_values={a: [math.pi, 0.0]}, shots=100)
    assert task.language == "qpy"
    with hold(qpu) as held:
        assert held.run(task).counts == ({"11": 100}, {"00": 100})
        with pytest.raises(InvalidTask, match="2 columns, the program has 1 parameters: a"):
            held.run(task.replace(parameter_values=[[1.0, 2.0]]))


def test_a_qpy_circuit_larger_than_the_device_is_refused():
    task = as_task(branching(0.3))
    with hold(QPU("a", "aer", 1)) as held, pytest.raises(InvalidTask, match="2 qubits, the device has 1"):
        held.run(task)


def test_angles_that_are_not_affine_run():
    a = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.rx(math.pi * a * a, 0)
    circuit.measure_all()
    task = as_task(circuit, parameter_values=[[1.0], [0.0]], shots=10)
    with hold(QPU("a", "aer", 1)) as held:
        assert held.run(task).counts == ({"1": 10}, {"0": 10})


# Any backend


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"backend": "FakeManilaV2"}, InvalidSite, "backend must be 'package.module:callable'"),
        ({"backend": "no_such_package:Backend"}, MissingPackage, "no_such_package"),
        ({"backend": "qiskit:QuantumCircuit"}, InvalidSite, "gives QuantumCircuit, not a Qiskit BackendV2"),
        ({"backend": MANILA, "optimization_level": 7}, InvalidSite, "optimization_level must be 0, 1, 2 or 3"),
        ({"backend": MANILA, "sampler": "qiskit:nothing"}, InvalidSite, "'qiskit' has no 'nothing'"),
    ],
    ids=str,
)
def test_wrong_options_of_a_backend_are_named(options, error, sentence):
    with pytest.raises(error, match=sentence):
        QiskitBackendDevice("b", 5, **options)


def test_a_backend_smaller_than_the_site_says_is_refused():
    with pytest.raises(InvalidSite, match="has 5 qubits, the site says 7"):
        QiskitBackendDevice("b", 7, backend=MANILA)


class Failing(GenericBackendV2):
    """A backend whose jobs fail."""

    def run(self, run_input, **options):
        raise RuntimeError("the fridge is warm")


def test_a_backend_that_fails_is_a_device_error_with_its_words():
    qpu = QPU("b", "qiskit", 2, options={"backend": f"{__name__}:Failing", "arguments": {"num_qubits": 2}})
    with hold(qpu) as held, pytest.raises(DeviceError, match=r"'b' failed: RuntimeError: the fridge is warm"):
        held.run(QuantumTask(BELL))


class Small(GenericBackendV2):
    """A backend that takes two circuits at a time and has no reset."""

    runs = 0

    def __init__(self):
        super().__init__(3, basis_gates=["cx", "rz", "sx", "x"], seed=1)
        self.target.operation_names  # noqa: B018
        self._Target = self.target

    @property
    def max_circuits(self):
        return 2

    def run(self, run_input, **options):
        assert len(run_input) <= 2
        type(self).runs += 1
        return super().run(run_input, **options)


def test_rows_go_in_as_few_jobs_as_the_backend_takes():
    Small.runs = 0
    device = QiskitBackendDevice("b", 3, backend=f"{__name__}:Small")
    counts = run(device, ROTATION, [[0.0], [math.pi], [0.0], [math.pi], [0.0]], seed=None)
    assert [max(row, key=row.get) for row in counts] == ["0", "1", "0", "1", "0"]
    assert Small.runs == 3


def test_seeded_rows_are_separate_samples_whatever_the_backend_does_with_seeds():
    for backend in ("qiskit.providers.basic_provider:BasicSimulator", "qiskit_aer:AerSimulator", f"{__name__}:Small"):
        device = QiskitBackendDevice("b", 3, backend=backend)
        rows = [[1.0], [1.0], [1.0]]
        one, two = run(device, ROTATION, rows), run(device, ROTATION, rows)
        assert one == two
        assert len({str(row) for row in one}) == 3


# Compiling


@pytest.mark.parametrize("driver", ["aer", "qiskit"])
def test_a_program_is_compiled_once_however_often_it_runs(driver, monkeypatch):
    from qpu_executors.drivers import circuits

    options = {"backend": MANILA} if driver == "qiskit" else {"noise": MANILA}
    compiled = []
    compile_ = circuits.Prepared.compile
    monkeypatch.setattr(
        circuits.Prepared, "compile", lambda self, *args: (compiled.append(1), compile_(self, *args))[1]
    )
    with hold(QPU("d", driver, 5, options=options)) as held:
        for angle in (0.1, 0.2, 0.3):
            held.run(QuantumTask(ROTATION, parameter_values=[[angle]], shots=10))
            circuit = QuantumCircuit(1)
            circuit.ry(angle, 0)
            circuit.measure_all()
            held.run(as_task(circuit, shots=10))
    assert len(compiled) == 2  # one each: the program with a parameter, and the circuits whose angles were lifted


@pytest.mark.slow
def test_the_driver_adds_little_to_aers_own_call():
    device = AerDevice("a", 7)
    row = [[0.1 * i for i in range(14)]]
    prepared = device.prepare(vqe_program(7), "gates")
    (bound,) = prepared.bound(row)

    def bare():
        device._backend.run(bound, shots=1024).result().get_counts()

    def ours():
        device.execute(prepared, row, 1024, None)

    times = {bare: [], ours: []}
    for _ in range(60):
        for call, seen in times.items():
            started = time.perf_counter()
            call()
            seen.append(time.perf_counter() - started)
    assert min(times[ours]) < min(times[bare]) + 0.5e-3
