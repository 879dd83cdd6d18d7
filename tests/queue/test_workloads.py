"""Workloads: what the queue accepts, what a device is given, and what its results are."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conqure.queue.results import ResultFile, read_results
from conqure.queue.work import WorkloadFormat
from conqure.queue.workloads import RAW_RESULTS, check_workload, program_id, read_tasks, results_payload
from qpu_executors import Priority, QuantumTask
from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, DeviceError, InvalidTask, InvalidWork, TooLarge
from qpu_executors.running import HeldDevice
from qpu_executors.testing import BELL, ROTATION, gates
from qpu_executors.translation.dax_writer import to_dax

from .dispatching import result_of

TASK, TASKS, DAX, OPAQUE = WorkloadFormat.TASK, WorkloadFormat.TASKS, WorkloadFormat.DAX, WorkloadFormat.OPAQUE
FOR = {"device_id": "ion0", "priority": Priority.HIGH, "work_id": "work"}


def test_the_facts_of_a_task_are_read_from_its_program_and_rows() -> None:
    task = QuantumTask(ROTATION, shots=50, parameter_values=[[0.1], [0.2], [0.3]])
    facts = check_workload(TASK, task.to_json().encode())
    assert facts == {"n_qubits": 1, "n_rows": 3, "shots": 50, "program_id": program_id("gates", ROTATION)}


def test_works_that_differ_in_their_angles_only_have_the_same_program_id() -> None:
    one, other = (QuantumTask(ROTATION, parameter_values=[[angle]]).to_json().encode() for angle in (0.1, 0.2))
    assert check_workload(TASK, one)["program_id"] == check_workload(TASK, other)["program_id"]


def test_several_tasks_are_as_large_as_the_largest_and_have_all_rows() -> None:
    tasks = [QuantumTask(gates(5, ["h", [0]]), shots=10), QuantumTask(ROTATION, shots=70, parameter_values=[[1], [2]])]
    payload = f"[{','.join(task.to_json() for task in tasks)}]".encode()
    assert check_workload(TASKS, payload) == {"n_qubits": 5, "n_rows": 3, "shots": 70, "program_id": ""}
    assert [task.device_id for task in read_tasks(TASKS, payload, **FOR)] == ["ion0", "ion0"]


@pytest.mark.parametrize(
    ("format", "payload", "says"),
    [
        (TASK, b"", "empty"),
        (TASK, b"{", "not JSON"),
        (TASK, b"\xff\xfe", "not JSON"),
        (TASK, b'{"is":"task"}', "version"),
        (TASKS, b"{}", "array"),
        (TASKS, b"[]", "array"),
        (TASKS, b"[" * 100_000, "array"),
        (TASK, QuantumTask(ROTATION).to_json().encode(), "1 parameters"),
        (TASK, QuantumTask("{}").to_json().encode(), "gates program"),
        (TASK, QuantumTask(BELL).to_json().replace('"created_at":', '"created_at":"x","was":').encode(), "was"),
        (DAX, b"\xff", "UTF-8"),
    ],
)
def test_a_bad_workload_is_refused_with_what_is_wrong(format: WorkloadFormat, payload: bytes, says: str) -> None:
    with pytest.raises((InvalidWork, InvalidTask), match=says):
        check_workload(format, payload)


def test_a_time_that_is_no_number_is_refused() -> None:
    values = json.loads(QuantumTask(BELL).to_json()) | {"created_at": "yesterday"}
    with pytest.raises(InvalidTask, match="created_at"):
        check_workload(TASK, json.dumps(values).encode())


def test_too_large_a_workload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conqure.queue.workloads.MAX_WORKLOAD_BYTES", 100)
    with pytest.raises(TooLarge):
        check_workload(OPAQUE, b"x" * 101)


@given(st.binary(max_size=200), st.sampled_from(list(WorkloadFormat)))
def test_no_bytes_make_the_check_fail_otherwise_than_with_an_error_of_ours(
    payload: bytes, format: WorkloadFormat
) -> None:
    with suppress(ConqureError):
        assert set(check_workload(format, payload)) == {"n_qubits", "n_rows", "shots", "program_id"}


def test_the_results_of_tasks_come_back_as_they_were() -> None:
    tasks = [QuantumTask(BELL, device_id="ion0", shots=n) for n in (5, 6)]
    results = [result_of(task) for task in tasks]
    assert read_results(results_payload(TASK, results[:1]), TASK) == results[0]
    assert read_results(results_payload(TASKS, results), TASKS) == results


def test_opaque_bytes_reach_the_device_untouched_and_its_bytes_come_back() -> None:
    (task,) = read_tasks(OPAQUE, b"\x00\x01\xff", **FOR)
    assert (task.program, task.language, task.shots, task.task_id) == (b"\x00\x01\xff", "opaque", 1, "work")
    raw = result_of(task, metadata={RAW_RESULTS: base64.b64encode(b"\xff\x00").decode()})
    assert results_payload(OPAQUE, [raw]) == b"\xff\x00"
    assert read_results(results_payload(OPAQUE, [result_of(task)])) == result_of(task)
    with pytest.raises(DeviceError, match="base64"):
        results_payload(OPAQUE, [result_of(task, metadata={RAW_RESULTS: "%"})])


def test_a_dax_program_comes_back_as_the_rows_that_it_stored() -> None:
    text = to_dax(gates(2, ["x", [0]]), shots=30).encode()
    assert check_workload(DAX, text) == {
        "n_qubits": 2,
        "n_rows": 1,
        "shots": 30,
        "program_id": program_id("dax", text.decode()),
    }
    (task,) = read_tasks(DAX, text, device_id="sv0", priority=Priority.LOW, work_id="work")
    assert (task.language, task.shots) == ("dax", 30)
    held = HeldDevice(QPU("sv0", "statevector", 3))
    raw = read_results(results_payload(DAX, [held.run(task)], text), DAX)
    held.close()
    assert isinstance(raw, ResultFile)
    values = [value for row in raw.json() for value in row]
    assert len(values) == 60
    assert sum(values) == 30


def test_a_dax_program_that_only_a_machine_can_read_is_accepted() -> None:
    text = b"from dax.program import *\nclass Mine(DaxProgram, Experiment):\n    pass\n"
    assert check_workload(DAX, text)["n_qubits"] == 0
    (task,) = read_tasks(DAX, text, **FOR)
    assert read_results(results_payload(DAX, [result_of(task)], text)) == result_of(task)
