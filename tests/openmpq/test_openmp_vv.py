"""The tool that runs the OpenMP validation suite, on a checkout of a few programs written here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openmpq_runtime import library

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
ELSEWHERE = """
#include <stdio.h>
#include <stdlib.h>
int main() {
  printf("[OMPVV_RESULT: elsewhere.c] Test passed on the %s.\\n", getenv("LD_PRELOAD") ? "host" : "device");
  return 0;
}
"""
ONCE = """
#include "ompvv.h"
#include <stdio.h>
#include <stdlib.h>
int main() {
  FILE *first = getenv("LD_PRELOAD") ? fopen(MARK, "wx") : 0;
  return first != 0;
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    GCC.require()
    (tmp_path / "ompvv").mkdir()
    (tmp_path / "ompvv" / "ompvv.h").write_text(f'#define EXPECTED 7\n#define MARK "{tmp_path / "mark"}"\n')
    folder = tmp_path / "tests" / "4.5" / "target"
    folder.mkdir(parents=True)
    (folder / "passes.c").write_text(PASSES)
    (folder / "fails_to_build.cpp").write_text("int main() { return nothing; }\n")
    return tmp_path


def compare(checkout: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, REPOSITORY / "tools" / "openmp_vv.py", checkout, "--build", checkout / "build"]
    command += ["--versions", "4.5", *arguments]
    return subprocess.run(list(map(str, command)), env=os.environ | variables, capture_output=True, text=True)


def test_the_same_verdicts_are_no_error_with_and_without_a_pool(checkout: Path) -> None:
    done = compare(checkout, "--pool")
    assert done.returncode == 0, done.stderr
    assert "2 tests, 1 built, 0 differ, 0 unsteady" in done.stdout
    assert all(f"{name:12} 1 pass" in done.stdout for name in ("bare", "libopenmpq", "with QPUs"))


def test_a_region_that_runs_elsewhere_is_a_difference(checkout: Path) -> None:
    name, report = "tests/4.5/target/elsewhere.c", checkout / "report.json"
    (checkout / name).write_text(ELSEWHERE)
    done = compare(checkout, "--json", report)
    assert done.returncode == 1, done.stderr
    assert f"differs: {name}" in done.stdout
    read = json.loads(report.read_text())["g++-12"]
    assert read["differ"] == 1
    assert read["verdicts"][name] == {"bare": ["pass device"] * 4, "libopenmpq": ["pass host"] * 4}


def test_what_does_not_come_back_is_unsteady_and_no_difference(checkout: Path) -> None:
    (checkout / "tests/4.5/target/once.c").write_text(ONCE)
    done = compare(checkout)
    assert done.returncode == 0, done.stderr
    assert "0 differ, 1 unsteady" in done.stdout


def test_a_library_that_sees_no_regions_is_no_proof(checkout: Path) -> None:
    libraries = checkout / "prefix" / "lib"
    libraries.mkdir(parents=True)
    shutil.copy(library(), libraries)
    shutil.copy(library(), libraries / "libopenmpq_preload.so")  # stands in front of nothing
    done = compare(checkout, OPENMPQ_PREFIX=str(libraries.parent))
    assert done.returncode == 1
    assert "does not see target regions" in done.stderr


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = compare(tmp_path)
    assert done.returncode == 2
    assert "no checkout of OpenMP_VV" in done.stderr
