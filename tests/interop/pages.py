"""The pages of docs/interop: their programs run as they are printed, one after the other in one interpreter."""

import sys
from pathlib import Path

from ..pages import programs_of, run_program


def run_page(name: str, folder: Path, python: str = sys.executable, warnings: str = "error") -> str:
    """Run all Python blocks of a page in an empty folder; what they printed."""
    program = "\n".join(programs_of(f"interop/{name}.md"))
    return run_program(program, folder, python=python, warnings=warnings).stdout
