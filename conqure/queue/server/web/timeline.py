"""The history of a work, as the page shows it: what was, what is, what is to come."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...work import WorkRecord, WorkStatus
from .words import span


class Stage(NamedTuple):
    """One line of the history; ``at`` is in seconds since the epoch."""

    status: WorkStatus
    when: Literal["past", "now", "later"]
    at: float | None = None
    note: str = ""


def history(work: WorkRecord) -> list[Stage]:
    """The stages of a work in order; those that it did not or will not pass are left out.

    >>> [stage.when for stage in history(WorkRecord(new_work_id(), "ada"))]
    ['now', 'later', 'later', 'later']
    """
    times = {
        WorkStatus.CREATED: work.created_at,
        WorkStatus.READY: work.ready_at,
        WorkStatus.EXECUTING: None if work.status is WorkStatus.READY else work.started_at,
    }
    past = [
        Stage(status, "past", at, _note(work, status))
        for status, at in times.items()
        if at is not None and status is not work.status
    ]
    at = work.ended_at if work.status.is_final else times.get(work.status)
    return [*past, Stage(work.status, "now", at, _note(work, work.status)), *_later(work.status)]


def _later(status: WorkStatus) -> list[Stage]:
    way = [WorkStatus.CREATED, WorkStatus.READY, WorkStatus.EXECUTING, WorkStatus.DONE]
    if status.is_final:
        return []
    passed = WorkStatus.EXECUTING if status is WorkStatus.UPLOADING else status
    return [Stage(later, "later") for later in way[way.index(passed) + 1 :]]


def _note(work: WorkRecord, status: WorkStatus) -> str:
    if status is WorkStatus.READY and work.status is status and work.attempts:
        return f"waits again after attempt {work.attempts}"
    if status is WorkStatus.EXECUTING:
        parts = [f"waited {span(waited(work))}"] if waited(work) is not None else []
        return ", ".join([*parts, f"attempt {work.attempts}"] if work.attempts > 1 else parts)
    return f"ran {span(ran(work))}" if status.is_final and ran(work) is not None else ""


def waited(work: WorkRecord) -> float | None:
    """Seconds from READY to its last start; None while it waits, or where that is not known."""
    if work.started_at is None or work.ready_at is None or work.status is WorkStatus.READY:
        return None
    return max(work.started_at - work.ready_at, 0.0)


def ran(work: WorkRecord) -> float | None:
    """Seconds from its last start to its end; None until then."""
    return None if work.started_at is None or work.ended_at is None else max(work.ended_at - work.started_at, 0.0)
