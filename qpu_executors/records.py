"""What passes the narrow waist: `QuantumTask` in, `QuantumResult` out.

Both are frozen records of text and numbers. They pickle small, and travel as JSON with a wire version where the
other side is not Python.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import itertools
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .errors import InvalidTask

WIRE_VERSION = 1
LANGUAGES = ("gates", "qpy", "openqasm2", "openqasm3", "dax")
MAX_PROGRAM_BYTES = 16 * 2**20
MAX_SHOTS = 10**9  # no QPU of today takes more in one go; a device states its own, lower limit
MAX_VALUES = 10**7  # parameter values in one task, 80 MB

Rows = tuple[tuple[float, ...], ...]


class Priority(StrEnum):
    """How urgent a task is; what waits is served HIGH before MEDIUM before LOW, with linear aging."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"

    @property
    def rank(self) -> int:
        """0 for HIGH, 1 for MEDIUM, 2 for LOW: the lower goes first."""
        return _RANKS[self]


_RANKS = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


_numbered: ContextVar[Iterator[str] | None] = ContextVar("ids of the present call", default=None)


@contextlib.contextmanager
def ids_of_call(call_id: str) -> Iterator[None]:
    """Tasks that are made in this block, in this thread, get ids that follow from the call's id and their order.

    An engine that repeats a call of a function repeats its tasks under their names; so they can be found where the
    first attempt submitted them (`submissions`). "" changes nothing.

    >>> with ids_of_call("call-1"):
    ...     QuantumTask(program).task_id
    'cba2dd…'
    """
    token = _numbered.set(_ids(call_id)) if call_id else None
    try:
        yield
    finally:
        if token is not None:
            _numbered.reset(token)


def _ids(call_id: str) -> Iterator[str]:
    numbered = (f"{call_id}/{number}" for number in itertools.count())
    return (hashlib.sha256(text.encode()).hexdigest()[:32] for text in numbered)


def _new_id() -> str:
    ids = _numbered.get()
    return os.urandom(16).hex() if ids is None else next(ids)


@dataclass(frozen=True, slots=True)
class QuantumTask:
    """One program, run once per row of parameter values, each row ``shots`` times.

    Args:
        program: text or bytes the device understands (at most 16 MiB).
        language: `gates`, `qpy`, `openqasm2`, `openqasm3`, or what a device speaks itself.
        device_id: a name (``"ion0"``) or a selector (``"any"``, ``"tag:ion"``, ``"qubits>=7"``, joined by commas).
        shots: repetitions of each row, at least 1.
        parameter_values: shape (n_rows, n_parameters), radians, in the order of the program's parameters. One flat
            sequence of numbers is one row. The default is one row without parameters.
        seed: for simulators: the same seed gives the same counts. ``None`` draws afresh.
        priority: HIGH, MEDIUM or LOW.
        task_id: unique text; made up when not given.
        created_at: seconds since the epoch; `QuantumResult.queue_s` counts from here.

    Raises:
        InvalidTask: a value is out of range; the text says which and what is allowed.

    >>> QuantumTask('{"gates":1,...}', shots=100, parameter_values=[0.1, 0.2]).parameter_values
    ((0.1, 0.2),)
    """

    program: str | bytes
    language: str = "gates"
    device_id: str = "any"
    shots: int = 1024
    parameter_values: Rows = ((),)
    seed: int | None = None
    priority: Priority = Priority.MEDIUM
    task_id: str = field(default_factory=_new_id)
    created_at: float = field(default_factory=time.time)

    if TYPE_CHECKING:  # what may be given is wider than what is kept

        def __init__(
            self,
            program: str | bytes,
            language: str = "gates",
            device_id: str = "any",
            shots: int = 1024,
            parameter_values: Any = ((),),
            seed: int | None = None,
            priority: Priority | str = Priority.MEDIUM,
            task_id: str = ...,
            created_at: float = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        _check_program(self.program, self.language)
        _check_text("device_id", self.device_id)
        _check_text("task_id", self.task_id)
        set_ = object.__setattr__  # frozen: normalised values go in past the guard
        set_(self, "shots", _whole("shots", self.shots, 1, MAX_SHOTS))
        if self.seed is not None:
            set_(self, "seed", _whole("seed", self.seed, 0, 2**63 - 1))
        set_(self, "parameter_values", _rows(self.parameter_values))
        set_(self, "priority", _priority(self.priority))

    @property
    def n_rows(self) -> int:
        return len(self.parameter_values)

    def replace(self, **changes: Any) -> QuantumTask:
        """A copy with some fields changed, checked like a new task."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """One line of JSON with the wire version; `bytes` programs travel as base64."""
        return _dump(self, "task")

    @classmethod
    def from_json(cls, text: str | bytes) -> QuantumTask:
        """Read what `to_json` wrote; `InvalidTask` for anything else."""
        values = _load(text, "task", cls)
        if isinstance(values.get("program"), Mapping):
            values["program"] = _unbase64(values["program"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class QuantumResult:
    """What a device gave for one task.

    Attributes:
        counts: one dict per row of the task: bit string (Qiskit's order: bit 0 rightmost, registers separated by a
            space) to how often it was seen. States never seen are absent; each row sums to ``shots``.
        queue_s, run_s: seconds from the task's creation until it started, and on the device.
        started_at, ended_at: seconds since the epoch, by the clock of the machine that ran it.
        metadata: what the device and the engine had to add (plain JSON values).
    """

    task_id: str
    device_id: str
    counts: tuple[dict[str, int], ...]
    shots: int
    queue_s: float
    run_s: float
    started_at: float
    ended_at: float
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON with the wire version."""
        return _dump(self, "result")

    @classmethod
    def from_json(cls, text: str | bytes) -> QuantumResult:
        """Read what `to_json` wrote; `InvalidTask` for anything else."""
        values = _load(text, "result", cls)
        try:
            values["counts"] = tuple({str(bits): int(n) for bits, n in row.items()} for row in values["counts"])
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise InvalidTask("a result's counts must be a list of objects: bit string to whole number.") from error
        return cls(**values)


def _check_program(program: object, language: object) -> None:
    if not isinstance(program, (str, bytes)):
        raise InvalidTask(
            f"program must be text or bytes, not {type(program).__name__}. "
            "For a circuit object use qpu_executors.as_task(circuit, shots=…)."
        )
    if not program:
        raise InvalidTask("program is empty. Give the text of a circuit, or use qpu_executors.as_task(circuit).")
    if len(program) > MAX_PROGRAM_BYTES:
        raise InvalidTask(
            f"program has {len(program) / 2**20:.0f} MiB, the limit is {MAX_PROGRAM_BYTES // 2**20} MiB. "
            "Use parameters and rows of parameter_values instead of one long program."
        )
    _check_text("language", language)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise InvalidTask(f"{name} must be 1 to 256 printable characters, not {str(value)[:40]!r}.")


def _whole(name: str, value: object, low: int, high: int) -> int:
    try:
        number = value.__index__()  # type: ignore[attr-defined]  # ints and NumPy integers, not floats
    except AttributeError:
        raise InvalidTask(f"{name} must be a whole number, not {value!r}.") from None
    if isinstance(value, bool) or not low <= number <= high:
        raise InvalidTask(f"{name} must be from {low} to {high:,}, not {value!r}.")
    return int(number)


def _priority(value: object) -> Priority:
    try:
        return Priority(str(value))
    except ValueError:
        raise InvalidTask(f"priority must be one of HIGH, MEDIUM, LOW, not {value!r}.") from None


def _rows(values: Any) -> Rows:
    """Any array-like of shape (n_rows, n_parameters) or (n_parameters,) as nested tuples of finite floats."""
    if hasattr(values, "tolist"):  # NumPy, PennyLane and Torch arrays
        values = values.tolist()
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise InvalidTask(f"parameter_values must be rows of numbers in radians, not {type(values).__name__}.")
    if len(values) == 0:
        raise InvalidTask("parameter_values has no rows. A program without parameters has one empty row: [[]].")
    if not isinstance(values[0], Sequence) and not hasattr(values[0], "tolist"):
        values = (values,)
    rows = tuple(_row(number, row) for number, row in enumerate(values))
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        lengths = sorted({len(row) for row in rows})
        raise InvalidTask(f"the rows of parameter_values differ in length: {lengths}. Give every row the same.")
    if width * len(rows) > MAX_VALUES:
        raise InvalidTask(f"parameter_values holds {width * len(rows):,} values, the limit is {MAX_VALUES:,} a task.")
    return rows


def _row(number: int, row: Any) -> tuple[float, ...]:
    try:
        floats = tuple(map(float, row.tolist() if hasattr(row, "tolist") else row))
    except (TypeError, ValueError, OverflowError):
        raise InvalidTask(f"row {number} of parameter_values is not a sequence of numbers: {str(row)[:60]}") from None
    for column, value in enumerate(floats):
        if not math.isfinite(value):
            raise InvalidTask(
                f"parameter_values[{number}][{column}] is {value}. Angles must be finite numbers, in radians."
            )
    return floats


def _dump(record: Any, what: str) -> str:
    values = {name: getattr(record, name) for name in record.__dataclass_fields__}
    if isinstance(values.get("program"), bytes):
        values["program"] = {"base64": base64.b64encode(values["program"]).decode()}
    return json.dumps({"conqure": WIRE_VERSION, "is": what, **values}, separators=(",", ":"), allow_nan=False)


def _load(text: str | bytes, what: str, record: type) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidTask(f"not JSON: {str(error)[:200]}") from None
    if not isinstance(values, dict) or values.pop("is", None) != what:
        raise InvalidTask(f'not a quantum {what}: expected an object with "is":"{what}".')
    version = values.pop("conqure", None)
    if version != WIRE_VERSION:
        raise InvalidTask(
            f"this {what} has wire version {version!r}, this CONQURE reads {WIRE_VERSION}. "
            "Use the same CONQURE release on both sides."
        )
    known = record.__dataclass_fields__  # type: ignore[attr-defined]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InvalidTask(f"a {what} has no field {unknown[0]!r}. Fields: {', '.join(known)}.")
    missing = [name for name, f in known.items() if name not in values and _is_required(f)]
    if missing:
        raise InvalidTask(f"the {what} lacks {missing[0]!r}.")
    return values


def _is_required(field_: Any) -> bool:
    from dataclasses import MISSING

    return field_.default is MISSING and field_.default_factory is MISSING


def _unbase64(program: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(program["base64"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise InvalidTask('a program of bytes travels as {"base64": "…"}.') from None
