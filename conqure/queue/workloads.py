"""Between the bytes of a workload and tasks: what a work holds, what a pool is given, what its results are.

Workloads come from strangers: every size is bounded, nothing is evaluated or unpickled. QPY and opaque bytes are
carried as they are; only the device that speaks them looks inside.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qpu_executors.errors import DeviceError, InvalidTask, InvalidWork, TooLarge
from qpu_executors.records import Priority, QuantumResult, QuantumTask

from .work import MAX_WORKLOAD_BYTES, WorkloadFormat

MAX_TASKS = 10_000  # in one work
RAW_RESULTS = "results_base64"  # in a result's metadata: the device gives these bytes as the results of the work
_CACHED_PROGRAMS = 4096


def check_workload(format: WorkloadFormat, payload: bytes) -> dict[str, Any]:
    """Refuse what no device could run; the facts of a `WorkRecord`: n_qubits, n_rows, shots, program_id.

    n_qubits is 0 where only the device can tell. A work of several tasks has the largest number of qubits and of shots
    among them, the sum of their rows, and a program_id only if they share one.

    Raises:
        InvalidWork, InvalidTask: it cannot be read; the text says what is wrong. TooLarge.

    >>> check_workload(WorkloadFormat.TASK, QuantumTask(program, shots=100).to_json().encode())["shots"]
    100
    """
    _check_size(payload)
    if format is WorkloadFormat.OPAQUE:
        return _facts(0, 0, 0, program_id("opaque", payload))
    if format is WorkloadFormat.DAX:
        return _dax_facts(_text(payload))
    return facts_of(_tasks(format, payload))


def facts_of(tasks: Sequence[QuantumTask]) -> dict[str, Any]:
    """The facts of a work of these tasks, as `check_workload`; `InvalidTask` for a program that cannot be read."""
    n_qubits, n_rows, shots = max(map(_n_qubits, tasks)), sum(t.n_rows for t in tasks), max(t.shots for t in tasks)
    programs = {program_id(task.language, task.program) for task in tasks}
    return _facts(n_qubits, n_rows, shots, programs.pop() if len(programs) == 1 else "")


def read_tasks(
    format: WorkloadFormat, payload: bytes, *, device_id: str, priority: Priority, work_id: str
) -> list[QuantumTask]:
    """The tasks of a work, for the device that shall run them.

    DAX text and opaque bytes become one task of the language ``dax`` or ``opaque``, named after the work.

    Raises:
        InvalidWork, InvalidTask: as `check_workload`; also opaque bytes that are too long for a task (16 MiB).
    """
    if format in (WorkloadFormat.TASK, WorkloadFormat.TASKS):
        return [task.replace(device_id=device_id, priority=priority) for task in _tasks(format, payload)]
    program: str | bytes = _text(payload) if format is WorkloadFormat.DAX else payload
    shots = _dax_facts(program)["shots"] if isinstance(program, str) else 1
    return [QuantumTask(program, format.value, device_id, shots or 1, priority=priority, task_id=work_id)]


def named_after_work(task: QuantumTask, work_id: str, position: int) -> QuantumTask:
    """A task of a work under the name that it has each time the work is given out; so a machine that had it is asked.

    Its own name will not do: whoever hands in the same task a second time wants a second sample.
    """
    return task.replace(task_id=f"{work_id}-{position}")


def named_as_handed_in(result: QuantumResult, task: QuantumTask) -> QuantumResult:
    """The result under the name that its task had in the workload."""
    return replace(result, task_id=task.task_id)


def results_payload(format: WorkloadFormat, results: Sequence[QuantumResult], workload: bytes = b"") -> bytes:
    """The bytes that are kept as the results of a work; `conqure.queue.results.read_results` reads them.

    Args:
        results: one for each task of the work, in order.
        workload: of the work; what a DAX program measured in which order stands in its text.

    Raises:
        DeviceError: what the device gave as raw bytes is not base64.
    """
    if format is WorkloadFormat.TASKS:
        return f"[{','.join(result.to_json() for result in results)}]".encode()
    (result,) = results
    if format is not WorkloadFormat.TASK and RAW_RESULTS in result.metadata:
        try:
            return base64.b64decode(result.metadata[RAW_RESULTS], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise DeviceError(f"device {result.device_id!r}: its {RAW_RESULTS} is not base64.") from None
    if format is WorkloadFormat.DAX and (raw := _raw_rows(workload, result)) is not None:
        return json.dumps(raw, separators=(",", ":")).encode()
    return result.to_json().encode()


def program_id(language: str, program: str | bytes) -> str:
    """The hash of a program and its language: works that share it can share what a device has prepared."""
    found = hashlib.sha256(language.encode() + b"\0")
    found.update(program.encode("utf-8", "surrogatepass") if isinstance(program, str) else program)
    return found.hexdigest()


def _facts(n_qubits: int, n_rows: int, shots: int, program: str) -> dict[str, Any]:
    return {"n_qubits": n_qubits, "n_rows": n_rows, "shots": shots, "program_id": program}


def _check_size(payload: bytes) -> None:
    if not payload:
        raise InvalidWork("the workload is empty.")
    if len(payload) > MAX_WORKLOAD_BYTES:
        raise TooLarge(
            f"the workload has {len(payload) / 2**20:.0f} MiB, the queue takes {MAX_WORKLOAD_BYTES >> 20} MiB. "
            "Make several works of it."
        )


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise InvalidWork("a workload of format dax is UTF-8 text. For other bytes say format='opaque'.") from None


def _tasks(format: WorkloadFormat, payload: bytes) -> list[QuantumTask]:
    if format is WorkloadFormat.TASK:
        return [_task(payload)]
    try:
        parts = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidWork(f"a workload of format tasks is a JSON array of tasks: {str(error)[:200]}") from None
    if not isinstance(parts, list) or not 0 < len(parts) <= MAX_TASKS:
        raise InvalidWork(f"a workload of format tasks is a JSON array of 1 to {MAX_TASKS:,} tasks.")
    return [_task(json.dumps(part)) for part in parts]


def _task(text: str | bytes) -> QuantumTask:
    task = QuantumTask.from_json(text)
    created_at: object = task.created_at
    if isinstance(created_at, bool) or not isinstance(created_at, (int, float)) or not math.isfinite(created_at):
        raise InvalidTask(f"created_at must be seconds since the epoch, not {str(created_at)[:40]!r}.")
    return task if 0 <= created_at <= time.time() + 86_400 else task.replace(created_at=time.time())


_shapes: dict[str, tuple[int, int]] = {}  # (qubits, parameters) by program_id: parsing costs more than hashing


def _n_qubits(task: QuantumTask) -> int:
    """The qubits of a task, 0 if unknown; `InvalidTask` where its program and its rows do not go together."""
    if task.language != "gates":
        return 0
    if isinstance(task.program, bytes):
        raise InvalidTask("a gates program is text, not bytes.")
    n_qubits, n_parameters = _gates_shape(task.program)
    if len(task.parameter_values[0]) != n_parameters:
        raise InvalidTask(
            f"parameter_values has {len(task.parameter_values[0])} columns, the program has {n_parameters} parameters. "
            "Give one value per parameter in each row."
        )
    return n_qubits


def _gates_shape(text: str) -> tuple[int, int]:
    from qpu_executors.translation.gates import GateProgram

    known = program_id("gates", text)
    shape = _shapes.get(known)
    if shape is None:
        program = GateProgram.parse.__wrapped__(text)  # past its cache, which would keep strangers' programs in memory
        shape = program.n_qubits, len(program.parameters)
        if len(_shapes) >= _CACHED_PROGRAMS:
            _shapes.clear()
        _shapes[known] = shape
    return shape


# What generated programs say of themselves at their top. Reading a whole program takes milliseconds, and these two
# numbers are all that the queue wants of it; the machine finds out whether they are right.
_DAX_SAYS = {
    name: re.compile(rf"^\s*self\._num_{name}\s*=\s*(\d{{1,9}})\s*$", re.MULTILINE) for name in ("qubits", "iterations")
}


def _dax_facts(text: str) -> dict[str, Any]:
    """What a DAX program's text tells. One that we cannot read may still be a program for a machine that can."""
    said = [found[1] for pattern in _DAX_SAYS.values() if (found := pattern.search(text, 0, 4096))]
    n_qubits, shots = map(int, said) if len(said) == 2 else (0, 0)
    return _facts(n_qubits, 1, shots, program_id("dax", text))


def _raw_rows(workload: bytes, result: QuantumResult) -> list[list[int]] | None:
    """Counts as the rows that the program stored, sorted by outcome; None if its text does not tell which they are."""
    from qpu_executors.translation.dax import DaxProgram

    try:
        return DaxProgram.parse(_text(workload)).raw(dict(sorted(result.counts[0].items())))
    except InvalidTask:
        return None
