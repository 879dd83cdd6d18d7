"""Every example of the README runs as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # whole sessions, engines and all, on a busy machine

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
# The service's session has a test of its own, since its second command does not end.
SESSIONS = [text for _, text in BLOCKS if text.startswith("conqure ") and "conqure serve" not in text]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.strip().splitlines()[-1].strip())
def test_each_program_of_the_readme_runs(program: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: " ".join(session.split()[:3]))
def test_each_command_of_the_readme_works(session: str, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("conqure")
    for line in session.replace("conqure ", f"{command} ").splitlines():
        done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_c_plus_plus_program_of_the_readme_runs(tmp_path: Path) -> None:
    (program,) = [text for language, text in BLOCKS if language == "cpp"]
    (tmp_path / "bell.cpp").write_text(program)
    folder = Path(sys.executable).parent
    compiled = subprocess.run(
        [folder / "openmpq-c++", "-O2", "bell.cpp", "-o", "bell"], cwd=tmp_path, capture_output=True, text=True
    )
    assert compiled.returncode == 0, compiled.stderr
    command = [folder / "openmpq-run", "--site", "workstation", "./bell"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"ion{k}: 2 states" for k in range(6)]


def test_the_readme_has_an_example_for_every_kind_of_python_user() -> None:
    assert len(PROGRAMS) >= 3
    assert len(SESSIONS) >= 2
