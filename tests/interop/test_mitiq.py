"""Mitiq's error mitigation on the pool, in an environment of its own: Mitiq needs an older NumPy than we lock."""

import subprocess
from pathlib import Path

import pytest

from conqure import MissingPackage
from conqure.interop.mitiq import batched_executor, executor

from ..conftest import REPOSITORY
from .pages import run_page


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of the environment that has Mitiq."""
    done = subprocess.run(
        [REPOSITORY / "requirements/beside/install", "mitiq"], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.beside
@pytest.mark.timeout(600)  # the first time an environment is made
def test_mitiq_runs_on_the_pool(python: str) -> None:
    done = subprocess.run(
        [
            *(python, "-m", "pytest", "-q", "--noconftest", "-o", "filterwarnings=", "-p", "no:cacheprovider"),
            *("-W", "error:::conqure", "-W", "error:::qpu_executors", "tests/interop/mitigated.py"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.beside
@pytest.mark.timeout(600)
def test_the_page_runs(python: str, tmp_path: Path) -> None:
    printed = run_page("mitiq", tmp_path, python, warnings="default").split()
    assert [round(complex(number).real, 6) for number in printed] == [1, 1]


@pytest.mark.parametrize("make", [executor, batched_executor])
def test_without_mitiq_it_says_what_to_install(make) -> None:
    with pytest.raises(MissingPackage, match=r"conqure\[mitiq\]"):
        make("laptop")
