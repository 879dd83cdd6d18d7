"""Small works of one program, run together: one call of the device instead of many.

Only works that stand next to each other in the order are taken together, so nobody is overtaken; and only such whose
results can be told apart again: the same program and shots, no seed, few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qpu_executors.records import QuantumResult, QuantumTask

from .work import WorkloadFormat, WorkRecord

BATCH_ROWS = 20  # rows in one call: a device is held no longer than by one gradient of a variational loop


def batch(works: Sequence[WorkRecord], most_rows: int = BATCH_ROWS) -> list[WorkRecord]:
    """The first work, and those right behind it that may run with it in one call.

    >>> [work.name for work in batch([row_1, row_2, another_program])]
    ['row 1', 'row 2']
    """
    first = works[0]
    taken, rows = [first], first.n_rows
    for work in works[1:]:
        rows += work.n_rows
        if rows > most_rows or not _together(first, work):
            break
        taken.append(work)
    return taken


def merge(tasks: Sequence[QuantumTask]) -> QuantumTask:
    """One task with the rows of all."""
    return tasks[0].replace(parameter_values=tuple(row for task in tasks for row in task.parameter_values))


def split(result: QuantumResult, tasks: Sequence[QuantumTask]) -> list[QuantumResult]:
    """The result of each task; the time on the device is shared out by their rows."""
    parts, at = [], 0
    for task in tasks:
        share = task.n_rows / len(result.counts)
        parts.append(
            replace(
                result,
                task_id=task.task_id,
                counts=result.counts[at : at + task.n_rows],
                queue_s=max(0.0, result.started_at - task.created_at),
                run_s=result.run_s * share,
                metadata=result.metadata | {"batch": len(tasks)},
            )
        )
        at += task.n_rows
    return parts


def _together(first: WorkRecord, work: WorkRecord) -> bool:
    return (
        bool(first.program_id)
        and first.format is work.format is WorkloadFormat.TASK
        and (first.program_id, first.shots) == (work.program_id, work.shots)
    )
