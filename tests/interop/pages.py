"""The pages of docs/interop: their programs run as they are printed, one after the other in one interpreter."""

import os
import re
import subprocess
import sys
from pathlib import Path

from ..conftest import REPOSITORY


def run_page(name: str, folder: Path, python: str = sys.executable, warnings: str = "error") -> str:
    """Run all Python blocks of a page in an empty folder; what they printed."""
    text = (REPOSITORY / "docs/interop" / f"{name}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert blocks
    done = subprocess.run(
        [python, "-W", warnings, "-c", "\n".join(blocks)],
        cwd=folder,
        env={**os.environ, "CONQURE_SITE": "laptop"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
