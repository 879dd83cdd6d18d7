"""Every program of the guide runs as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ...conftest import REPOSITORY

BLOCKS = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "docs/queue.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("program", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_each_program_of_the_guide_runs(program: str, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=home,
        env={**os.environ, "CONQURE_SITE": "laptop"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "{" in done.stdout
    assert not done.stderr
