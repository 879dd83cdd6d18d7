"""What `get_results` gives: records for tasks, and for everything else a file that is also an array."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidTask, WorkCanceled, WorkFailed, WorkNotDone, error_of_kind

from .work import WorkloadFormat, WorkRecord, WorkStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray


_RESULT, _NPY = b'{"conqure":1,"is":"result"', b"\x93NUMPY"


class ResultFile(io.BytesIO):
    """The bytes of a result: a binary file at its start, a context manager, and an array.

    As an array: rows of JSON become an array of numbers, a ``.npy`` file what it holds (never pickled objects),
    anything else its bytes as ``uint8``.

    >>> numpy.asarray(ResultFile(b"[[0, 1], [1, 1]]")).shape
    (2, 2)
    """

    def json(self) -> Any:
        """The value, where the bytes are JSON text; ValueError otherwise."""
        return json.loads(self.getvalue())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy

        found = self._array()
        return found if dtype is None else numpy.asarray(found, dtype=dtype)

    def _array(self) -> NDArray[Any]:
        import numpy

        content = self.getvalue()
        if content.startswith(_NPY):
            found: NDArray[Any] = numpy.load(io.BytesIO(content), allow_pickle=False)
            return found
        if content.lstrip()[:1] == b"[":
            try:
                array = numpy.asarray(json.loads(content))
            except (ValueError, RecursionError):  # not JSON after all, or rows of different lengths
                array = numpy.empty(0, dtype=object)
            if array.dtype.kind in "biuf":
                return array
        return numpy.frombuffer(content, dtype=numpy.uint8)


def read_results(payload: bytes, format: WorkloadFormat | None = None) -> Any:
    """What a user gets for these bytes: a `QuantumResult`, a list of them, or a `ResultFile`.

    Args:
        format: of the work's workload; None to go by the bytes themselves.
    """
    from qpu_executors.records import QuantumResult

    if format is WorkloadFormat.TASK or (format is None and payload.startswith(_RESULT)):
        return QuantumResult.from_json(payload)
    if format is WorkloadFormat.TASKS or (format is None and payload.startswith(b"[" + _RESULT)):
        try:
            return [QuantumResult.from_json(json.dumps(part)) for part in json.loads(payload)]
        except ValueError as error:
            raise InvalidTask(f"the results of this work are not results of tasks: {error}") from error
    return ResultFile(payload)


def check_done(work: WorkRecord) -> None:
    """`WorkNotDone` unless there are results to get."""
    if work.status is WorkStatus.DONE:
        return
    why = f": {work.error_kind} {work.error}".rstrip() if work.status.is_final else ""
    then = "" if work.status.is_final else f" Wait for it: client.wait_until_done({work.work_id!r})."
    raise WorkNotDone(
        f"get_results error: workload is not in DONE status. Work {work.work_id} is {work.status}{why}.{then}"
    )


def check_ended_well(work: WorkRecord) -> None:
    """`WorkFailed` or `WorkCanceled`, with the reason, if a work has ended otherwise than DONE."""
    reason = work.error or "no reason was given"
    if work.status is WorkStatus.CANCELED:
        raise WorkCanceled(f"work {work.work_id} was canceled: {reason}")
    if work.status is WorkStatus.ERROR:
        where = f" on {work.ran_on}" if work.ran_on else ""
        times = f" after {work.attempts} attempts" if work.attempts > 1 else ""
        cause = error_of_kind(work.error_kind, reason) if work.error_kind else None
        raise WorkFailed(f"work {work.work_id} ended in ERROR{where}{times}: {reason}") from cause
