"""Braket: the same physics on its local simulators, and devices of AWS as an account sees them over HTTP."""

import functools
import itertools
import threading

import numpy as np
import pytest
from braket.circuits import Circuit, Gate, Instruction
from hypothesis import HealthCheck, given, settings

from qpu_executors import (
    QPU,
    DeviceError,
    DeviceFault,
    InvalidSite,
    InvalidTask,
    QuantumTask,
    RemoteDevice,
    RemoteFailed,
    hold,
)
from qpu_executors.drivers.braket_device import BraketDevice
from qpu_executors.drivers.braket_text import NAMES, Prepared
from qpu_executors.running import HeldDevice
from qpu_executors.submissions import key_of
from qpu_executors.testing import BELL, ROTATION, DeviceContract, gates
from qpu_executors.translation.gates import GATES, GateProgram

from .aws import MACHINE, Cloud
from .reference import QISKIT_GATES, ROW, bound, distance, probabilities, programs

LOCAL = QPU("b0", "braket", 6)


class TestLocalSimulator(DeviceContract):
    qpu = LOCAL
    seeds = False


# Translation

ALL = frozenset(NAMES.values())
FEWEST = frozenset({"rx", "rz", "cnot"})
ANGLES = [0.4, 1.3, -0.8, 0.6]
FIRST = dict(zip(GATES, itertools.accumulate((n for n, _ in GATES.values()), initial=0), strict=False))


@functools.cache
def parsed(has):
    """Braket's reading of one program with every gate, each on qubits of its own; its parser takes long."""
    ops = []
    for gate, (n_qubits, n_angles) in GATES.items():
        angles = [[0.25, place, 2.0] for place in range(n_angles)]
        ops.append([gate, list(range(FIRST[gate], FIRST[gate] + n_qubits)), angles])
    program = gates(sum(n for n, _ in GATES.values()), *ops, parameters=["a", "b", "c", "d"])
    text = Prepared.of(GateProgram.parse(program), has, "it", midway=False).text(ANGLES)
    return Circuit.from_ir("\n".join(line for line in text.splitlines() if "measure" not in line)).instructions


@pytest.mark.parametrize("has", [ALL, FEWEST], ids=["all of Braket's gates", "rx, rz and cnot alone"])
@pytest.mark.parametrize("gate", GATES)
def test_every_gate_has_the_matrix_that_qiskit_says(gate, has):
    n_qubits, n_angles = GATES[gate]
    first = FIRST[gate]
    circuit = Circuit([Instruction(Gate.I(), qubit) for qubit in range(n_qubits)])  # so that it has all its qubits
    for one in parsed(has):
        if first <= one.target[0] < first + n_qubits:
            circuit.add_instruction(Instruction(one.operator, [qubit - first for qubit in one.target]))
    backwards = [int(format(index, f"0{n_qubits}b")[::-1], 2) for index in range(2**n_qubits)]
    found = circuit.to_unitary()[np.ix_(backwards, backwards)]  # Braket's qubit 0 is the leftmost
    expected = QISKIT_GATES[gate](*(0.25 + 2 * value for value in ANGLES[:n_angles])).to_matrix()
    assert abs(np.trace(expected.conj().T @ found)) == pytest.approx(2**n_qubits, abs=1e-9)
    assert {one.operator.name.lower() for one in circuit.instructions} - {"i"} <= has or has is ALL


def assert_agrees(held, program, row=()):
    expected = probabilities(program, row)
    (counts,) = held.run(QuantumTask(program, parameter_values=[row], shots=2000)).counts
    assert sum(counts.values()) == 2000
    assert distance(counts, expected) < bound(expected, 2000), (counts, expected)


@pytest.fixture(scope="module")
def local():
    held = HeldDevice(LOCAL)
    yield held
    held.close()


@pytest.mark.slow
def test_random_programs_agree_with_quantum_mechanics(local):
    """Measurements and resets anywhere, two registers, bits written twice."""

    @given(programs())
    @settings(deadline=None, max_examples=25, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def agrees(program):
        assert_agrees(local, program, ROW)

    agrees()


def test_a_bit_measured_twice_has_the_later_value(local):
    program = gates(2, ["x", [0]], ["measure", [0, 1], [0, 1]], ["measure", [0], [1]], registers=[["c", 2]])
    assert local.run(QuantumTask(program, shots=20)).counts == ({"11": 20},)


def test_density_matrices_are_simulated_too():
    with hold(QPU("dm", "braket", 3, options={"simulator": "braket_dm"})) as held:
        assert held.run(QuantumTask(gates(3, ["x", [2]]), shots=10)).counts == ({"100": 10},)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"simulator": "best"}, r"simulator = 'best' is not installed. There is: .*braket_dm.*default"),
        ({"simulator": "braket_ahs"}, "does not run circuits"),
        ({"arn": "SV1"}, "arn must be that of a device, such as 'arn:aws:braket:"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, sentence):
    with pytest.raises(InvalidSite, match=sentence):
        BraketDevice("b", 3, **options)


def test_a_simulator_smaller_than_the_site_says_is_refused():
    with pytest.raises(InvalidSite, match="has 26 qubits, the site says 40"):
        BraketDevice("b", 40)


# Devices of AWS

OPTIONS = {"arn": MACHINE, "s3": "s3://results/tasks", "poll_s": 0.01}
AWS = QPU("m1", "braket", 5, options=OPTIONS)
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """An account of AWS at loopback, and where its SDK looks for it."""
    cloud = Cloud()
    thread = threading.Thread(target=cloud.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        for service in ("BRAKET", "S3"):
            patch.setenv(f"AWS_ENDPOINT_URL_{service}", cloud.url)
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path_factory.mktemp("aws") / "config"))
        patch.setenv("CONQURE_SUBMISSIONS", str(tmp_path_factory.mktemp("submissions")))
        yield cloud
    cloud.shutdown()
    cloud.server_close()
    thread.join()


@pytest.fixture
def cloud(account):
    account.tasks.clear()
    account.requests.clear()
    return account


@pytest.mark.usefixtures("account")
class TestDeviceOfAWS(DeviceContract):
    qpu = AWS
    seeds = False


@pytest.mark.slow
def test_each_row_is_one_quantum_task_and_the_remote_id_is_their_arns(cloud):
    task = QuantumTask(ROTATION, parameter_values=[[0.0], [np.pi]], shots=50)
    with hold(AWS) as held:
        assert isinstance(held.device, RemoteDevice)
        result = held.run(task)
    assert result.counts == ({"0": 50}, {"1": 50})
    assert result.metadata["remote_id"].split() == list(cloud.tasks)
    tags = [one["tags"] for one in cloud.tasks.values()]
    assert tags == [{"conqure": key_of(task), "conqure-row": f"{row} of 2"} for row in (0, 1)]


def test_a_local_simulator_is_no_remote_device(local):
    assert not isinstance(local.device, RemoteDevice)


@pytest.mark.slow
def test_a_task_that_is_tried_again_is_submitted_once(cloud):
    task = QuantumTask(BELL, shots=30)
    counts = []
    for _ in range(2):  # a device of its own each time, as another process has
        with hold(AWS) as held:
            counts.append(held.run(task).counts)
    assert counts[0] == counts[1]
    assert len(cloud.tasks) == 1


def test_a_submission_whose_answer_got_lost_is_found_and_only_the_missing_rows_are_added(cloud):
    task = QuantumTask(ROTATION, parameter_values=[[0.0], [np.pi], [0.0]], shots=20)
    cloud.lost = 1  # of row 0
    with hold(AWS) as held:
        with pytest.raises(DeviceFault, match="got lost"):
            held.run(task)
        assert len(cloud.tasks) == 1
        assert held.run(task).counts == ({"0": 20}, {"1": 20}, {"0": 20})
    assert len(cloud.tasks) == 3


@pytest.mark.slow
def test_a_whole_submission_is_found_by_its_key(cloud):
    with hold(AWS) as held:
        prepared = held.device.prepare(ROTATION, "gates")
        ids = held.device.submit(prepared, [[0.0], [np.pi], [0.0]], 10, None, "conqure-mine")
        assert held.device.find("conqure-mine") == ids
        assert held.device.find("conqure-other") == ""
        assert held.device.fetch(ids, prepared, 3) == [{"0": 10}, {"1": 10}, {"0": 10}]


def test_a_quantum_task_that_failed_says_why_and_is_submitted_anew(cloud):
    task = QuantumTask(BELL, shots=30)
    cloud.fails = ["the ions left the trap"]
    with hold(AWS) as held:
        with pytest.raises(RemoteFailed, match=r"quantum-task/\S+ is FAILED: the ions left the trap"):
            held.run(task)
        assert sum(held.run(task).counts[0].values()) == 30
    assert len(cloud.tasks) == 2


@pytest.mark.parametrize(
    ("refusal", "error", "sentence"),
    [
        ((400, "ValidationException", "too deep"), InvalidTask, "too deep"),
        ((403, "AccessDeniedException", "not yours"), DeviceError, "not yours.*credentials"),
        ((429, "ThrottlingException", "slowly"), DeviceFault, "slowly.*Try again"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_aws_refuses_is_said_in_its_words(cloud, refusal, error, sentence):
    cloud.refusals = [refusal]
    with hold(AWS) as held, pytest.raises(error, match=sentence) as raised:
        held.run(QuantumTask(BELL))
    assert raised.type is error


def test_measurements_in_the_middle_are_refused_there(cloud):
    program = gates(2, ["measure", [0], [0]], ["x", [0]], ["measure", [0], [1]], registers=[["c", 2]])
    with hold(AWS) as held, pytest.raises(InvalidTask, match="measures at the end only"):
        held.run(QuantumTask(program))
    assert not cloud.tasks


def test_a_device_that_aws_does_not_have_is_named(cloud):
    with pytest.raises(DeviceError, match="AWS has no device 'arn:aws:braket:us-east-1::device/qpu/example/None'"):
        BraketDevice("m", 5, arn=MACHINE.replace("Machine-1", "None"))


def test_without_credentials_it_says_where_they_belong(cloud, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(DeviceError, match=r"Unable to locate credentials.*~/.aws or from AWS_ACCESS_KEY_ID"):
        BraketDevice("m", 5, **OPTIONS)


def test_a_cloud_that_does_not_answer_is_a_passing_fault(cloud, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_BRAKET", "http://127.0.0.1:9")
    with pytest.raises(DeviceFault, match=r"Could not connect.*Try again"):
        BraketDevice("m", 5, **OPTIONS)
