"""The driver on QRMI's own library, which talks to machines on loopback that speak IBM's protocols."""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import qrmi
from qiskit import QuantumCircuit

from qpu_executors import (
    QPU,
    DeviceError,
    DeviceFault,
    InvalidSite,
    InvalidTask,
    QuantumTask,
    RemoteFailed,
    Site,
    hold,
)
from qpu_executors.registry import check_options, driver
from qpu_executors.running import HeldDevice
from qpu_executors.testing import BELL, ROTATION, DeviceContract, gates
from qpu_executors.translation import as_task

from .compute_service import ComputeService
from .quantum_system import QuantumSystem
from .reference import bound, distance, probabilities

OPTIONS = {"poll_s": 0.02}
HERON = QPU("heron", "qrmi", 5, options=OPTIONS)
EAGLE = QPU("eagle", "qrmi", 5, options=OPTIONS)
FLIP = gates(1, ["x", [0]])


@contextlib.contextmanager
def in_job(*environments, **more):
    """As if the plugin had given these machines to the job of this process."""
    joined = {"QRMI_JOB_QPU_RESOURCES": [], "QRMI_JOB_QPU_TYPES": []}
    with pytest.MonkeyPatch.context() as patch:
        for environment in environments:
            for name, value in environment.items():
                joined[name].append(value) if name in joined else patch.setenv(name, value)
        for name, values in joined.items():
            patch.setenv(name, ",".join(values))
        for name, value in more.items():
            patch.delenv(name) if value is None else patch.setenv(name, value)
        yield patch


@contextlib.contextmanager
def opened(kind, *args):
    machine = kind(*args)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture(scope="module")
def system():
    with opened(QuantumSystem) as system:
        yield system


@pytest.fixture(scope="module")
def service():
    with opened(ComputeService) as service:
        yield service


@pytest.fixture(autouse=True)
def no_submission_of_others(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONQURE_SUBMISSIONS", str(tmp_path_factory.mktemp("submissions")))
        yield


class TestQuantumSystem(DeviceContract):
    qpu = HERON
    seeds = False

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def job(cls, system):
        with in_job(system.environment()):
            yield


class TestComputeService(DeviceContract):
    qpu = EAGLE
    seeds = False

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def job(cls, service):
        with in_job(service.environment()):
            yield


# ---- the resource


def test_a_job_without_a_qpu_is_told_how_to_ask_for_one():
    with in_job(), pytest.raises(DeviceError, match=r"given no QPU.*sbatch --qpu=NAME"):
        HeldDevice(HERON)


def test_the_plugins_own_words_are_passed_on():
    with in_job(QRMI_PLUGIN_ERROR="Failed to acquire"), pytest.raises(DeviceError, match="plugin says: Failed to acqu"):
        HeldDevice(HERON)


def test_a_resource_that_the_job_was_not_given_is_named_with_those_it_was(system):
    qpu = QPU("d", "qrmi", 5, options={"resource": "test_flamingo"})
    with in_job(system.environment()), pytest.raises(DeviceError, match=r"test_flamingo.*It has: test_heron.*--qpu="):
        HeldDevice(qpu)


def test_the_first_resource_that_fits_is_taken(system, service):
    pasqal = {"QRMI_JOB_QPU_RESOURCES": "FRESNEL", "QRMI_JOB_QPU_TYPES": "pasqal-cloud"}
    with in_job(pasqal, system.environment(), service.environment()), hold(HERON) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).metadata["resource"] == "test_heron"


def test_a_resource_is_taken_by_name(system, service):
    qpu = QPU("eagle", "qrmi", 5, options=OPTIONS | {"resource": "test_eagle"})
    with in_job(system.environment(), service.environment()), hold(qpu) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).metadata["resource"] == "test_eagle"


def test_without_a_resource_that_fits_each_says_why(system):
    pasqal = {"QRMI_JOB_QPU_RESOURCES": "FRESNEL", "QRMI_JOB_QPU_TYPES": "pasqal-cloud"}
    with (
        in_job(pasqal, system.environment()),
        pytest.raises(DeviceError, match=r"FRESNEL.*pulse sequences.*test_heron has 5 qubits, the site says 7") as info,
    ):
        HeldDevice(QPU("heron", "qrmi", 7))
    assert not info.value.transient


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("pasqal-local", "Pulser"), ("iqm-server", "driver 'qiskit'"), ("abacus", "unknown. Known: ibm-quantum-system")],
)
def test_a_resource_that_takes_no_circuits_of_ours_says_where_to_go(kind, advice):
    with (
        in_job(QRMI_JOB_QPU_RESOURCES="q", QRMI_JOB_QPU_TYPES=kind),
        pytest.raises(DeviceError, match=f"{kind}.*{advice}"),
    ):
        HeldDevice(HERON)


def test_every_type_that_the_library_knows_is_served_or_explained():
    from qpu_executors.drivers.qrmi_resources import OTHERS, TYPES

    known = {name for name in dir(qrmi.ResourceType) if not name.startswith("_")}
    assert set(TYPES.values()) <= known
    assert len(known - set(TYPES.values())) == len(OTHERS)


def test_the_older_variables_of_slurm_are_read(system):
    older = {"SLURM_JOB_QPU_RESOURCES": "test_heron", "SLURM_JOB_QPU_TYPES": "ibm-quantum-system"}
    newer = {"QRMI_JOB_QPU_RESOURCES": None, "QRMI_JOB_QPU_TYPES": None}
    with in_job(system.environment(), **older, **newer), hold(HERON) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).counts == ({"1": 10},)


def test_direct_access_is_the_older_name_of_a_quantum_system(system):
    name = system.name
    older = {f"{name}_QRMI_IBM_DA_{key}": value for key, value in system.access().items()}
    newer = {f"{name}_QRMI_IBM_QS_{key}": None for key in system.access()}
    with in_job(system.environment(), QRMI_JOB_QPU_TYPES="direct-access", **older, **newer) as patch:
        for variable in newer:
            patch.setenv(variable, "")  # so that it is removed at the end
            del os.environ[variable]
        with hold(HERON) as held:
            assert held.run(QuantumTask(FLIP, shots=10)).counts == ({"1": 10},)


def test_outside_of_slurm_a_resource_is_opened_by_name_and_type(system):
    qpu = QPU("h", "qrmi", 5, options=OPTIONS | {"resource": "test_heron", "resource_type": "ibm-quantum-system"})
    with in_job(system.environment(), QRMI_JOB_QPU_RESOURCES=None, QRMI_JOB_QPU_TYPES=None), hold(qpu) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).counts == ({"1": 10},)


def test_a_machine_that_is_offline_may_come_back(system):
    system.status = "paused"
    try:
        with in_job(system.environment()), pytest.raises(DeviceFault, match="test_heron is paused"):
            HeldDevice(HERON)
    finally:
        system.status = "online"


def test_a_wrong_key_is_said_and_not_tried_again(system):
    with (
        in_job(system.environment(), test_heron_QRMI_IBM_QS_IAM_APIKEY="wrong"),
        pytest.raises(DeviceError, match="API key not found") as info,
    ):
        HeldDevice(HERON)
    assert not info.value.transient


def test_a_missing_variable_is_named(system):
    with (
        in_job(system.environment(), test_heron_QRMI_IBM_QS_SERVICE_CRN=None),
        pytest.raises(DeviceError, match=r"test_heron_QRMI_IBM_QS_SERVICE_CRN.*qrmi_config\.json"),
    ):
        HeldDevice(HERON)


def test_a_job_without_a_time_limit_can_submit(system):
    with in_job(system.environment(), test_heron_QRMI_JOB_TIMEOUT_SECONDS=str(2**32 - 1)), hold(HERON) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).counts == ({"1": 10},)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resource_type": "ibm-quantum-system"}, "needs 'resource'"),
        ({"optimization_level": 4}, "optimization_level"),
        ({"limit_s": 0}, "limit_s"),
        ({"poll_s": 0}, "poll_s"),
        ({"resorce": "x"}, "Did you mean 'resource'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InvalidSite, match=message):
        HeldDevice(QPU("d", "qrmi", 5, options=options))


# ---- sessions


def test_a_session_is_acquired_when_the_device_opens_and_released_when_it_closes(service):
    before = set(service.sessions)
    with in_job(service.environment()):
        with hold(EAGLE) as held:
            (session,) = set(service.sessions) - before
            assert service.sessions[session]["accepting_jobs"]
            remote_id = held.run(QuantumTask(FLIP, shots=10)).metadata["remote_id"]
            assert service.jobs[remote_id]["session_id"] == session
        assert not service.sessions[session]["accepting_jobs"]


def test_a_session_that_the_plugin_acquired_is_used_and_left_to_it(service):
    theirs = service.open_session({"backend": service.name, "mode": "dedicated", "max_ttl": 600})["id"]
    before = set(service.sessions)
    with in_job(service.environment(), test_eagle_QRMI_JOB_ACQUISITION_TOKEN=theirs), hold(EAGLE) as held:
        remote_id = held.run(QuantumTask(FLIP, shots=10)).metadata["remote_id"]
    assert service.jobs[remote_id]["session_id"] == theirs
    assert set(service.sessions) == before
    assert service.sessions[theirs]["accepting_jobs"]


def test_without_sessions_tasks_run_one_by_one(service):
    before = set(service.sessions)
    with in_job(service.environment()), hold(QPU("eagle", "qrmi", 5, options=OPTIONS | {"session": False})) as held:
        assert held.run(QuantumTask(FLIP, shots=10)).counts == ({"1": 10},)
    assert set(service.sessions) == before


OPEN = """
from qpu_executors import QPU
from qpu_executors.registry import check_options, driver
from qpu_executors.running import HeldDevice
held = HeldDevice(QPU("eagle", "qrmi", 5))
"""


@pytest.mark.slow
def test_a_process_that_ends_without_closing_releases_its_session(service):
    before = set(service.sessions)
    with in_job(service.environment()):
        subprocess.run([sys.executable, "-c", OPEN], check=True, timeout=60)
    (session,) = set(service.sessions) - before
    assert not service.sessions[session]["accepting_jobs"]


# ---- programs


def test_parameters_arrive_in_the_order_of_their_columns(system):
    """More than ten, so that the order of names and that of numbers differ; each row flips one qubit."""
    names = [f"p{11 - column}" for column in range(12)]
    program = gates(5, *(["ry", [column % 5], [[0, column, 1.0]]] for column in range(12)), parameters=names)
    rows = [[math.pi * (column == flipped) for column in range(12)] for flipped in (0, 4, 11)]
    with in_job(system.environment()), hold(HERON) as held:
        counts = held.run(QuantumTask(program, shots=50, parameter_values=rows)).counts
    assert counts == ({"00001": 50}, {"10000": 50}, {"00010": 50})


@pytest.mark.slow
def test_the_distribution_is_what_quantum_mechanics_says_on_a_machine_of_156_qubits():
    program = gates(3, ["h", [0]], ["ccx", [0, 1, 2]], ["ry", [1], [0.7]], ["cx", [0, 2]], ["u", [1], [0.4, 0.2, 1.1]])
    qpu = QPU("fez", "qrmi", 156, options=OPTIONS)
    with opened(QuantumSystem, "test_fez", "fez") as fez, in_job(fez.environment()), hold(qpu) as held:
        (counts,) = held.run(QuantumTask(program, shots=2000)).counts
    expected = probabilities(program, ())
    assert distance(counts, expected) < bound(expected, 2000)


def test_fractional_gates_are_used_where_the_site_says_so():
    """The machine's rzz and rx of any angle: no cx is left."""
    program = gates(2, ["h", [0]], ["h", [1]], ["rzz", [0, 1], [[0, 0, 1.0]]], ["rx", [0], [0.8]], parameters=["a"])
    qpu = QPU("kingston", "qrmi", 5, options=OPTIONS | {"fractional_gates": True})
    with opened(QuantumSystem, "fractional", "fractional") as machine, in_job(machine.environment()), hold(qpu) as held:
        result = held.run(QuantumTask(program, shots=2000, parameter_values=[[0.6]]))
        text = machine.inputs[result.metadata["remote_id"]]["pubs"][0][0]
    assert "rzz(p000000) $" in text
    assert "cx $" not in text  # on the machine's qubits; the text also defines what rzz stands for
    expected = probabilities(program, (0.6,))
    assert distance(result.counts[0], expected) < bound(expected, 2000)


def test_a_branch_on_a_measured_bit_runs(system):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    with in_job(system.environment()), hold(HERON) as held:
        assert held.run(as_task(circuit, shots=20)).counts == ({"11": 20},)


def test_options_of_the_sampler_travel(system):
    qpu = QPU("h", "qrmi", 5, options=OPTIONS | {"run_options": {"dynamical_decoupling": {"enable": True}}})
    with in_job(system.environment()), hold(qpu) as held:
        remote_id = held.run(QuantumTask(FLIP, shots=10)).metadata["remote_id"]
    assert system.inputs[remote_id]["options"] == {"dynamical_decoupling": {"enable": True}}


def test_more_shots_than_the_machine_takes_are_refused(system):
    with in_job(system.environment()), hold(HERON) as held, pytest.raises(InvalidTask, match="takes at most"):
        held.run(QuantumTask(FLIP, shots=system.configuration["max_shots"] + 1))


# ---- tasks that go wrong, and that others take up


def test_a_failed_task_says_why_and_is_submitted_anew_when_tried_again(system):
    task = QuantumTask(FLIP, shots=10)
    with in_job(system.environment()), hold(HERON) as held:
        system.fail = "the fridge is warm"
        with pytest.raises(RemoteFailed, match=r"the fridge is warm.*Ask the operators"):
            held.run(task)
        system.fail = ""
        assert held.run(task).counts == ({"1": 10},)


def test_the_compute_service_says_why_in_its_logs(service):
    with in_job(service.environment()), hold(EAGLE) as held:
        service.fail = "the fridge is warm"
        with pytest.raises(RemoteFailed, match=r"Failed.*the fridge is warm"):
            held.run(QuantumTask(FLIP, shots=10))
        service.fail = ""


def test_an_answer_that_nobody_can_read_is_a_passing_fault(system):
    task = QuantumTask(FLIP, shots=10)
    with in_job(system.environment()), hold(HERON) as held:
        remote_id = held.run(task).metadata["remote_id"]
        system.jobs[remote_id]["status"] = "Levitating"
        with pytest.raises(DeviceFault, match="Levitating") as info:
            held.run(task)
        assert not isinstance(info.value, RemoteFailed)
        system.jobs[remote_id]["status"] = "Completed"
        assert held.run(task).metadata["remote_id"] == remote_id


def test_a_task_that_takes_too_long_is_stopped(system):
    system.may_run.clear()
    try:
        qpu = QPU("h", "qrmi", 5, options=OPTIONS | {"wait_s": 0.2})
        with in_job(system.environment()), hold(qpu) as held, pytest.raises(RemoteFailed, match="was stopped"):
            held.run(QuantumTask(FLIP, shots=10))
        (stopped,) = system.deleted[-1:]
        assert stopped not in system.jobs
    finally:
        system.may_run.set()


SUBMIT_AND_WAIT = """
import sys
from qpu_executors import QPU, QuantumTask, hold
with hold(QPU("heron", "qrmi", 5, options={"poll_s": 0.02})) as held:
    print("open", flush=True)
    held.run(QuantumTask(sys.argv[1], shots=10, task_id="the-same"))
"""


@pytest.mark.slow
def test_a_task_whose_process_was_killed_is_taken_up_by_the_next(system):
    before = set(system.jobs)
    system.may_run.clear()
    with in_job(system.environment()):
        first = subprocess.Popen([sys.executable, "-c", SUBMIT_AND_WAIT, FLIP], stdout=subprocess.PIPE)
        try:
            assert first.stdout.readline() == b"open\n"
            written = os.environ["CONQURE_SUBMISSIONS"]
            _until(lambda: _is_named(written))
        finally:
            first.send_signal(signal.SIGKILL)
            first.communicate()
            system.may_run.set()
        with hold(HERON) as held:
            result = held.run(QuantumTask(FLIP, shots=10, task_id="the-same"))
    assert result.counts == ({"1": 10},)
    assert set(system.jobs) - before == {result.metadata["remote_id"]}


def test_a_task_that_the_machine_has_forgotten_has_failed(system):
    with in_job(system.environment()), hold(HERON) as held:
        prepared = held.device.prepare(ROTATION, "gates")
        with pytest.raises(RemoteFailed, match="not found"):
            held.device.fetch("long-ago", prepared, 1)


@pytest.mark.slow
def test_a_machine_that_does_not_answer_is_a_passing_fault():
    with opened(QuantumSystem) as gone, in_job(gone.environment()):
        held = HeldDevice(HERON)
        gone.close()
        with pytest.raises(DeviceFault, match="does not take the task"):
            held.run(QuantumTask(BELL, shots=10))


# ---- the page


def test_the_site_of_the_page_is_valid_and_asks_for_the_qpu(tmp_path):
    page = (Path(__file__).parents[2] / "docs/drivers/qrmi.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "site.toml"
    path.write_text(block)
    qpu = Site.load(path).qpu("heron")
    assert (qpu.directives, qpu.options) == (("--qpu=test_heron",), {"resource": "test_heron"})
    check_options(qpu, driver("qrmi"))


def test_a_job_that_was_given_another_qpu_opens_nothing(system):
    qpu = QPU("heron", "qrmi", 5, expects="QRMI_JOB_QPU_RESOURCES=test_flamingo", options=OPTIONS)
    with in_job(system.environment()), pytest.raises(DeviceError, match="was not given to"):
        HeldDevice(qpu)


def _is_named(folder):
    """Whether a submission with the machine's name for it is written down."""
    texts = [path.read_text() for path in Path(folder).rglob("*.json")]
    return any(json.loads(text)["remote_id"] for text in texts)


def _until(condition, seconds=30.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)
