"""IBM's machines: fake ones in the runtime's local mode, and the jobs, tags and sessions of an account."""

import pytest
import requests
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMNotAuthorizedError, IBMRuntimeError

from qpu_executors import QPU, QuantumTask, RemoteDevice, RemoteFailed, hold
from qpu_executors.drivers import ibm
from qpu_executors.drivers.ibm import IBMDevice
from qpu_executors.errors import DeviceError, DeviceFault, InvalidSite
from qpu_executors.submissions import key_of
from qpu_executors.testing import BELL, ROTATION, DeviceContract, gates

from .ibm_service import Account, Service

FAKE = {"fake": "FakeManilaV2", "mode": "session"}


class TestFakeMachine(DeviceContract):
    qpu = QPU("manila", "ibm", 5, options=FAKE)
    error_rate = 0.3


# Options


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"token": "secret"}, r"has a token\. Credentials stay out of site files.*save_account.*QISKIT_IBM_TOKEN"),
        ({"mode": "forever"}, "mode must be one of job, session, batch, not 'forever'"),
        ({"optimization_level": 4}, "optimization_level must be 0, 1, 2 or 3"),
        ({"fake": "FakeManilaV3"}, r"has no 'FakeManilaV3'. Did you mean 'FakeManilaV2'\?"),
        ({**FAKE, "sampler_options": {"dynamical_decoupling": {"enabl": True}}}, r"sampler_options: .*enabl"),
    ],
    ids=["token", "mode", "level", "fake", "sampler"],
)
def test_wrong_options_are_named(options, sentence):
    with pytest.raises(InvalidSite, match=sentence) as raised:
        IBMDevice("m", 5, **options)
    assert "secret" not in str(raised.value)


def test_a_machine_smaller_than_the_site_says_is_refused():
    with pytest.raises(InvalidSite, match="'fake_manila' has 5 qubits, the site says 7"):
        IBMDevice("m", 7, **FAKE)


def test_without_credentials_it_says_where_they_belong(tmp_path, monkeypatch):
    from qiskit_ibm_runtime.accounts import management

    monkeypatch.setattr(management, "_DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(tmp_path / "qiskit-ibm.json"))
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_CHANNEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError, match=r"Unable to find account.*save_account.*qiskit-ibm.json.*QISKIT_IBM_TOKEN"):
        IBMDevice("m", 5)


@pytest.mark.slow
def test_the_local_channel_runs_on_the_fake_machine_of_a_name():
    with hold(QPU("m", "ibm", 5, options={"channel": "local", "backend": "fake_manila"})) as held:
        assert not isinstance(held.device, RemoteDevice)
        (counts,) = held.run(QuantumTask(BELL, shots=200, seed=0)).counts
    assert counts["00"] + counts["11"] > 150


def test_a_register_without_bits_is_kept_from_ibm_which_refuses_it():
    empty = gates(1, ["x", [0]], ["measure", [0], [0]], registers=[["a", 1], ["none", 0]])
    with hold(QPU("m", "ibm", 5, options=FAKE)) as held:
        (counts,) = held.run(QuantumTask(empty, shots=200)).counts
    assert counts[" 1"] > 150


# A machine


@pytest.fixture
def account(monkeypatch, tmp_path):
    account = Account()
    monkeypatch.setattr(Service, "account", account)
    monkeypatch.setattr(ibm, "QiskitRuntimeService", Service)
    monkeypatch.setenv("CONQURE_SUBMISSIONS", str(tmp_path / "submissions"))
    return account


def machine(**options):
    return QPU("m", "ibm", 5, options=options)


def test_rows_are_one_job_that_has_the_key_among_its_tags(account):
    task = QuantumTask(ROTATION, parameter_values=[[0.0], [3.14159]], shots=100)
    options = {"environment": {"job_tags": ["ours"]}}
    with hold(machine(sampler_options=options)) as held:
        assert isinstance(held.device, RemoteDevice)
        result = held.run(task)
    assert [max(row, key=row.get) for row in result.counts] == ["0", "1"]
    assert result.metadata["remote_id"] == "job-0"
    assert [job.tags for job in account.jobs.values()] == [["ours", key_of(task)]]


def test_rows_of_a_circuit_without_parameters_are_one_job_too(account):
    with hold(machine()) as held:
        result = held.run(QuantumTask(BELL, parameter_values=[[], [], []], shots=50))
    assert [sum(row.values()) for row in result.counts] == [50, 50, 50]
    assert len(account.jobs) == 1


def test_a_job_is_fetched_by_another_process(account):
    task = QuantumTask(BELL, shots=100)
    counts = []
    for _ in range(2):  # a device and a service object of its own each time
        with hold(machine(backend="ibm_manila", instance="ours")) as held:
            counts.append(held.run(task).counts)
    assert counts[0] == counts[1]
    assert len(account.jobs) == 1


def test_a_job_whose_id_got_lost_is_found_by_its_tag(account):
    task = QuantumTask(BELL, shots=100)
    account.lost = 1
    with hold(machine()) as held:
        with pytest.raises(DeviceFault, match=r"cannot take the job: .*Connection aborted.*Try again"):
            held.run(task)
        result = held.run(task)
    assert result.metadata["remote_id"] == "job-0"
    assert len(account.jobs) == 1


@pytest.mark.slow
def test_a_job_that_failed_says_why_and_is_submitted_anew(account):
    task = QuantumTask(BELL, shots=100)
    account.fails = ["The fridge is warm"]
    with hold(machine()) as held:
        with pytest.raises(RemoteFailed, match=r"cannot finish job job-0: .*The fridge is warm.*submits it anew"):
            held.run(task)
        assert held.run(task).metadata["remote_id"] == "job-1"
        account.jobs["job-1"].final = "CANCELLED"
        assert held.device.find(key_of(task)) == ""
        with pytest.raises(RemoteFailed, match="Job was cancelled"):
            held.run(task)


def test_a_job_that_ibm_no_longer_has_is_submitted_anew(account):
    task = QuantumTask(BELL, shots=100)
    with hold(machine()) as held:
        held.run(task)
        account.jobs.clear()
        with pytest.raises(RemoteFailed, match="Job not found: job-0"):
            held.run(task)
        assert sum(held.run(task).counts[0].values()) == 100


@pytest.mark.parametrize(
    "trouble",
    [requests.ConnectionError("no route"), IBMRuntimeError("no route"), RequestsApiError("no route", 503)],
    ids=lambda trouble: type(trouble).__name__,
)
def test_trouble_on_the_network_is_a_passing_fault_and_the_job_is_not_submitted_again(account, trouble):
    task = QuantumTask(BELL, shots=100)
    with hold(machine()) as held:
        prepared = held.device.prepare(BELL, "gates")
        remote_id = held.device.submit(prepared, [[]], 100, None, key_of(task))
        account.troubles = [trouble, trouble]
        with pytest.raises(DeviceFault, match="cannot be asked for job job-0: no route"):
            held.device.fetch(remote_id, prepared, 1)
        with pytest.raises(DeviceFault, match="cannot be asked what was submitted: no route"):
            held.device.find(key_of(task))
        assert sum(held.device.fetch(remote_id, prepared, 1)[0].values()) == 100


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (IBMRuntimeError("Failed to run program: '403 Client Error: Forbidden. Over your limit.'"), DeviceError),
        (IBMNotAuthorizedError("401 Client Error: Unauthorized"), DeviceError),
        (IBMRuntimeError("Failed to run program: '429 Client Error: Too Many Requests'"), DeviceFault),
    ],
    ids=["limit", "login", "too many"],
)
def test_what_the_service_refuses_for_good_is_not_tried_again(account, trouble, error):
    with hold(machine()) as held:
        account.troubles = [trouble]
        with pytest.raises(error, match="Client Error") as raised:
            held.run(QuantumTask(BELL))
    assert raised.type is error


def test_a_service_that_does_not_answer_when_the_device_is_opened_is_a_passing_fault(account):
    account.troubles = [requests.ConnectionError("no route")]
    with pytest.raises(DeviceFault, match=r"cannot be reached: no route. Is the network there\?"):
        IBMDevice("m", 5)


@pytest.mark.parametrize(
    ("n_qubits", "options", "sentence"),
    [
        (127, {}, "no backend with 127 qubits. It has: ibm_manila"),
        (5, {"backend": "ibm_x"}, "no backend with the name 'ibm_x'. It has: ibm_manila"),
    ],
)
def test_a_machine_that_the_account_lacks_is_named(account, n_qubits, options, sentence):
    with pytest.raises(DeviceError, match=sentence):
        IBMDevice("m", n_qubits, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "theirs"), [("session", "dedicated"), ("batch", "batch")])
def test_a_session_is_opened_by_the_first_task_kept_for_all_and_closed_at_the_end(account, mode, theirs):
    with hold(machine(mode=mode, max_time="10m")) as held:
        assert not account.sessions
        for angle in (0.1, 0.2, 0.3):
            held.run(QuantumTask(ROTATION, parameter_values=[[angle]], shots=10))
        assert account.sessions == {"session-0": {"mode": theirs, "max_time": 600, "open": True}}
    assert account.sessions["session-0"]["open"] is False
    assert {job.session_id for job in account.jobs.values()} == {"session-0"}


def test_a_session_whose_time_is_over_is_followed_by_another(account):
    with hold(machine(mode="session")) as held:
        held.run(QuantumTask(BELL, shots=10))
        account.sessions["session-0"]["open"] = False
        held.run(QuantumTask(BELL, shots=10))
    assert [job.session_id for job in account.jobs.values()] == ["session-0", "session-1"]
