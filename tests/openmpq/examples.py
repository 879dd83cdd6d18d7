"""The shipped examples, built as a user's project with CMake, once for each compiler."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from openmpq_runtime import Bridge, prefix, serve
from qpu_executors import QPU, QPUThreadPool

from ..conftest import REPOSITORY
from .compiling import BIN, Compiler, made_once, run

EXAMPLES = REPOSITORY / "openmpq_runtime" / "examples"
TRAPS = [QPU(f"ion{k}", "emulated", 7, options={"driver": "statevector", "job_s": 0.005}) for k in range(6)]


@contextmanager
def six_traps() -> Iterator[Bridge]:
    """Six emulated ion traps of 5 ms a circuit; scripts allowed."""
    with QPUThreadPool(TRAPS) as pool, serve(pool, scripts=EXAMPLES / "scripts") as bridge:
        yield bridge


@cache
def built(compiler: Compiler, target: str = "all", *settings: str) -> Path:
    """The folder with the programs, by ``find_package(OpenMPQ)``."""
    compiler.require()
    return made_once((compiler, target, settings), lambda folder: _build(folder, compiler, target, settings))


def _build(folder: Path, compiler: Compiler, target: str, settings: Sequence[str]) -> None:
    compilers = [f"-DCMAKE_CXX_COMPILER={compiler.cxx}", f"-DCMAKE_C_COMPILER={compiler.c}"]
    where = f"-DOpenMPQ_DIR={prefix() / 'lib' / 'cmake' / 'OpenMPQ'}"
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    configure = ["cmake", "-S", str(EXAMPLES), "-B", str(folder), "-G", "Ninja", *compilers, where]
    for command in (
        [*configure, "-DEXAMPLES_WERROR=ON", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DEXAMPLES_FORTRAN=OFF", *settings],
        ["cmake", "--build", str(folder), "--target", target],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def output(program: Path, bridge: Bridge, *arguments: str) -> str:
    """What a program prints that ends well and complains of nothing."""
    done = run(program, bridge.environment(), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def numbers(pattern: str, text: str) -> list[float]:
    found = [float(number) for number in re.findall(pattern, text)]
    assert found, text
    return found
