"""Quantum regions from C and Fortran, and in a library that Python loads."""

import shutil
import subprocess
import sys

import pytest

from openmpq_runtime import Bridge
from openmpq_runtime.installation import prefix

from .compiling import CLANG, GCC, Compiler, checks, need, run

LOAD = """
import ctypes, sys
if sys.argv[2:]:
    ctypes.CDLL(sys.argv[2], mode=ctypes.RTLD_GLOBAL)
shared = ctypes.CDLL(sys.argv[1])
print([shared.offload(k) for k in range(6)])
"""


def test_the_c_interface_from_c(compiler: Compiler, six: Bridge) -> None:
    assert checks(run(compiler.compile("plain.c", wrapper="openmpq-cc"), six.environment())) == ["C on sv2"]


def test_fortran(six: Bridge) -> None:
    need(shutil.which("gfortran-12"), "gfortran-12")
    module = str(prefix() / "include" / "openmpq" / "openmpq.f90")
    program = GCC.compile("bell.f90", "-Wno-error", module, wrapper="openmpq-fc")
    assert checks(run(program, six.environment())) == ["Fortran"]


@pytest.mark.parametrize("before", [(), ("libgomp.so.1",)], ids=["nothing", "libgomp"])
@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_a_library_with_regions_that_python_loads(compiler: Compiler, six: Bridge, before: tuple[str, ...]) -> None:
    """Also where Python has loaded an OpenMP runtime for all to see before, as numerical packages do."""
    shared = compiler.compile("shared.cpp", "-fPIC", "-shared")
    command = [sys.executable, "-c", LOAD, str(shared), *before]
    done = subprocess.run(command, env=six.environment(), capture_output=True, text=True)
    assert done.stdout == "[100, 100, 100, 100, 100, 100]\n", done.stderr
    assert not done.stderr
