"""The wheel has the layout that docs/structure.md promises, and works without the checkout."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import REPOSITORY

pytestmark = pytest.mark.slow

TOP_LEVEL = {"conqure", "conqure_dask", "conqure_parsl", "qpu_executors"}

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "site-packages"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_no_generic_name_lands_in_site_packages(unpacked: Path) -> None:
    found = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert found == TOP_LEVEL


def test_one_wheel_serves_every_python_and_platform(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_every_file_of_the_packages_is_in_the_wheel(unpacked: Path) -> None:
    folders = {name: name for name in TOP_LEVEL} | {
        "workflows": "conqure/workflows",
        "site_configs": "conqure/site_configs",
    }
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    expected = [Path(folders[top]) / rest for top, _, rest in (name.partition("/") for name in listed.splitlines())]
    missing = [path for path in expected if not (unpacked / path).is_file()]
    assert expected
    assert not missing


def test_the_wheel_finds_its_workflows_and_sites_without_the_checkout(
    unpacked: Path, run_python: Callable[..., str]
) -> None:
    program = USE_THE_WHEEL.format(wheel=str(unpacked), checkout=str(REPOSITORY))
    for line in run_python(program, environment=os.environ).splitlines():
        assert Path(line).is_relative_to(unpacked / "conqure"), line
