"""`Outcome`: what became of one attempt to run a work on a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qpu_executors.errors import ConqureError, WorkCanceled

from .work import WorkRecord


@dataclass(frozen=True, slots=True)
class Outcome:
    """It has results (kept beside it), or it ended with a fault, or because its owner wanted it to.

    Attributes:
        attempt: which one, as the queue counted when it gave the work out; an answer to an older one is refused.
        kind, message: of the error; "" if there are results.
        transient: the same work may succeed when it is given out again.
        run_s: seconds that the QPU ran it, whatever came of that.
    """

    work_id: str
    attempt: int
    kind: str = ""
    message: str = ""
    transient: bool = False
    canceled: bool = False
    ran_on: str = ""
    slurm_job_id: str = ""
    run_s: float = 0.0

    @property
    def is_done(self) -> bool:
        return not self.kind

    @classmethod
    def of_error(cls, work: WorkRecord, error: BaseException) -> Outcome:
        transient = isinstance(error, ConqureError) and error.transient
        kind = error.kind if isinstance(error, ConqureError) else "device_error"
        text = str(error) if isinstance(error, ConqureError) else f"{type(error).__name__}: {error}"
        canceled = isinstance(error, WorkCanceled)
        return cls(work.work_id, work.attempts, kind, text, transient, canceled)

    def fault(self) -> dict[str, Any]:
        """As the queue is told."""
        return {name: getattr(self, name) for name in ("attempt", "kind", "message", "transient", "canceled")}

    def describe(self) -> dict[str, Any]:
        return asdict(self)
