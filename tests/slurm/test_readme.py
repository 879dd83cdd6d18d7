"""The README's session on Slurm works as it is printed, on a cluster of its own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ..conftest import REPOSITORY
from ..test_readme import BLOCKS
from .conftest import need_slurm


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_session_on_slurm_in_the_readme_works() -> None:
    need_slurm()
    (session,) = [text for _, text in BLOCKS if text.startswith("eval")]
    with tempfile.TemporaryDirectory(prefix="readme-") as folder:
        (Path(folder) / "tools").symlink_to(REPOSITORY / "tools")
        variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SLURM_SIM_DIR": f"{folder}/sim"}
        try:
            done = subprocess.run(
                ["bash", "-ec", session], env=os.environ | variables, cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            command = [sys.executable, str(REPOSITORY / "tools" / "slurm-sim"), "down", "--dir", f"{folder}/sim"]
            subprocess.run(command, capture_output=True)
        assert "#SBATCH --gres=qpu:ion:1" in done.stdout
        assert "SLURM JOBS" in done.stdout.upper()
