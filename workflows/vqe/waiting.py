"""Why tasks of this program wait for Slurm, as ``conqure why`` tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

PATIENCE_S = 60.0  # for Slurm's answer


def why_slurm() -> list[str]:
    """What waits and why, in sentences; nothing where nothing waits, or nobody can tell.

    >>> why_slurm()
    ["6 tasks wait for 'ion0': Job 17 waits: what it asks for is used by other jobs (Resources)."]
    """
    command = [sys.executable, "-m", "conqure", "why", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
        programs = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return [text for program in programs if program["pid"] == os.getpid() for text in _sentences(program)]


def _sentences(program: dict[str, Any]) -> Iterator[str]:
    for wait in program["waits"]:
        if wait["tasks"]:
            tasks = "1 task waits" if wait["tasks"] == 1 else f"{wait['tasks']} tasks wait"
            yield f"{tasks} for {wait['name']!r}: {' '.join(wait['reasons'])}"
