"""The noun of the cloud queue: a work, and how its status may change.

A `WorkRecord` is one entry of the queue: who asked for what, when, and what became of it. It is a frozen record without
payloads: the workload and its results are kept beside it, each known by the hash of its content (`Store.payload`).
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from qpu_executors.errors import InvalidWork, WorkConflict
from qpu_executors.records import Priority

MAX_WORKLOAD_BYTES = 64 * 2**20
MAX_ERROR_TEXT = 4000  # characters; a longer text is cut in the middle


class WorkStatus(StrEnum):
    """AWS's seven states. A work goes forward only, except for the redelivery of one that was lost while it ran."""

    CREATED = "CREATED"  # the record is there, its workload is not yet uploaded
    READY = "READY"  # waits for its QPU
    EXECUTING = "EXECUTING"  # somebody has claimed it
    UPLOADING = "UPLOADING"  # it has run; its results are on their way
    DONE = "DONE"
    CANCELED = "CANCELED"
    ERROR = "ERROR"

    @property
    def is_final(self) -> bool:
        return self in FINAL

    def may_become(self, status: WorkStatus) -> bool:
        return status in _NEXT[self]


FINAL = frozenset({WorkStatus.DONE, WorkStatus.CANCELED, WorkStatus.ERROR})
_ENDS = {WorkStatus.CANCELED, WorkStatus.ERROR}
_NEXT: dict[WorkStatus, set[WorkStatus]] = {
    WorkStatus.CREATED: {WorkStatus.READY, *_ENDS},
    WorkStatus.READY: {WorkStatus.EXECUTING, *_ENDS},
    # Back to READY is the redelivery: the dispatcher or the device that had it is gone, or the fault was a passing one.
    WorkStatus.EXECUTING: {WorkStatus.UPLOADING, WorkStatus.DONE, WorkStatus.READY, *_ENDS},
    WorkStatus.UPLOADING: {WorkStatus.DONE, WorkStatus.READY, *_ENDS},
    WorkStatus.DONE: set(),
    WorkStatus.CANCELED: set(),
    WorkStatus.ERROR: set(),
}


class WorkloadFormat(StrEnum):
    """What the bytes of a workload are, and with that what the bytes of its results are."""

    TASK = "task"  # a QuantumTask as JSON -> a QuantumResult as JSON
    TASKS = "tasks"  # a JSON array of QuantumTasks -> a JSON array of QuantumResults
    DAX = "dax"  # the text of a DAX program -> its raw measurements, rows as JSON
    OPAQUE = "opaque"  # what only the device understands -> whatever it gives


def new_work_id() -> str:
    return str(uuid.uuid4())


def content_hash(payload: bytes) -> str:
    """The name of a payload: the SHA-256 of its bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """One work. Times are seconds since the epoch, UTC.

    Attributes:
        work_id: a UUID; whoever creates the work may choose it, so that a repeated request makes no second one.
        owner: the user it belongs to: an e-mail address, or the login name where nobody logs in.
        device_id: the QPU it is for, a name or a selector; it is also the line in which it waits.
        workload, workload_size: hash and bytes of what the user handed in; "" until it is uploaded.
        results, results_size: hash and bytes of what came back; "" until then.
        name: what its owner calls it.
        n_qubits, n_rows, shots: its size where the format tells it, else 0.
        program_id: hash of the program alone; works that share it differ in their parameter values only.
        loop, convergence: the iterative run that it belongs to, and how close that is to its end: 0 (just begun) to
            1 (converged), as its owner says. Only ordering policies read them.
        source: what made it: ``queue``, or for a recorded task the engine it ran on (``parsl``, ``dask``, ``openmpq``,
            ``threads``). Only works of the queue are ever claimed.
        ready_at, started_at, ended_at: when it became READY, EXECUTING (the last time), and final; None until then.
        attempts: how many times it was claimed; with ``claimed_by`` it tells a late answer from the current one.
        claimed_by: the dispatcher or the device that has it or had it last.
        lease_until: until when the claim holds without being renewed; None for ever.
        cancel_requested: its owner wants it to end while it runs.
        ran_on, engine, slurm_job_id: the QPU, the engine and the job of Slurm that ran it.
        error, error_kind: why it ended in ERROR (or CANCELED), for people and for programs.

    >>> WorkRecord(new_work_id(), "ada@lab.example", "ion0").status
    <WorkStatus.CREATED: 'CREATED'>
    """

    work_id: str
    owner: str
    device_id: str = "any"
    priority: Priority = Priority.LOW
    status: WorkStatus = WorkStatus.CREATED
    format: WorkloadFormat = WorkloadFormat.OPAQUE
    workload: str = ""
    workload_size: int = 0
    results: str = ""
    results_size: int = 0
    name: str = ""
    n_qubits: int = 0
    n_rows: int = 0
    shots: int = 0
    program_id: str = ""
    loop: str = ""
    convergence: float | None = None
    source: str = "queue"
    created_at: float = 0.0
    ready_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    attempts: int = 0
    claimed_by: str = ""
    lease_until: float | None = None
    cancel_requested: bool = False
    ran_on: str = ""
    engine: str = ""
    slurm_job_id: str = ""
    error: str = ""
    error_kind: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # frozen: what came as text from a store or a wire goes in past the guard
        set_(self, "priority", _choice("priority", Priority, self.priority))
        set_(self, "status", _choice("status", WorkStatus, self.status))
        set_(self, "format", _choice("format", WorkloadFormat, self.format))
        set_(self, "work_id", _uuid(self.work_id))
        for name, longest in _TEXTS.items():
            _check_text(name, getattr(self, name), longest)
        if self.convergence is not None and not (math.isfinite(self.convergence) and 0 <= self.convergence <= 1):
            raise InvalidWork(f"convergence must be from 0 (just begun) to 1 (converged), not {self.convergence!r}.")
        if len(self.error) > MAX_ERROR_TEXT:
            half = MAX_ERROR_TEXT // 2
            set_(self, "error", f"{self.error[:half]}\n[…]\n{self.error[-half:]}")

    def replace(self, **changes: Any) -> WorkRecord:
        """A copy with some fields changed; nothing is checked about the status (see `become`)."""
        return replace(self, **changes)

    def become(self, status: WorkStatus, now: float, **facts: Any) -> WorkRecord:
        """The record in its next status, with the times and the claim that go with it.

        Raises:
            WorkConflict: the status never follows the present one; the text says what does.
        """
        if not self.status.may_become(status):
            then = ", ".join(sorted(_NEXT[self.status])) or "nothing: it is final"
            raise WorkConflict(
                f"work {self.work_id} is {self.status} and cannot become {status}. What may follow: {then}."
            )
        if status is WorkStatus.READY:
            # A redelivered work keeps its place: first come, first served by the first time that it was ready.
            facts = {"ready_at": self.ready_at or now, "lease_until": None, "claimed_by": ""} | facts
        elif status is WorkStatus.EXECUTING:
            facts = {"started_at": now, "attempts": self.attempts + 1, "error": "", "error_kind": ""} | facts
        elif status in FINAL:
            facts = {"ended_at": now, "lease_until": None} | facts
        return replace(self, status=status, **facts)

    def describe(self) -> dict[str, Any]:
        """Plain JSON values, as the service sends them."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> WorkRecord:
        """Read what `describe` gave; fields of a newer version are left out, so that old clients go on working."""
        return cls(**{name: value for name, value in values.items() if name in _FIELDS})

    def to_json(self) -> str:
        return json.dumps(self.describe(), separators=(",", ":"), allow_nan=False)


_FIELDS = {f.name for f in fields(WorkRecord)}
_TEXTS = {"owner": 256, "device_id": 256, "name": 200, "loop": 200, "source": 32, "claimed_by": 256, "ran_on": 256}


def _choice(name: str, kind: Any, value: object) -> Any:
    try:
        return kind(str(value))
    except ValueError:
        raise InvalidWork(f"{name} must be one of {', '.join(kind)}, not {str(value)[:40]!r}.") from None


def _uuid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise InvalidWork(f"work_id must be a UUID, not {str(value)[:60]!r}. Leave it out to get one.") from None


def _check_text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InvalidWork(f"{name} must be at most {longest} printable characters, not {str(value)[:40]!r}.")
