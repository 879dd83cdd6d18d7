"""The wheel has the layout that docs/structure.md promises, and works without the checkout."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOP_LEVEL = {"conqure", "conqure_dask", "conqure_parsl", "openmpq_runtime", "qpu_executors"}

# What the C++ library is built from: the wheel has the library instead.
SOURCES = ("src/", "tests/", "cmake/", "bin/", "CMakeLists.txt", "CMakePresets.json")

# The editable install has put the checkout on the path; without it, what is imported can only be the wheel.
USE_THE_WHEEL = """
import sys
sys.path = [{wheel!r}] + [path for path in sys.path if path != {checkout!r}]
sys.meta_path = [finder for finder in sys.meta_path if "Scikit" not in type(finder).__name__]
import conqure, conqure.workflows.vqe
print(conqure.__file__)
print(conqure.workflows.vqe.__file__)
print(conqure.Site.load("laptop").path)
"""


def build(folder: Path, **variables: str) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where cmake and ninja are
    built = subprocess.run(command, env=os.environ | {"PATH": path} | variables, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "site-packages"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_no_generic_name_lands_in_site_packages(unpacked: Path) -> None:
    found = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert found == TOP_LEVEL


def test_one_wheel_serves_every_python_of_a_platform(wheel: Path) -> None:
    assert re.search(r"-py3-none-(many)?linux_.*\.whl$", wheel.name)


def test_the_wheel_has_the_library_and_what_is_needed_to_build_with_it(unpacked: Path, tmp_path: Path) -> None:
    root = unpacked / "openmpq_runtime"
    for name in (
        "lib/libopenmpq.so",
        "lib/libopenmpq_preload.so",
        "lib/pkgconfig/openmpq.pc",
        "include/openmpq/openmpq.hpp",
    ):
        assert (root / name).is_file(), name
    (root / "bin" / "openmpq-c++").chmod(0o755)  # zipfile forgets what pip keeps
    source = REPOSITORY / "tests" / "openmpq" / "programs" / "once.cpp"
    environment = {name: value for name, value in os.environ.items() if name != "OPENMPQ_PREFIX"}
    subprocess.run(
        [root / "bin" / "openmpq-c++", "-std=c++17", source, "-o", tmp_path / "once"], env=environment, check=True
    )
    done = subprocess.run([tmp_path / "once"], env=environment, capture_output=True, text=True)
    assert "ok host" in done.stdout


def test_without_a_compiler_there_is_a_pure_wheel_that_says_what_is_missing(
    tmp_path: Path, run_python: Callable[..., str]
) -> None:
    pure = build(tmp_path, CXX="/nonexistent/c++", CC="/nonexistent/cc")
    assert pure.name.endswith("-py3-none-any.whl")
    folder = tmp_path / "site-packages"
    zipfile.ZipFile(pure).extractall(folder)
    program = f"""
import sys
sys.path = [{str(folder)!r}] + [path for path in sys.path if path != {str(REPOSITORY)!r}]
sys.meta_path = [finder for finder in sys.meta_path if "Scikit" not in type(finder).__name__]
import openmpq_runtime
try:
    openmpq_runtime.library()
except openmpq_runtime.installation.MissingPackage as error:
    print(openmpq_runtime.__file__, error)
"""
    text = run_python(program, environment=os.environ)
    assert text.startswith(str(folder))
    assert "C++ compiler" in text


def test_every_file_of_the_packages_is_in_the_wheel(unpacked: Path) -> None:
    folders = {name: name for name in TOP_LEVEL} | {
        "workflows": "conqure/workflows",
        "site_configs": "conqure/site_configs",
    }
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    parts = [name.partition("/") for name in listed.splitlines()]
    expected = [
        Path(folders[top]) / rest
        for top, _, rest in parts
        if not (top == "openmpq_runtime" and rest.startswith(SOURCES))
    ]
    missing = [path for path in expected if not (unpacked / path).is_file()]
    assert expected
    assert not missing


def test_the_wheel_finds_its_workflows_and_sites_without_the_checkout(
    unpacked: Path, run_python: Callable[..., str]
) -> None:
    program = USE_THE_WHEEL.format(wheel=str(unpacked), checkout=str(REPOSITORY))
    for line in run_python(program, environment=os.environ).splitlines():
        assert Path(line).is_relative_to(unpacked / "conqure"), line
