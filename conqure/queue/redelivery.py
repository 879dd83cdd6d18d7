"""Works whose attempt ended without results: given out again a few times, then ended, so that each comes to an end."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from qpu_executors.errors import UnknownWork, WorkConflict, WorkLost

from .store import Store
from .work import WorkRecord, WorkStatus

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt ended without results; see `conqure.queue.outcome.Outcome`.

    Attributes:
        kind, message: of the error, "" if all that is known is that the work's holder is gone.
        transient: the same work may succeed when it is given out again.
        canceled: it ended because its owner wanted that.
    """

    kind: str
    message: str
    transient: bool = False
    canceled: bool = False


LOST = Fault("", "", transient=True)


def after_fault(work: WorkRecord, fault: Fault, max_attempts: int) -> tuple[WorkStatus, dict[str, Any]]:
    """What becomes of a work whose present attempt ended without results: its next status, and what its record says.

    * CANCELED if its owner ended it; also if its owner wants it to end and the fault is a passing one.
    * ERROR if the fault does not pass, if nobody else can run the work (it was recorded, not queued), and after
      ``max_attempts``.
    * Else READY: it is given out again.

    The only place where this is decided: for works of lost holders (`redeliver`), of dispatchers and of devices.

    Args:
        work: as it is in the store now, with the attempt that ended as its last.
    """
    said = _error(fault.message, fault.kind)
    if fault.canceled:
        return WorkStatus.CANCELED, said
    if not fault.transient:
        return WorkStatus.ERROR, said
    if work.source != "queue":
        return WorkStatus.ERROR, _error("the program that recorded it is gone.", WorkLost.kind)
    if work.cancel_requested:
        return WorkStatus.CANCELED, _error("canceled by its owner while it ran; it was not run again.", "")
    if work.attempts >= max_attempts:
        why = fault.message or f"{work.claimed_by!r} had it and is gone; nobody knows whether it ran."
        text = f"given up after {work.attempts} attempts: {why}"
        return WorkStatus.ERROR, _error(text, fault.kind or WorkLost.kind)
    return WorkStatus.READY, said


def recover_expired(store: Store, now: float, max_attempts: int = MAX_ATTEMPTS) -> list[WorkRecord]:
    """Redeliver the works whose lease is over; returns them as they are now. Any number of processes may do this."""
    return [moved for work in store.expired(now) for moved in redeliver(store, work, now, max_attempts)]


def redeliver(store: Store, work: WorkRecord, now: float, max_attempts: int = MAX_ATTEMPTS) -> list[WorkRecord]:
    """Let a work that ran for somebody who is gone be READY again, or end (`after_fault`); returns it if it moved."""
    status, said = after_fault(work, LOST, max_attempts)
    with contextlib.suppress(WorkConflict, UnknownWork):  # somebody was quicker
        return [store.move(work.work_id, status, now, claim=(work.claimed_by, work.attempts), **said)]
    return []


def _error(text: str, kind: str) -> dict[str, Any]:
    return {"error": text, "error_kind": kind}
