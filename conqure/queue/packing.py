"""What `create_work` is given, as the bytes that are kept and their format."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidTask, InvalidWork, TooLarge

from .work import MAX_WORKLOAD_BYTES, WorkloadFormat

if TYPE_CHECKING:
    from qpu_executors.records import Priority, QuantumTask

_QPY, _CIRCUIT_FILES = b"QISKIT", (".qasm", ".qasm3", ".json", ".qpy", ".py", ".dax", ".txt")
_DAX = re.compile(r"^class\s+\w+\s*\([^)]*\bDaxProgram\b", re.MULTILINE)
_CIRCUIT = re.compile(r'^\s*(OPENQASM\s+\d|\{\s*"gates"\s*:)', re.MULTILINE)
_TASK = re.compile(r'\s*(\[\s*)?\{\s*"conqure"\s*:\s*\d+\s*,\s*"is"\s*:\s*"task"')
_CHOICES = (
    "Give a QuantumCircuit, OpenQASM text, a gates program, a PennyLane tape, a QuantumTask, a list of these, "
    "DAX text, a path, an open binary file, or bytes that the device understands."
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A workload on its way into the queue."""

    payload: bytes
    format: WorkloadFormat
    device_id: str


def pack(
    workload: Any, device_id: str | None, priority: Priority, *, format: str | None = None, **settings: Any
) -> Packed:
    """Bytes and format of a workload; files are read, rewound first, and closed.

    Args:
        device_id: None for what the tasks say themselves, else any.
        format: the format if it shall not be found out; ``opaque`` hands the bytes to the device as they are.
        settings: shots, parameter_values, seed: as `as_task` takes them; None where nothing is said.

    Raises:
        InvalidWork, InvalidTask: it cannot be read, or the settings do not go with it; TooLarge.

    >>> pack('OPENQASM 2.0; …', "ion0", Priority.LOW, shots=100).format
    <WorkloadFormat.TASK: 'task'>
    """
    content = _content(workload)
    wanted = _format(format) or _found_format(content)
    if wanted in (WorkloadFormat.TASK, WorkloadFormat.TASKS):
        packed = _pack_tasks(content, wanted, device_id, priority, settings)
    else:
        _refuse(settings, wanted)
        packed = Packed(_bytes(content), wanted, device_id or "any")
    if len(packed.payload) > MAX_WORKLOAD_BYTES:
        raise TooLarge(
            f"the workload has {len(packed.payload) / 2**20:.0f} MiB, the queue takes {MAX_WORKLOAD_BYTES >> 20} MiB. "
            "Make several works of it."
        )
    if not packed.payload:
        raise InvalidWork(f"the workload is empty. {_CHOICES}")
    return packed


def _content(workload: Any) -> Any:
    """The workload itself, where a path or an open file stands for it."""
    if workload is None:
        raise InvalidWork(f"create_work was given no workload. {_CHOICES}")
    if hasattr(workload, "read") and hasattr(workload, "seek"):
        with workload:
            workload.seek(0)
            return _text(workload.read())
    if isinstance(workload, Path) or (isinstance(workload, str) and _is_file(workload)):
        try:
            return _text(Path(workload).read_bytes())
        except OSError as error:
            raise InvalidWork(f"{workload} cannot be read: {error.strerror}.") from error
    if isinstance(workload, str) and "\n" not in workload and workload.endswith(_CIRCUIT_FILES):
        raise InvalidWork(f"there is no file {workload!r}. If this is the workload itself, say format='opaque'.")
    return _text(bytes(workload)) if isinstance(workload, (bytes, bytearray, memoryview)) else workload


def _is_file(text: str) -> bool:
    try:
        return len(text) < 4096 and "\n" not in text and Path(text).is_file()
    except (OSError, ValueError):  # what no path can be
        return False


def _text(content: str | bytes) -> str | bytes:
    """Text where the bytes are text that says what it is; all other bytes stay as they are."""
    if isinstance(content, str):
        return content
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return text if _found_format(text) is not WorkloadFormat.OPAQUE else content


def _format(format: str | None) -> WorkloadFormat | None:
    try:
        return None if format is None else WorkloadFormat(str(format).lower())
    except ValueError:
        raise InvalidWork(f"format must be one of {', '.join(WorkloadFormat)}, not {format!r}.") from None


def _found_format(content: Any) -> WorkloadFormat:
    if isinstance(content, bytes):
        return WorkloadFormat.TASK if content.startswith(_QPY) else WorkloadFormat.OPAQUE
    if isinstance(content, str):
        if found := _TASK.match(content):
            return WorkloadFormat.TASKS if found[1] else WorkloadFormat.TASK
        if _DAX.search(content):
            return WorkloadFormat.DAX
        return WorkloadFormat.TASK if _CIRCUIT.search(content[:10_000]) else WorkloadFormat.OPAQUE
    return WorkloadFormat.TASKS if isinstance(content, (list, tuple)) else WorkloadFormat.TASK


def _pack_tasks(
    content: Any, format: WorkloadFormat, device_id: str | None, priority: Priority, settings: dict[str, Any]
) -> Packed:
    given = _parts(content, format)
    tasks = [_task(part, settings) for part in given]
    device_id = device_id or _common_device(tasks)
    tasks = [task.replace(device_id=device_id, priority=priority) for task in tasks]
    texts = [task.to_json() for task in tasks]
    text = texts[0] if format is WorkloadFormat.TASK else f"[{','.join(texts)}]"
    return Packed(text.encode(), format, device_id)


def _parts(content: Any, format: WorkloadFormat) -> Sequence[Any]:
    """The circuits and tasks of one workload."""
    if format is WorkloadFormat.TASK:
        return [content]
    if isinstance(content, (str, bytes)):
        try:
            content = [json.dumps(part) for part in json.loads(content)]
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidWork(f"a workload of format tasks is a JSON array of tasks: {str(error)[:200]}") from None
    if not isinstance(content, (list, tuple)) or not content:
        raise InvalidWork("a list of circuits or tasks must have at least one.")
    return content


def _task(part: Any, settings: dict[str, Any]) -> QuantumTask:
    from qpu_executors.records import QuantumTask
    from qpu_executors.translation import as_task

    if isinstance(part, str) and _TASK.match(part):
        part = QuantumTask.from_json(part)
    try:
        return as_task(part, **settings)
    except InvalidTask as error:
        if "is no circuit" not in str(error):
            raise
        raise InvalidWork(f"{error} {_CHOICES}") from error


def _common_device(tasks: Sequence[QuantumTask]) -> str:
    named = sorted({task.device_id for task in tasks})
    if len(named) > 1:
        raise InvalidWork(
            f"the tasks are for different devices: {', '.join(named)}. A work goes to one: say device_id, or make "
            "several works."
        )
    return named[0]


def _refuse(settings: dict[str, Any], format: WorkloadFormat) -> None:
    if said := [name for name, value in settings.items() if value is not None]:
        raise InvalidWork(
            f"{', '.join(said)}: only the device knows these of a workload of format {format}; they belong inside it. "
            "Was a circuit meant? OpenQASM text begins with 'OPENQASM 2.0;' or 'OPENQASM 3.0;'."
        )


def _bytes(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes):
        return content
    raise InvalidWork(f"{type(content).__name__} is neither text nor bytes. {_CHOICES}")
