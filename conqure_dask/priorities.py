"""Our priorities in Dask's: a higher number goes first, and 0 is what everybody else has."""

from __future__ import annotations

from typing import Any

from qpu_executors import InvalidTask, Priority

IN_ORDER = 0  # seconds; Dask serves tasks of one level last come, first served, if they come within its fifo_timeout


def dask_priority(priority: Any) -> int:
    """1, 0 or -1 for HIGH, MEDIUM or LOW; anything else is an `InvalidTask`.

    >>> dask_priority("HIGH")
    1
    """
    try:
        return 1 - Priority(priority).rank
    except ValueError:
        raise InvalidTask(f"priority must be one of HIGH, MEDIUM, LOW, not {priority!r}.") from None
