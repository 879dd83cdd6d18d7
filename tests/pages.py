"""Programs that are printed in the documents run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .conftest import REPOSITORY


def programs_of(page: str) -> list[str]:
    """The Python programs of a page below docs/; there is one at least."""
    found = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found


def run_program(
    program: str, folder: Path, *, python: str = sys.executable, warnings: str = "error", **environment: str
) -> subprocess.CompletedProcess[str]:
    """One program, to its good end, in this folder, on the site laptop unless the environment says another."""
    done = subprocess.run(
        [python, "-W", warnings, "-c", program],
        cwd=folder,
        env={**os.environ, "CONQURE_SITE": "laptop", **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done
