"""Qiskit jobs as works of the cloud queue: left in one process, found in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.primitives import BackendSamplerV2
from qiskit.providers import JobError, JobStatus, JobTimeoutError

from conqure import InvalidTask, UnknownWork, UserClient
from conqure.interop.qiskit import EstimatorV2, QPUBackend, SamplerV2, provider

from ..queue.server.serving import add_admin, served
from .qiskit_programs import angles, ansatz, bell, registers

SITE = """
[engine]
name = "threads"
[qpu.sv0]
driver = "statevector"
qubits = 10
[qpu.ion0]
driver = "fake"
qubits = 4
options = { delay_s = 0.3 }
"""
READ = """
import json, sys
from conqure import UserClient
from conqure.interop.qiskit import provider
client_options, work_id = json.loads(sys.argv[1]), sys.argv[2]
with UserClient(**client_options) as client:
    job = provider(client=client).job(work_id)
    result = job.result(timeout=60)
    headers = [experiment.header for experiment in result.results]
    print(json.dumps({
        "id": job.job_id(),
        "status": job.status().name,
        "counts": result.get_counts(),
        "names": [header["name"] for header in headers],
        "cregs": [header["creg_sizes"] for header in headers],
        "metadata": [header["metadata"] for header in headers],
        "memory": result.get_memory(0)[:3],
    }))
"""
LEAVE = """
import json, sys
from qiskit import QuantumCircuit
from conqure import UserClient
from conqure.interop.qiskit import provider
bell = QuantumCircuit(2, name="bell", metadata={"who": "ada"})
bell.h(0)
bell.cx(0, 1)
bell.measure_all()
with UserClient(**json.loads(sys.argv[1])) as client:
    print(provider(client=client).get_backend("sv0").run([bell, bell], shots=40, memory=True).job_id())
"""


@pytest.fixture
def site(tmp_path: Path) -> str:
    path = tmp_path / "here.toml"
    path.write_text(SITE)
    return str(path)


@pytest.fixture
def client(site: str) -> Iterator[UserClient]:
    with UserClient(store="memory:", site=site) as client:
        yield client


@pytest.fixture
def backend(client: UserClient) -> QPUBackend:
    return provider(client=client).get_backend("sv0")


def in_another_process(program: str, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=folder,
        env=os.environ | {"HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_devices_of_a_queue_are_backends(client: UserClient) -> None:
    here = provider(client=client)
    assert [(backend.name, backend.num_qubits) for backend in here.backends()] == [("sv0", 10), ("ion0", 4)]
    assert here.get_backend("sv0").max_circuits == 1000
    with pytest.raises(InvalidTask, match="a client knows its own site"):
        provider("laptop", client=client)


def test_a_run_is_one_work(client: UserClient, backend: QPUBackend) -> None:
    family = ansatz()
    family.measure_all()
    bound = [family.assign_parameters(row) for row in angles(3, 6)]
    job = backend.run([*bound, bell("b"), registers()], shots=25, memory=True, seed_simulator=1, priority="HIGH")
    result = job.result(timeout=60)
    (work,) = client.list_work()
    assert (work.work_id, work.format, work.priority, work.n_rows) == (job.job_id(), "tasks", "HIGH", 5)
    assert job.status() is JobStatus.DONE
    assert [sum(counts.values()) for counts in result.get_counts()] == [25] * 5
    assert result.get_counts("b").keys() <= {"00", "11"}
    assert result.get_counts(4) == {"100000000 10": 25}
    assert result.get_memory(4) == ["100000000 10"] * 25
    assert not job.cancel()


def test_of_a_job_another_process_learns_what_fits_into_a_work(client: UserClient, backend: QPUBackend) -> None:
    circuits = [bell(f"{number:03} {'x' * 40}") for number in range(12)]
    circuits[0].metadata = {"notes": "y" * 300}
    job = backend.run(circuits, shots=5)
    mine = job.result(timeout=60).results[0].header
    assert (mine["name"], mine["metadata"]) == (circuits[0].name, circuits[0].metadata)
    theirs = provider(client=client).job(job.job_id()).result(timeout=60).results[0].header
    assert (theirs["name"], theirs["metadata"], theirs["creg_sizes"]) == ("circuit", {}, [["meas", 2]])

    cregs = [ClassicalRegister(1, f"register_{number}") for number in range(30)]
    long = QuantumCircuit(QuantumRegister(1), *cregs)
    long.x(0)
    long.measure(0, 29)
    job = backend.run(long, shots=5)
    for found in (job, provider(client=client).job(job.job_id())):
        assert found.result(timeout=60).get_counts() == {"1" + 29 * " 0": 5}


def test_any_work_of_circuits_reads_as_a_job(client: UserClient) -> None:
    work_id = client.create_work(registers(), "sv0", shots=8)
    assert work_id is not None
    result = provider(client=client).job(work_id).result(timeout=60)
    assert result.get_counts() == {"100000000 10": 8}
    with pytest.raises(UnknownWork):
        provider(client=client).job("2d6ff3c4-7a5c-4d09-9c1a-3a0a4c4b7a11")


def test_a_work_that_waits_is_cancelled_with_its_job(site: str) -> None:
    with UserClient(store="memory:", site=site, start=False) as client:
        job = provider(client=client).get_backend("sv0").run(bell())
        assert job.status() is JobStatus.QUEUED
        assert job.cancel()
        assert job.status() is JobStatus.CANCELLED
        with pytest.raises(JobError, match="was canceled"):
            job.result(timeout=60)
        job.wait_for_final_state(timeout=60)


def test_waiting_for_a_job_notices_its_end_and_its_time(client: UserClient) -> None:
    job = provider(client=client).get_backend("ion0").run(bell())
    with pytest.raises(JobTimeoutError):
        job.wait_for_final_state(timeout=0.01)
    seen: list[Any] = []
    job.wait_for_final_state(wait=0.05, callback=lambda _id, status, _job: seen.append(status))
    assert set(seen) <= {JobStatus.QUEUED, JobStatus.RUNNING}
    assert job.status() is JobStatus.DONE


def test_qiskits_and_our_primitives_run_over_the_queue(client: UserClient, backend: QPUBackend) -> None:
    circuit = ansatz()
    circuit.measure_all()
    theirs = BackendSamplerV2(backend=backend).run([(circuit, angles(2, 6))], shots=30).result()
    ours = SamplerV2(backend).run([(circuit, angles(2, 6)), bell()], shots=30).result()
    assert theirs[0].data.meas.shape == ours[0].data.meas.shape == (2,)
    values = EstimatorV2(backend).run([(bell().remove_final_measurements(inplace=False), ["ZZ", "XX"])]).result()
    assert values[0].data.evs.tolist() == [1.0, 1.0]
    assert len(client.list_work()) == 3


def test_a_work_for_any_device_goes_to_one_that_is_large_enough(client: UserClient) -> None:
    wide = QuantumCircuit(9, 1)
    wide.x(8)
    wide.measure(8, 0)
    job = provider(client=client).get_backend("any").run([bell(), wide], shots=6)
    assert job.result(timeout=60).get_counts(1) == {"1": 6}
    assert client.get_work(job.job_id()).ran_on == "sv0"


def test_a_circuit_that_measures_nothing_is_no_work(backend: QPUBackend) -> None:
    with pytest.raises(InvalidTask, match="measures nothing"):
        backend.run([bell(), QuantumCircuit(1, 1)])


@pytest.mark.slow
def test_a_job_is_left_in_one_process_and_found_in_another(tmp_path: Path, site: str) -> None:
    options = json.dumps({"embedded": True, "store": f"sqlite:{tmp_path}/works.db", "site": site})
    work_id = in_another_process(LEAVE, tmp_path, options)
    check(json.loads(in_another_process(READ, tmp_path, options, work_id)), work_id)


@pytest.mark.slow
def test_a_job_is_left_with_a_service_and_found_from_another_process(tmp_path: Path) -> None:
    password = add_admin(tmp_path)
    with served(tmp_path) as service:
        said = {"email": "root@lab.example", "password": password}
        answer = requests.post(f"{service.url}/v1/login", json=said, timeout=30)
        options = json.dumps({"url": service.url, "token": answer.json()["token"]})
        work_id = in_another_process(LEAVE, tmp_path, options)
        check(json.loads(in_another_process(READ, tmp_path, options, work_id)), work_id)


def check(found: dict[str, Any], work_id: str) -> None:
    assert (found["id"], found["status"]) == (work_id, "DONE")
    assert [sum(counts.values()) for counts in found["counts"]] == [40, 40]
    assert all(set(counts) <= {"00", "11"} for counts in found["counts"])
    assert found["names"] == ["bell", "bell"]
    assert found["cregs"] == [[["meas", 2]]] * 2
    assert found["metadata"] == [{"who": "ada"}] * 2
    assert set(found["memory"]) <= {"00", "11"}


def test_threads_share_a_client(backend: QPUBackend) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=_run_some, args=(backend, found.append)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 9


def _run_some(backend: QPUBackend, note: Callable[[int], None]) -> None:
    for _ in range(3):
        note(sum(backend.run(bell(), shots=7).result(timeout=60).get_counts().values()))
