"""Where in a TOML file a key stands; tomllib keeps no positions."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

KeyPath = tuple[str, ...]


def dotted(path: KeyPath) -> str:
    """The path as it is written in TOML: ``qpu."ion.0".driver``."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part) for part in path)


def line_of(text: str, path: KeyPath) -> int | None:
    """The line (from 1) where the key or table at this path begins, or None.

    The first line after which the text so far parses and holds the path is where the value ends; the value begins
    after the last line before that after which the text parses, too.
    """
    lines = [line + "\n" for line in text.split("\n")]
    low, high = 0, len(lines)  # the path is absent after `low` lines and present after `high`
    if not path or not _holds(_parse(lines, high), path):
        return None
    while (cut := _parsable_between(lines, low, high)) is not None:
        if _holds(_parse(lines, cut), path):
            high = cut
        else:
            low = cut
    return low + 1


def _parsable_between(lines: list[str], low: int, high: int) -> int | None:
    """A number of lines strictly between, near the middle, that does not end inside a value."""
    middle = (low + high) // 2
    nearest_first = sorted(range(low + 1, high), key=lambda count: abs(count - middle))
    return next((count for count in nearest_first if _parse(lines, count) is not None), None)


def _parse(lines: list[str], count: int) -> dict[str, Any] | None:
    try:
        return tomllib.loads("".join(lines[:count]))
    except tomllib.TOMLDecodeError:
        return None


def _holds(values: Any, path: KeyPath) -> bool:
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
