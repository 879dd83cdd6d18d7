"""The second way to intercept regions: libopenmpq_preload.so, for code that the header's redirect does not reach."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, library

from .compiling import CLANG, GCC, Compiler, checks, need, run, skipping_nothing

pytestmark = pytest.mark.slow  # compiling


@pytest.fixture(params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def either(request: pytest.FixtureRequest) -> Compiler:
    compiler: Compiler = request.param
    compiler.require()
    return compiler


def preloaded(six: Bridge) -> dict[str, str]:
    return six.environment() | {"LD_PRELOAD": str(library().with_name("libopenmpq_preload.so"))}


def without_redirect(compiler: Compiler, source: str) -> Path:
    return compiler.compile(source, "-DOPENMPQ_NO_REDIRECT", *compiler.libomptarget)


@pytest.mark.parametrize("source", ["regions.cpp", "mapping.cpp"])
def test_code_without_the_redirect_works_with_ld_preload(either: Compiler, six: Bridge, source: str) -> None:
    program = without_redirect(either, source)
    skipping_nothing(checks(run(program, preloaded(six))), source)


def test_both_ways_at_once_do_no_harm(either: Compiler, six: Bridge) -> None:
    skipping_nothing(checks(run(either.compile("regions.cpp"), preloaded(six))), "regions.cpp")


def test_link_time_optimisation(either: Compiler, six: Bridge) -> None:
    """gcc loses the redirect, so the wrapper links the second library; clang keeps it (and needs lld or its plugin)."""
    flags = ["-flto", "-fuse-ld=lld"] if either.is_clang else ["-flto"]
    if either.is_clang:
        need(shutil.which("ld.lld-19"), "lld-19")
    skipping_nothing(checks(run(either.compile("regions.cpp", *flags), six.environment())), "regions.cpp")


def test_qpus_at_the_end_of_the_device_list(either: Compiler, six: Bridge) -> None:
    program = without_redirect(either, "appended.cpp")
    environment = preloaded(six) | {"OPENMPQ_APPEND_DEVICES": "1"}
    assert len(checks(run(program, environment))) == 5


def test_nothing_else_of_a_process_changes(six: Bridge) -> None:
    done = run(GCC.compile("classical.cpp"), preloaded(six))
    assert done.stdout == run(GCC.compile("classical.cpp"), os.environ).stdout
    assert done.returncode == 0


def test_real_offloading_goes_on_behind_the_library(six: Bridge, tmp_path: Path) -> None:
    """clang's host plugin is a device with memory of its own, to which everything must be handed on."""
    CLANG.require()
    program, libraries = tmp_path / "classical", "/usr/lib/llvm-19/lib"
    flags = ["-fopenmp", "-fopenmp-targets=x86_64-pc-linux-gnu", f"-L{libraries}", f"-Wl,-rpath,{libraries}"]
    source = Path(__file__).parent / "programs" / "classical.cpp"
    subprocess.run(["clang++-19", *flags, source, "-o", program], check=True)
    bare, behind = run(program, os.environ), run(program, preloaded(six))
    assert (behind.returncode, behind.stdout) == (bare.returncode, bare.stdout) == (0, behind.stdout)
    sum_, last, devices, *_ = behind.stdout.split()
    assert (sum_, last) == ("9900", "198")
    assert int(devices) > 0  # or nothing was offloaded
