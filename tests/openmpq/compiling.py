"""Compilers as fixtures, and programs compiled once for all tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from ..conftest import BUILT, REPOSITORY

PROGRAMS = Path(__file__).parent / "programs"
BIN = Path(sys.executable).parent
_OLD = REPOSITORY / "build" / "llvm-16" / "usr" / "lib" / "llvm-16"  # requirements/system says why it is there


def need(there: object, what: str) -> None:
    """Skip the test where something is not installed; in CI, which installs all, that is a failure."""
    if not there:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"{what} is not installed. Type: sudo requirements/system")


@dataclass(frozen=True)
class Compiler:
    """A family's compilers, and the flags that this installation needs."""

    name: str
    cxx: str
    c: str
    fortran: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def is_clang(self) -> bool:
        return "clang" in self.name

    @property
    def libomptarget(self) -> tuple[str, ...]:
        """What clang's target constructs need to be linked where nothing stands in for it; gcc has it in libgomp."""
        lib = "/usr/lib/llvm-19/lib"
        return (f"-L{lib}", f"-Wl,-rpath,{lib}", "-lomptarget") if self.is_clang else ()

    def require(self) -> None:
        """Skip the test where the compiler is missing; in CI that is a failure."""
        folders = [Path(flag[2:]) for flag in self.flags if flag.startswith("-L")]
        there = shutil.which(self.cxx) is not None and all(folder.is_dir() for folder in folders)
        need(there, f"{self.cxx} or its OpenMP runtime")

    def compile(self, source: str, *flags: str, wrapper: str = "openmpq-c++") -> Path:
        """The program of a file in ``programs/``; compiled once for the same flags, which may name further files."""
        self.require()
        return _compiled(self, source, flags, wrapper)

    def environment(self) -> dict[str, str]:
        fortran = {"OPENMPQ_FC": self.fortran} if self.fortran else {}
        return os.environ | {"OPENMPQ_CXX": self.cxx, "OPENMPQ_CC": self.c} | fortran


GCC = Compiler("g++-12", "g++-12", "gcc-12", "gfortran-12")
CLANG = Compiler("clang-19", "clang++-19", "clang-19")
OLD_CLANG = Compiler(
    "clang-16",
    "clang++-16",
    "clang-16",
    flags=(f"-isystem{_OLD}/lib/clang/16/include", f"-L{_OLD}/lib", f"-Wl,-rpath,{_OLD}/lib"),
)


def made_once(what: tuple[object, ...], make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` fills; done once, whichever process of this run of the tests asks first."""
    folder = Path(os.environ[BUILT]) / hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    with (folder / ".made").open("a") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if made.tell() == 0:
            make(folder)
            made.write("whole")
    return folder


@cache
def _compiled(compiler: Compiler, source: str, flags: tuple[str, ...], wrapper: str) -> Path:
    name = Path(source).stem

    def compile_it(folder: Path) -> None:
        standard = ["-std=c++17"] if wrapper == "openmpq-c++" else []
        command = [str(BIN / wrapper), *standard, "-O1", "-Wall", "-Wextra", "-Werror", *flags, *compiler.flags]
        done = subprocess.run(
            [*command, str(PROGRAMS / source), "-o", str(folder / name)],
            env=compiler.environment(),
            cwd=folder,  # where a Fortran module goes
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(done.args)}\n{done.stderr}"

    return made_once((compiler, source, flags, wrapper), compile_it) / name


def run(
    program: Path, environment: Mapping[str, str], *arguments: str, timeout: float = 60, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with these variables besides."""
    return subprocess.run(
        [str(program), *arguments],
        env=dict(environment) | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def checks(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The names of a program's checks; fails with those that failed."""
    lines = done.stdout.splitlines()
    failed = [line for line in lines if line.startswith("FAILED")]
    assert not failed, "\n".join([*failed, done.stderr])
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return [line.removeprefix("ok ") for line in lines if line.startswith("ok ")]


def expected_checks(source: str) -> int:
    """How many checks a program has at least: calls of check() and expect() outside of their definitions."""
    text = (PROGRAMS / source).read_text()
    return sum(text.count(f"  {call}(") for call in ("check", "expect"))


def skipping_nothing(names: Sequence[str], source: str) -> None:
    """Each check of the source was made, so a program that ends early does not pass (a few are one compiler's)."""
    assert len(names) >= expected_checks(source) - 2, names
