"""What comes back: records for tasks, else a file that is an array too."""

import io

import numpy
import pytest

from conqure import QuantumResult, WorkFailed, WorkNotDone, WorkRecord, WorkStatus
from conqure.queue.results import ResultFile, check_done, check_ended_well, read_results
from conqure.queue.work import WorkloadFormat, new_work_id

RESULT = QuantumResult("t", "sv0", ({"00": 3, "11": 4},), 7, 0.0, 0.1, 1.0, 1.1)


def work(**facts: object) -> WorkRecord:
    return WorkRecord(new_work_id(), "ada", **facts)


def test_results_of_tasks_are_records() -> None:
    one = RESULT.to_json().encode()
    assert read_results(one) == RESULT == read_results(one, WorkloadFormat.TASK)
    assert read_results(b"[" + one + b"," + one + b"]") == [RESULT, RESULT]
    assert read_results(b"[" + one + b"]", WorkloadFormat.TASKS) == [RESULT]


def test_what_only_looks_like_a_result_stays_a_file_where_the_format_is_known() -> None:
    assert isinstance(read_results(RESULT.to_json().encode(), WorkloadFormat.OPAQUE), ResultFile)


def test_anything_else_is_an_open_binary_file_at_its_start() -> None:
    with read_results(b"\x89HDF\r\n") as file:
        assert (file.tell(), file.read()) == (0, b"\x89HDF\r\n")
    assert file.closed


def test_rows_of_json_are_an_array() -> None:
    file = read_results(b"[[0, 1], [1, 1]]")
    assert numpy.asarray(file).tolist() == [[0, 1], [1, 1]] == file.json()
    assert numpy.asarray(file, dtype=float).dtype == float
    assert numpy.array(file).flatten().reshape((2, -1)).shape == (2, 2)


def test_an_npy_file_is_its_array_but_pickles_are_not_opened() -> None:
    stream = io.BytesIO()
    numpy.save(stream, numpy.arange(6).reshape(2, 3))
    assert numpy.asarray(ResultFile(stream.getvalue())).shape == (2, 3)
    evil = io.BytesIO()
    numpy.save(evil, numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        numpy.asarray(ResultFile(evil.getvalue()))


@pytest.mark.parametrize("content", [b"\x00\x01\xff", b"[[1], [1, 2]]", b"[not json", b'["text"]', b""])
def test_other_bytes_are_an_array_of_bytes(content: bytes) -> None:
    array = numpy.asarray(ResultFile(content))
    assert (array.dtype, array.tobytes()) == (numpy.uint8, content)


def test_there_are_no_results_before_a_work_is_done() -> None:
    with pytest.raises(RuntimeError, match="get_results error: workload is not in DONE status") as caught:
        check_done(work(status="READY"))
    assert isinstance(caught.value, WorkNotDone)
    assert "wait_until_done" in str(caught.value)
    with pytest.raises(WorkNotDone, match="is ERROR: device_fault the laser is off"):
        check_done(work(status="ERROR", error="the laser is off", error_kind="device_fault"))
    check_done(work(status="DONE"))


def test_why_a_work_failed_is_said_and_kept_as_the_cause() -> None:
    failed = work(status=WorkStatus.ERROR, error="no qubit 7", error_kind="invalid_task", ran_on="sv0", attempts=3)
    with pytest.raises(WorkFailed, match="on sv0 after 3 attempts: no qubit 7") as caught:
        check_ended_well(failed)
    assert type(caught.value.__cause__).__name__ == "InvalidTask"
