"""What a work's payloads look like to people: its circuit, and the counts of one of its rows.

Payloads come from anybody, and results from any device: they are read as JSON with a limit on their size, never
unpickled or executed, and what cannot be shown is said in a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from qpu_executors.errors import ConqureError, UnknownWork
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.translation.gates import GateProgram

from ...store import Store
from ...work import WorkloadFormat, WorkRecord
from . import charts, circuits
from .svg import Svg

MOST_READ = 8 * 2**20  # bytes of a payload that a page looks at
MOST_DRAWN = 2**18  # characters of a program; what is longer has more gates than a drawing can show
_VALUES = 12  # parameters that are shown with their values
_TEXT = 2**16  # bytes of a DAX program that are shown
_ODD = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)  # what odd JSON does to who reads it


@dataclass(frozen=True)
class ProgramView:
    """A program for people: a drawing where there can be one, a listing, and why something is missing."""

    census: str = ""
    drawing: Svg | None = None
    listing: Sequence[str] = ()
    why_not: str = ""


@dataclass(frozen=True)
class CountsView:
    """The counts of row ``row`` of ``n``, numbered from 1 through all tasks of the work."""

    n: int
    row: int
    title: str
    values: str
    bars: Sequence[charts.Bar]
    drawing: Svg


def program_view(store: Store, work: WorkRecord, row: int = 1) -> ProgramView | None:
    """The program that runs row ``row``; None where there is nothing to say."""
    if work.format is WorkloadFormat.OPAQUE or not work.workload:
        return None
    if work.workload_size > MOST_READ:
        return ProgramView(why_not="It is too large to be shown here; download the workload.")
    try:
        payload = store.payload(work.workload)
        if work.format is WorkloadFormat.DAX:
            return ProgramView("DAX", listing=payload[:_TEXT].decode(errors="replace").splitlines())
        task, values = _task_of(_tasks(payload, work.format), row)
        return _drawn(task, values)
    except ConqureError as error:
        return ProgramView(why_not=str(error))
    except _ODD:
        return ProgramView(why_not="It cannot be read; download the workload.")


def counts_view(store: Store, work: WorkRecord, row: int = 1) -> CountsView | str:
    """The counts of a row, or why there are none to show; empty where nothing needs to be said."""
    if not work.results or work.format not in (WorkloadFormat.TASK, WorkloadFormat.TASKS):
        return "Only its device and its owner can read them; download them." if work.results else ""
    if work.results_size > MOST_READ:
        return "They are too large to be shown here; download them."
    try:
        results = _results(store.payload(work.results), work.format)
        counts = [(result, row_counts) for result in results for row_counts in result.counts]
        if not counts:
            return "The device gave no counts."
        row = min(max(row, 1), len(counts))
        result, found = counts[row - 1]
        place = f"row {row:,} of {len(counts):,}, " if len(counts) > 1 else ""
        title = f"{place}{result.shots:,} shots on {result.device_id}"
        return CountsView(
            len(counts),
            row,
            title,
            _values(store, work, row) if len(counts) > 1 else "",
            charts.bars(found),
            charts.draw(found),
        )
    except ConqureError as error:
        return str(error)
    except _ODD:
        return "They cannot be read; download them."


def _drawn(task: QuantumTask, values: Sequence[float]) -> ProgramView:
    if task.language != "gates" or not isinstance(task.program, str):
        return ProgramView(why_not=f"A program in the language {task.language!r} is not drawn; download the workload.")
    if len(task.program) > MOST_DRAWN:
        return ProgramView(why_not="It is too large to be drawn; download the workload.")
    program = GateProgram.parse(task.program)
    drawing = circuits.draw(program, values)
    why_not = "" if drawing else "It is too large to be drawn; here is its beginning as text."
    return ProgramView(circuits.census(program), drawing, circuits.listing(program, values), why_not)


def _values(store: Store, work: WorkRecord, row: int) -> str:
    """Names and values of the parameters of a row, as far as they can be told."""
    if work.workload_size > MOST_READ:
        return ""
    try:
        task, values = _task_of(_tasks(store.payload(work.workload), work.format), row)
    except UnknownWork:
        return ""
    names: Sequence[str] = ()
    if task.language == "gates" and isinstance(task.program, str) and len(task.program) <= MOST_DRAWN:
        names = GateProgram.parse(task.program).parameters
    shown = [
        f"{names[i]} = {value:.6g}" if i < len(names) else f"{value:.6g}" for i, value in enumerate(values[:_VALUES])
    ]
    return ", ".join(shown) + (f", … ({len(values):,} in all)" if len(values) > _VALUES else "")


def _task_of(tasks: Sequence[QuantumTask], row: int) -> tuple[QuantumTask, Sequence[float]]:
    """The task that has row ``row`` of all of them, and that row; the last one where there are fewer."""
    left = max(row, 1)
    for task in tasks:
        if left <= task.n_rows:
            return task, task.parameter_values[left - 1]
        left -= task.n_rows
    if not tasks:
        raise UnknownWork("there is no task in this workload.")
    return tasks[-1], tasks[-1].parameter_values[-1]


def _tasks(payload: bytes, format: WorkloadFormat) -> list[QuantumTask]:
    return [QuantumTask.from_json(text) for text in _texts(payload, format)]


def _results(payload: bytes, format: WorkloadFormat) -> list[QuantumResult]:
    return [QuantumResult.from_json(text) for text in _texts(payload, format)]


def _texts(payload: bytes, format: WorkloadFormat) -> list[bytes | str]:
    if format is WorkloadFormat.TASK:
        return [payload]
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise UnknownWork("this is no JSON, so it cannot be shown here.") from None
    return [json.dumps(one) for one in found] if isinstance(found, list) else [payload]
