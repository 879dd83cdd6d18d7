"""What becomes of works whose holder is gone, or that met a passing fault."""

from __future__ import annotations

import contextlib

from qpu_executors.errors import ConqureError, UnknownWork, WorkConflict, WorkLost

from .store import Store
from .work import WorkRecord, WorkStatus

MAX_ATTEMPTS = 3


def again_or_error(work: WorkRecord, error: ConqureError, max_attempts: int = MAX_ATTEMPTS) -> WorkStatus:
    """READY while the fault may pass and attempts are left, unless its owner wants it to end; else how it ends."""
    if work.cancel_requested:
        return WorkStatus.CANCELED
    return WorkStatus.READY if error.transient and work.attempts < max_attempts else WorkStatus.ERROR


def redeliver(store: Store, work: WorkRecord, now: float, max_attempts: int = MAX_ATTEMPTS) -> WorkRecord | None:
    """Give a work out again whose holder is gone, or end it; None if somebody else did that at the same moment."""
    if work.source != "queue":
        error = WorkLost("the program that recorded this task is gone; nobody knows what became of it.")
        status = WorkStatus.ERROR
    else:
        error = WorkLost(
            f"{work.claimed_by} had this work and is gone. Attempt {work.attempts} of {max_attempts}; the QPU may have "
            "run it."
        )
        status = again_or_error(work, error, max_attempts)
    with contextlib.suppress(WorkConflict, UnknownWork):
        return store.move(
            work.work_id,
            status,
            now,
            claim=(work.claimed_by, work.attempts),
            error=str(error),
            error_kind=error.kind,
        )
    return None
