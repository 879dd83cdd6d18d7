"""Works whose holder is gone: given out again a few times, then ended, so that each reaches a final state."""

from __future__ import annotations

import contextlib
from typing import Any

from qpu_executors.errors import UnknownWork, WorkConflict, WorkLost

from .store import Store
from .work import WorkRecord, WorkStatus

MAX_ATTEMPTS = 3


def recover_expired(store: Store, now: float, max_attempts: int = MAX_ATTEMPTS) -> list[WorkRecord]:
    """Redeliver the works whose lease is over; returns them as they are now. Any number of processes may do this."""
    return [moved for work in store.expired(now) for moved in redeliver(store, work, now, max_attempts)]


def redeliver(
    store: Store, work: WorkRecord, now: float, max_attempts: int = MAX_ATTEMPTS, *, why: str = "", kind: str = ""
) -> list[WorkRecord]:
    """Let a work be READY again that ran for somebody who is gone, or met a passing fault; returns it if it moved.

    It ends instead if its owner wanted that, if nobody else can run it, or after ``max_attempts``.
    """
    lost = WorkLost.kind
    if work.source != "queue":
        status, facts = WorkStatus.ERROR, _error("the program that recorded it is gone.", lost)
    elif work.cancel_requested:
        status, facts = WorkStatus.CANCELED, _error("canceled by its owner while it ran; it was not run again.", "")
    elif work.attempts >= max_attempts:
        text = why or f"{work.claimed_by!r} had it and is gone; nobody knows whether it ran."
        status, facts = WorkStatus.ERROR, _error(f"given up after {work.attempts} attempts: {text}", kind or lost)
    else:
        status, facts = WorkStatus.READY, _error(why, kind)
    with contextlib.suppress(WorkConflict, UnknownWork):  # somebody was quicker
        return [store.move(work.work_id, status, now, claim=(work.claimed_by, work.attempts), **facts)]
    return []


def _error(text: str, kind: str) -> dict[str, Any]:
    return {"error": text, "error_kind": kind}
