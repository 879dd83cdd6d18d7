"""qBraid's runtime: a site's QPUs are devices, circuits of all frameworks are jobs."""

import threading
from pathlib import Path

import cirq
import pytest
from braket.circuits import Circuit as BraketCircuit
from pytket.circuit import Circuit as TketCircuit
from qbraid.runtime import DeviceStatus, GateModelResultData, JobStateError, JobStatus, ProgramValidationError
from qiskit import QuantumCircuit, qasm2, qasm3

from conqure import InvalidTask, QPUThreadPool, UnknownDevice
from conqure.interop.qbraid import ConqureProvider
from qpu_executors import QPU

from .pages import run_page


def qiskit_circuit() -> QuantumCircuit:
    """X on qubit 1 of three, all measured."""
    circuit = QuantumCircuit(3, 3)
    circuit.x(1)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


Q = cirq.LineQubit.range(3)
CIRCUITS = {
    "qiskit": qiskit_circuit(),
    "openqasm 2": qasm2.dumps(qiskit_circuit()),
    "openqasm 3": qasm3.dumps(qiskit_circuit()),
    "cirq": cirq.Circuit(cirq.X(Q[1]), cirq.measure(*Q, key="m")),
    "pytket": TketCircuit(3).X(1).measure_all(),
    "braket": BraketCircuit().i(0).x(1).i(2).measure([0, 1, 2]),
}


@pytest.fixture(scope="module")
def provider():
    with QPUThreadPool([QPU("sv0", "statevector", 3), QPU("big", "statevector", 9)]) as pool:
        yield ConqureProvider(pool=pool)


@pytest.mark.parametrize("framework", CIRCUITS)
def test_circuits_of_each_framework_run(provider, framework):
    job = provider.get_device("big").run(CIRCUITS[framework], shots=12, seed=1)
    result = job.result()
    assert isinstance(result.data, GateModelResultData)
    assert result.data.get_counts() == {"010": 12}
    assert result.success
    assert (result.device_id, result.job_id) == ("big", job.id)
    assert job.status() == JobStatus.COMPLETED


def test_a_list_of_circuits_is_a_list_of_jobs(provider):
    jobs = provider.get_device("sv0").run([qiskit_circuit(), CIRCUITS["cirq"]], shots=3)
    assert [job.result().data.get_counts() for job in jobs] == [{"010": 3}] * 2


def test_devices_are_the_qpus_of_the_site(provider):
    assert [device.id for device in provider.get_devices()] == ["sv0", "big"]
    assert [device.id for device in provider.get_devices(selector="qubits>=5")] == ["big"]
    device = provider.get_device("sv0")
    assert (device.num_qubits, device.simulator, device.status()) == (3, True, DeviceStatus.ONLINE)
    assert device.metadata()["provider_name"] == "CONQURE"
    assert {"qiskit", "qasm3", "cirq", "pytket"} <= set(device.supported_run_inputs())
    with pytest.raises(UnknownDevice, match="ion7"):
        provider.get_device("ion7")


def test_what_cannot_run_says_why(provider):
    with pytest.raises(ProgramValidationError, match="capacity"):
        provider.get_device("sv0").run(QuantumCircuit(4, 1), shots=1)
    with pytest.raises(InvalidTask, match="measures nothing"):
        provider.get_device("sv0").run(QuantumCircuit(1), shots=1)


def test_a_job_that_waits_can_be_taken_back():
    with QPUThreadPool([QPU("one", "statevector", 3)]) as pool:
        free = threading.Event()
        held = pool.submit(free.wait, 60)
        job = ConqureProvider(pool=pool).get_device("one").run(qiskit_circuit(), shots=1)
        assert job.status() == JobStatus.QUEUED
        job.cancel()
        assert job.status() == JobStatus.CANCELLED
        with pytest.raises(JobStateError, match="cancelled"):
            job.result()
        free.set()
        assert held.result(60)
        done = ConqureProvider(pool=pool).get_device("one").run(qiskit_circuit(), shots=1)
        done.result()
        with pytest.raises(JobStateError, match="COMPLETED"):
            done.cancel()


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path):
    assert "COMPLETED" in run_page("qbraid", tmp_path).upper()
