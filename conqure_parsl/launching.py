"""Command lines that work from any folder, with any PATH, in the Python that runs now."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]

START = f"import sys, runpy; sys.path.append({str(_ROOT)!r}); runpy.run_module(sys.argv.pop(1), run_name='__main__')"


def python_module(module: str) -> list[str]:
    """Run a module of ours; ``-P`` keeps what lies in the current folder from standing in for Python's own modules."""
    return [sys.executable, "-P", "-c", START, module]


def lifeline(*options: str) -> list[str]:
    """Run a stock program of Parsl so that it ends with us; needs nothing but the one file."""
    return [sys.executable, "-P", str(_ROOT / "conqure_parsl" / "lifeline.py"), *options]


def own_paths() -> str:
    """Shell text that lets workers import what this program can: its own folders, not those of the environment."""
    own = [os.path.abspath(entry) for entry in sys.path if not os.path.abspath(entry).startswith(sys.prefix)]
    folders = [entry for entry in own if os.path.isdir(entry) and not entry.startswith(sys.base_prefix)]
    return f"export PYTHONPATH={shlex.quote(':'.join(folders))}:$PYTHONPATH" if folders else ""
