"""Small works of one program as one task with many rows, and its result as theirs again.

A pool or a machine has its price per task; rows are cheap. It is off unless a dispatcher is told how many rows a task
may have (``batch``): works that share a task start and end together, so one that is canceled cannot be taken out, and
their times are shares of a whole. The order is kept: only works that stand next to one another are joined.

Works that were given out equally often are joined, no others: those that shared a task the last time share it again,
without newcomers, so that it is the same task for the machine that may have it (`qpu_executors.submissions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qpu_executors.errors import InvalidTask
from qpu_executors.records import QuantumResult, QuantumTask

from .work import WorkloadFormat, WorkRecord


def joinable(ordered: Sequence[WorkRecord], most_rows: int) -> list[WorkRecord]:
    """The first of these works, and those right behind it that may share a task with it."""
    first, rows = ordered[0], 0
    taken: list[WorkRecord] = []
    for work in ordered:
        rows += work.n_rows
        if taken and (rows > most_rows or not _alike(first, work)):
            break
        taken.append(work)
    return taken


def join(tasks: Sequence[QuantumTask]) -> QuantumTask | None:
    """One task with the rows of all, in order; None if they are not the same but for their rows, or have a seed."""
    first = tasks[0]
    kinds = {(task.program, task.language, task.shots, task.seed, len(task.parameter_values[0])) for task in tasks}
    if len(kinds) > 1 or first.seed is not None:
        return None
    rows = tuple(row for task in tasks for row in task.parameter_values)
    try:
        return first.replace(parameter_values=rows, created_at=min(task.created_at for task in tasks))
    except InvalidTask:  # too many values for one task
        return None


def split(result: QuantumResult, tasks: Sequence[QuantumTask]) -> list[QuantumResult]:
    """The result of a joined task as one for each of the tasks, which share its time by their rows, in their order."""
    parts, at = [], 0
    row_s = result.run_s / len(result.counts)
    for task in tasks:
        started_at, run_s = result.started_at + at * row_s, task.n_rows * row_s
        part = replace(
            result,
            task_id=task.task_id,
            counts=result.counts[at : at + task.n_rows],
            queue_s=max(0.0, started_at - task.created_at),
            run_s=run_s,
            started_at=started_at,
            ended_at=started_at + run_s,
            metadata=result.metadata | {"rows_of_batch": len(result.counts)},
        )
        parts.append(part)
        at += task.n_rows
    return parts


def _alike(one: WorkRecord, other: WorkRecord) -> bool:
    return (
        one.format is other.format is WorkloadFormat.TASK
        and bool(one.program_id)
        and (one.program_id, one.shots, one.attempts) == (other.program_id, other.shots, other.attempts)
    )
