"""Between `WorkRecord` and the rows of the table ``works``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from qpu_executors.errors import UnknownWork
from qpu_executors.records import Priority

from ...work import WorkRecord, WorkStatus

HELD = (WorkStatus.EXECUTING, WorkStatus.UPLOADING)
BY_RANK = {priority.rank: priority for priority in Priority}
_NAMES = [field.name for field in fields(WorkRecord)]
COLUMNS = (*(name for name in _NAMES if name != "priority"), "rank")  # in the order of `values`


def record(row: Any) -> WorkRecord:
    return record_of(dict(row._mapping))


def record_of(columns: dict[str, Any]) -> WorkRecord:
    """A row as its columns by name; the dictionary is used up."""
    columns["priority"] = BY_RANK[columns.pop("rank")]
    columns["metadata"] = json.loads(columns["metadata"])
    columns["cancel_requested"] = bool(columns["cancel_requested"])  # SQLite has no truth values
    return WorkRecord(**columns)


def values(work: WorkRecord) -> dict[str, Any]:
    columns = {name: getattr(work, name) for name in _NAMES}
    columns["rank"] = columns.pop("priority").rank
    columns["metadata"] = json.dumps(work.metadata)
    columns["status"], columns["format"] = work.status.value, work.format.value
    columns["error"] = storable(work.error)
    return columns


def storable(text: str) -> str:
    """What a device wrote may hold what no database takes: a zero character, half of a surrogate pair."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def differences(before: WorkRecord, after: WorkRecord) -> dict[str, Any]:
    """The columns whose values differ: an index is only touched where it must be."""
    old, new = values(before), values(after)
    return {name: value for name, value in new.items() if value != old[name]}


def records(rows: Sequence[Any]) -> list[WorkRecord]:
    return [record(row) for row in rows]


def unknown(work_id: str) -> UnknownWork:
    return UnknownWork(f"no work {work_id!r}. List yours with: conqure work list")
