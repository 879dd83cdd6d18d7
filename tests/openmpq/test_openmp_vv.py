"""The tool that runs the OpenMP validation suite, on a checkout of two programs written here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import REPOSITORY
from .compiling import GCC

pytestmark = pytest.mark.slow  # compiling

PASSES = """
#include "ompvv.h"
int main() {
  int x = 0;
#pragma omp target map(tofrom : x)
  x = EXPECTED;
  return x != EXPECTED;
}
"""
DIFFERS = """
#include <stdlib.h>
int main() {
#pragma omp target
  {}
  return getenv("LD_PRELOAD") != 0;
}
"""


def test_verdicts_are_compared_and_a_difference_is_an_error(tmp_path: Path) -> None:
    GCC.require()
    folder = tmp_path / "tests" / "4.5" / "target"
    folder.mkdir(parents=True)
    (tmp_path / "ompvv").mkdir()
    (tmp_path / "ompvv" / "ompvv.h").write_text("#define EXPECTED 7\n")
    (folder / "passes.c").write_text(PASSES)
    (folder / "fails_to_build.cpp").write_text("int main() { return nothing; }\n")
    report = tmp_path / "report.json"
    command = [sys.executable, REPOSITORY / "tools" / "openmp_vv.py", tmp_path, "--versions", "4.5", "--json", report]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 tests, 1 built, 0 differ" in done.stdout
    (folder / "differs.c").write_text(DIFFERS)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "differs: tests/4.5/target/differs.c: {'bare': 'pass', 'libopenmpq': 'fail 1'}" in done.stdout
    assert json.loads(report.read_text())["g++-12"]["differ"] == 1


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, REPOSITORY / "tools" / "openmp_vv.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no checkout of OpenMP_VV" in done.stderr
