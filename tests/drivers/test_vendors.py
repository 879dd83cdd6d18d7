"""Machines of vendors by configuration only: jobs that any process can fetch, IonQ, and IQM and AQT beside us."""

import json
import math
import subprocess
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from qpu_executors import QPU, DeviceError, InvalidSite, QuantumTask, RemoteDevice, RemoteFailed, hold
from qpu_executors.drivers.qiskit_backend import QiskitBackendDevice
from qpu_executors.errors import DeviceFault
from qpu_executors.registry import check_options, driver
from qpu_executors.site import read_site
from qpu_executors.testing import BELL, ROTATION, DeviceContract

from ..conftest import REPOSITORY

# Jobs that can be fetched


class Keeping(AerSimulator):
    """Aer, with what vendors' backends have: jobs are kept where another process's backend finds them by their ids.

    Attributes:
        jobs: by id, for all objects of this class. broken: what `retrieve_job` raises next.
    """

    jobs: ClassVar = {}
    broken: ClassVar = []

    def __init__(self, most=None):
        super().__init__()
        self._most = most

    @property
    def max_circuits(self):
        return self._most

    def run(self, circuits, **options):
        job = super().run(circuits, **options)
        self.jobs[job.job_id()] = job
        return job

    def retrieve_job(self, job_id):
        if self.broken:
            raise self.broken.pop(0)
        return self.jobs[job_id]


REMOTE = {"backend": f"{__name__}:Keeping", "remote": True}


@pytest.fixture(scope="module", autouse=True)
def submissions(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONQURE_SUBMISSIONS", str(tmp_path_factory.mktemp("submissions")))
        yield


class TestRemoteBackend(DeviceContract):
    qpu = QPU("r0", "qiskit", 5, options=REMOTE)


class TestRemoteSampler(DeviceContract):
    qpu = QPU(
        "r1", "qiskit", 5, options={**REMOTE, "backend": f"{__name__}:Sampling", "sampler": f"{__name__}:Sampler"}
    )
    seeds = False


class Sampling(AerSimulator):
    """A backend whose service gives back what a sampler ran."""

    jobs: ClassVar = {}

    @property
    def service(self):
        return self

    def job(self, job_id):
        return self.jobs[job_id]


def Sampler(backend):
    """Qiskit's own sampler, its jobs kept."""
    from qiskit.primitives import BackendSamplerV2

    class Kept(BackendSamplerV2):
        def run(self, pubs, *, shots=None):
            job = super().run(pubs, shots=shots)
            backend.jobs[job.job_id()] = job
            return job

    return Kept(backend=backend)


def test_a_job_is_submitted_once_and_fetched_by_another_device():
    task = QuantumTask(ROTATION, parameter_values=[[0.0], [math.pi], [0.0]], shots=20)
    Keeping.jobs.clear()
    results = []
    for _ in range(2):
        with hold(QPU("r0", "qiskit", 5, options={**REMOTE, "arguments": {"most": 2}})) as held:
            assert isinstance(held.device, RemoteDevice)
            results.append(held.run(task))
    assert results[0].counts == results[1].counts == ({"0": 20}, {"1": 20}, {"0": 20})
    assert results[0].metadata["remote_id"].split() == list(Keeping.jobs)
    assert len(Keeping.jobs) == 2  # three rows, two circuits a job


def test_a_backend_that_does_not_answer_is_a_passing_fault_and_keeps_its_job():
    Keeping.jobs.clear()
    Keeping.broken.append(ConnectionError("no route"))
    task = QuantumTask(BELL, shots=20)
    with hold(QPU("r0", "qiskit", 5, options=REMOTE)) as held:
        with pytest.raises(DeviceFault, match=r"ConnectionError: no route. It may go on") as raised:
            held.run(task)
        assert not isinstance(raised.value, RemoteFailed)
        held.run(task)
    assert len(Keeping.jobs) == 1


def test_a_job_that_ended_without_counts_is_submitted_anew():
    class Broken:
        def result(self):
            raise RuntimeError("the laser is off")

        def status(self):
            return "ERROR"

    Keeping.jobs.clear()
    task = QuantumTask(BELL, shots=20)
    with hold(QPU("r0", "qiskit", 5, options=REMOTE)) as held:
        first = held.run(task).metadata["remote_id"]
        Keeping.jobs[first] = Broken()
        with pytest.raises(RemoteFailed, match=f"job {first}: RuntimeError: the laser is off. It ended"):
            held.run(task)
        assert held.run(task).metadata["remote_id"] != first


def test_a_backend_that_keeps_no_jobs_cannot_be_remote():
    with pytest.raises(InvalidSite, match=r"remote = true: .*'aer_simulator' cannot give back a job.*retrieve_job"):
        QiskitBackendDevice("r", 5, backend="qiskit_aer:AerSimulator", remote=True)
    assert not isinstance(QiskitBackendDevice("r", 5, backend=f"{__name__}:Keeping"), RemoteDevice)


# Providers


class Provider:
    """A provider with a token, as vendors have."""

    def __init__(self, token):
        self.token, self.offline = token, self

    def direct(self):
        return self

    def get_backend(self, name):
        assert self.token == "a secret"
        return AerSimulator() if name == "aer" else None


PROVIDER = {
    "backend": f"{__name__}:Provider",
    "arguments": {"token": {"env": "A_TOKEN"}},
    "get_arguments": {"name": "aer"},
}


@pytest.mark.parametrize("path", ["get_backend", "offline.get_backend", "direct().offline.get_backend"])
def test_a_provider_gives_the_backend_and_its_token_comes_from_the_environment(path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "a secret")
    assert QiskitBackendDevice("p", 5, **PROVIDER, get=path).n_qubits == 5


def test_a_token_that_is_not_set_and_a_path_that_leads_nowhere_are_named(monkeypatch):
    monkeypatch.delenv("A_TOKEN", raising=False)
    with pytest.raises(DeviceError, match="token is read from A_TOKEN, which is not set"):
        QiskitBackendDevice("p", 5, **PROVIDER, get="get_backend")
    monkeypatch.setenv("A_TOKEN", "a secret")
    with pytest.raises(InvalidSite, match="get = 'cloud.get_backend' failed: AttributeError: .*'cloud'"):
        QiskitBackendDevice("p", 5, **PROVIDER, get="cloud.get_backend")


def test_the_example_site_has_no_option_that_its_drivers_do_not_know():
    site = read_site(REPOSITORY / "site_configs" / "vendors.toml")
    assert {qpu.driver for qpu in site.qpus} == {"ibm", "qiskit", "braket"}
    for qpu in site.qpus:
        check_options(qpu, driver(qpu.driver))


# IonQ


class IonQ(ThreadingHTTPServer):
    """The calls of IonQ's API v0.4 that its package makes for us; circuits really run, on Aer.

    Attributes:
        jobs: what was submitted, by id. fails: reasons; each next job ends with the first of them.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.jobs, self.fails = {}, []

    def start(self, request):
        """POST /jobs."""
        job_id = f"job-{len(self.jobs)}"
        block = request["input"]
        circuits = [one["circuit"] for one in block["circuits"]] if "circuits" in block else [block["circuit"]]
        failure = {"failure": {"code": "Quantum", "error": self.fails.pop(0)}} if self.fails else {}
        self.jobs[job_id] = {
            "id": job_id,
            "status": "failed" if failure else "completed",
            "metadata": request["metadata"],
            "results": {"probabilities": {"url": f"/v0.4/jobs/{job_id}/results/probabilities"}},
            "stats": {"circuits": len(circuits), "qubits": block["qubits"]},
            "execution_duration_ms": 1,
            **failure,
            **({"child_job_ids": [f"{job_id}-{row}" for row in range(len(circuits))]} if len(circuits) > 1 else {}),
            "_probabilities": [probabilities(circuit, block["qubits"]) for circuit in circuits],
        }
        return {"id": job_id, "status": "submitted"}

    def results(self, job_id):
        found = self.jobs[job_id]["_probabilities"]
        return found[0] if len(found) == 1 else {f"{job_id}-{row}": one for row, one in enumerate(found)}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        words = urlsplit(self.path).path.strip("/").split("/")
        if "backends" in words:
            return self.say({"qubits": 29})
        found = self.server.results(words[2]) if words[-1] == "probabilities" else dict(self.server.jobs[words[2]])
        found.pop("_probabilities", None)
        return self.say(found)

    def do_POST(self):
        assert self.headers["Authorization"] == "apiKey a secret"
        self.say(self.server.start(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def say(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Quiet."""


def probabilities(operations, n_qubits):
    """Outcome -> probability, of a circuit in IonQ's words."""
    circuit = QuantumCircuit(n_qubits)
    theirs = {"v": "sx", "vi": "sxdg", "si": "sdg", "ti": "tdg", "cnot": "x", "not": "x"}
    for one in operations:
        name = theirs.get(one["gate"], one["gate"])
        angles = [one["rotation"]] if "rotation" in one else []
        gate = get_standard_gate_name_mapping()[name].base_class(*angles)
        controls = one.get("controls") or ([one["control"]] if "control" in one else [])
        targets = one.get("targets") or [one["target"]]
        circuit.append(gate.control(len(controls)) if controls else gate, [*controls, *targets])
    found = Statevector(circuit).probabilities()
    return {str(outcome): float(p) for outcome, p in enumerate(found) if p > 1e-12}


@pytest.fixture(scope="module")
def ionq():
    server = IonQ()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IONQ_API_KEY", "a secret")
        patch.setenv("IONQ_API_URL", f"http://127.0.0.1:{server.server_address[1]}/v0.4")
        yield server
    server.shutdown()
    server.server_close()
    thread.join()


IONQ = next(qpu for qpu in read_site(REPOSITORY / "site_configs" / "vendors.toml").qpus if qpu.device_id == "ionq")


@pytest.mark.usefixtures("ionq")
@pytest.mark.filterwarnings("ignore:Transpiler default optimization_level")
class TestIonQ(DeviceContract):
    qpu = IONQ
    seeds = False


@pytest.mark.filterwarnings("ignore:Transpiler default optimization_level")
def test_a_job_of_ionq_is_submitted_once_and_a_failed_one_anew(ionq):
    task = QuantumTask(ROTATION, parameter_values=[[0.0], [math.pi]], shots=50)
    ionq.jobs.clear()
    with hold(IONQ) as held:
        assert isinstance(held.device, RemoteDevice)
        first = held.run(task)
        assert first.counts == ({"0": 50}, {"1": 50})
        assert held.run(task).metadata["remote_id"] == first.metadata["remote_id"] == "job-0"
        assert len(ionq.jobs) == 1
        ionq.fails.append("the trap is empty")
        failing = QuantumTask(BELL, shots=50)
        with pytest.raises(RemoteFailed, match="job-1: IonQJobFailureError.*the trap is empty.*It ended"):
            held.run(failing)
        assert sum(held.run(failing).counts[0].values()) == 50


# In environments of their own: these packages hold Qiskit back

AQT = """
from qpu_executors import QPU
from qpu_executors.testing import DeviceContract


class TestIdeal(DeviceContract):
    qpu = QPU("aqt", "qiskit", 12, options={"backend": "qiskit_aqt_provider:AQTProvider", "get": "offline.ideal"})
    seeds = False


class TestNoisy(DeviceContract):
    qpu = QPU("aqt", "qiskit", 12, options={"backend": "qiskit_aqt_provider:AQTProvider", "get": "offline.noisy"})
    seeds = False
    error_rate = 0.2
"""

IQM = """
from qpu_executors import QPU
from qpu_executors.testing import DeviceContract


class TestAdonis(DeviceContract):
    qpu = QPU("iqm", "qiskit", 5, options={"backend": "iqm.qiskit_iqm:IQMFakeAdonis"})
    seeds = False
    error_rate = 0.2
"""


@pytest.mark.beside
@pytest.mark.timeout(900)  # where the environment must be made first
@pytest.mark.parametrize(("name", "tests", "passed"), [("aqt", AQT, 30), ("iqm", IQM, 15)], ids=["aqt", "iqm"])
def test_the_simulators_of_a_vendor_keep_the_contract_of_devices(name, tests, passed, tmp_path):
    script = REPOSITORY / "requirements" / "beside" / "install"
    python = subprocess.run([script, name], check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "test_it.py").write_text(textwrap.dedent(tests))
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path / "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{passed} passed" in done.stdout
