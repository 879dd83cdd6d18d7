"""The C++ unit tests, by ctest: as they are built for everybody, and with sanitizers."""

import os
import subprocess

import pytest

from ..conftest import REPOSITORY
from .compiling import BIN, need

RUNTIME = REPOSITORY / "openmpq_runtime"


def cmake(*arguments: str, program: str = "cmake") -> str:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    command = [str(BIN / program), *arguments]
    done = subprocess.run(command, cwd=RUNTIME, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_unit_tests(preset: str) -> None:
    said = cmake("--preset", preset, program="ctest")
    need("No tests were found" not in said, "doctest, without which they are not built,")
    assert "100% tests passed" in said


def test_the_unit_tests_pass() -> None:
    """`make openmpq`, which `make test` begins with, has built them."""
    run_unit_tests("dev")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("preset", ["asan", pytest.param("tsan", marks=pytest.mark.drill)])
def test_the_unit_tests_pass_under_sanitizers(preset: str) -> None:
    cmake("--preset", preset)
    cmake("--build", "--preset", preset)
    run_unit_tests(preset)
