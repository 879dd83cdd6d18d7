"""Numbers as people read them: times, spans, sizes. Pure functions for the templates."""

from __future__ import annotations

from datetime import UTC, datetime

_LAST = 253_402_300_799.0  # the last second of the year 9999, which is where datetime ends

# Beside the word of a status: the meaning never hangs on a colour.
SYMBOLS = {
    "CREATED": "○",
    "READY": "◷",
    "EXECUTING": "▶",
    "UPLOADING": "⇡",
    "DONE": "✓",
    "CANCELED": "⊘",
    "ERROR": "✕",
    "ONLINE": "●",
    "BUSY": "▶",
    "OFFLINE": "○",
}


def moment(at: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST), UTC)


def span(seconds: float | None) -> str:
    """A length of time in at most two units.

    >>> span(0.0123), span(3725)
    ('12 ms', '1 h 2 min')
    """
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{1000 * max(seconds, 0.0):.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole, 60, "min", 1, "s")
    return _two(whole, 3600, "h", 60, "min") if whole < 86400 else _two(whole, 86400, "d", 3600, "h")


def ago(seconds: float) -> str:
    """How long something is past, in whole seconds, so that it does not change with every look.

    >>> ago(4.2)
    '4 s ago'
    """
    return "just now" if seconds < 1.5 else f"{seconds:.0f} s ago" if seconds < 10 else f"{span(seconds)} ago"


def _two(whole: int, unit: int, name: str, part: int, part_name: str) -> str:
    small = whole % unit // part
    return f"{whole // unit:,} {name}" + (f" {small} {part_name}" if small else "")


def size(n_bytes: int) -> str:
    """Bytes in the unit that fits.

    >>> size(2048)
    '2.0 KiB'
    """
    if n_bytes < 1024:
        return f"{n_bytes} bytes"
    return f"{n_bytes / 1024:,.1f} KiB" if n_bytes < 2**20 else f"{n_bytes / 2**20:,.1f} MiB"
