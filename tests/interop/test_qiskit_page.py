"""Every program of docs/interop/qiskit.md runs as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import REPOSITORY

PAGE = (REPOSITORY / "docs/interop/qiskit.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_programs_of_the_page_run(tmp_path: Path) -> None:
    assert len(PROGRAMS) == 3
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(PROGRAMS)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert "(10,) 500" in done.stdout
    assert "JobStatus" in done.stdout.splitlines()[-1]
