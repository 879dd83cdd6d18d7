"""What `conqure doctor` says about OpenMP-Q: the library, compilers, an MPI launcher. All of it is optional."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qpu_executors.errors import MissingPackage
from qpu_executors.site import Site

from .doctor import ABSENT, FAILED, OK, PATIENCE_S, Check
from .mpi import launcher

TOPIC = "openmp-q"
_REGION = """#include <openmpq/openmpq.hpp>
#include <cstdio>
int main() {
  QuantumWrapper c(1);
#pragma omp target device(Quantum) map(tofrom : c)
  {
    c.h(0).measure();
    c.execute();
  }
  std::puts(c.ok() ? c.result().device().c_str() : c.error().c_str());
  return !c.ok();
}
"""


def check_openmpq(site: Site, start: bool) -> Iterator[Check]:
    """The library, each C++ compiler, the MPI launcher; with ``start`` each compiles a quantum region, which runs."""
    from openmpq_runtime import prefix

    try:
        folder = prefix()
    except MissingPackage as error:
        wrong, _, fix = str(error).partition(". ")
        yield Check(TOPIC, "libopenmpq", ABSENT, wrong, fix)
        return
    yield Check(TOPIC, "libopenmpq", OK, str(folder))
    names = compilers()
    if not names:
        yield Check(TOPIC, "c++ compiler", ABSENT, "neither g++ nor clang++ is on the PATH", "Name one: OPENMPQ_CXX=…")
    for name in names:
        yield check_compiler(name, folder, site, start)
    yield check_launcher()


def compilers() -> list[str]:
    """The C++ compilers here: the one that ``$OPENMPQ_CXX`` names, g++ and clang++."""
    names = dict.fromkeys([os.environ.get("OPENMPQ_CXX", ""), "g++", "clang++"])
    return [name for name in names if name and shutil.which(shlex.split(name)[0])]


def check_compiler(name: str, folder: Path, site: Site, start: bool) -> Check:
    """Its version; with ``start`` a region that it compiled ran on a QPU."""
    version = _output([*shlex.split(name), "--version"]).stdout.partition("\n")[0]
    if not start:
        return Check(TOPIC, name, OK, version)
    with tempfile.TemporaryDirectory() as work:
        program = Path(work) / "region"
        program.with_suffix(".cpp").write_text(_REGION)
        wrapper = str(folder / "bin" / "openmpq-c++")
        compiled = _output([wrapper, str(program) + ".cpp", "-o", str(program)], OPENMPQ_CXX=name)
        if compiled.returncode:
            fix = f"Try it: OPENMPQ_CXX='{name}' openmpq-c++ FILE.cpp. clang needs its OpenMP runtime: libomp-dev"
            return Check(TOPIC, name, ABSENT, f"it does not compile a region: {_error_in(compiled.stderr)}", fix)
        return _check_region(name, version, program, site)


def _check_region(name: str, version: str, program: Path, site: Site) -> Check:
    from .serving import serving

    with serving(site, "threads") as served:
        ran = _output([str(program)], **served.variables())
    if ran.returncode:
        said = (ran.stdout + ran.stderr).strip() or f"it ended with {ran.returncode}"
        return Check(TOPIC, name, FAILED, f"a region did not run: {said}", f"Report it, with the compiler: {version}")
    return Check(TOPIC, name, OK, f"{version}: a region ran on {ran.stdout.strip()}")


def check_launcher() -> Check:
    """What ``openmpq-run -n`` would use."""
    try:
        return Check(TOPIC, "mpi launcher", OK, shutil.which(launcher()[0]) or "")
    except MissingPackage as error:
        wrong, _, fix = str(error).partition(". ")
        return Check(TOPIC, "mpi launcher", ABSENT, wrong, fix)


def _output(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end within {PATIENCE_S:.0f} s")


def _error_in(text: str) -> str:
    lines = text.strip().splitlines() or ["it failed"]
    return next((line for line in lines if "error" in line), lines[0])
