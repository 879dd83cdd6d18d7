"""The OpenMP validation suite (OpenMP_VV) without and with libopenmpq in the process: the verdicts must be the same.

    python tools/openmp_vv.py CHECKOUT [--compiler g++-12 …] [--versions 4.5 5.0] [--only WORD] [--pool] [--json FILE]

CHECKOUT is your own clone of the suite; nothing of it is copied. Every C and C++ test with "target" in its path is
built once and run twice: bare, and with libopenmpq_preload.so, which stands in front of all offload entry points; with
--pool a third time, with a pool of QPUs that it could use. A verdict also says where the suite saw its regions run, so
that classical offload which silently falls back to the host is noticed. A test whose verdicts differ is run three times
more each way: it counts if a verdict comes back that it never has bare, else it is unsteady. The exit status is 1 if
any differs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[1]
SCRATCH = REPOSITORY / "build" / "openmp-vv"
SUFFIXES = {".c", ".cpp", ".cc", ".cxx"}
BUILD_S, RUN_S, AGAIN, SHOWN = 180, 60, 3, 30
RESULT = re.compile(r"Test (passed|failed|skipped)(?: on the (device|host))?\.")
PROBE = """\
#define _GNU_SOURCE
#include <dlfcn.h>
int main(void) {
  int (*in_region)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "openmpq_in_region");
  int inside = 0;
#pragma omp target device(0x51000000) map(tofrom : inside)
  inside = in_region && in_region();
  return !inside;
}
"""
Environments = Mapping[str, Mapping[str, str]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Test:
    """One program of the suite, and its verdicts in each environment: ``pass device``, ``fail``, ``time`` …"""

    name: str
    program: Path | None  # None: this compiler does not build it
    verdicts: dict[str, list[str]] = field(default_factory=dict)

    @property
    def varies(self) -> bool:
        return len({verdict for verdicts in self.verdicts.values() for verdict in verdicts}) > 1

    @property
    def differs(self) -> bool:
        """Whether a verdict came back that the bare program never has."""
        bare, *others = self.verdicts.values() or [[]]
        return any(set(other[1:] or other) - set(bare) for other in others)


def main() -> int:
    options = parse()
    report = {}
    with environments(options.pool) as chosen:
        for compiler in options.compiler:
            tests = run_suite(compiler, options, chosen)
            report[compiler] = summary(compiler, tests, chosen)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(figures["differ"] for figures in report.values()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a clone of OpenMP-Validation-and-Verification/OpenMP_VV")
    parser.add_argument("--compiler", nargs="+", default=["g++-12"], metavar="CXX", help="default: g++-12")
    parser.add_argument("--flags", type=shlex.split, default=[], help="more for them, in one word: --flags='-O3 -g'")
    parser.add_argument("--versions", nargs="+", default=["4.5", "5.0"], metavar="N", help="default: 4.5 5.0")
    parser.add_argument("--only", default="", metavar="WORD", help="tests with this in their path")
    parser.add_argument("--pool", action="store_true", help="also with a pool of QPUs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    parser.add_argument("--build", type=Path, default=SCRATCH, metavar="DIR", help="where programs are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all verdicts")
    options = parser.parse_args()
    options.build = options.build.resolve()
    if not (options.checkout / "ompvv").is_dir():
        parser.error(f"{options.checkout} is no checkout of OpenMP_VV: it has no folder ompvv")
    for compiler in options.compiler:
        if "++" not in compiler or shutil.which(compiler) is None:
            parser.error(f"there is no C++ compiler {compiler!r}. Name one: --compiler g++-12 clang++-19")
    return options


@contextmanager
def environments(with_pool: bool) -> Iterator[Environments]:
    """What is set for each way to run a program."""
    sys.path.insert(0, str(REPOSITORY))
    from openmpq_runtime import library, serve
    from qpu_executors import QPU, QPUThreadPool

    preload = {"LD_PRELOAD": str(library().with_name("libopenmpq_preload.so"))}
    chosen: dict[str, dict[str, str]] = {"bare": {}, "libopenmpq": preload}
    if not with_pool:
        yield chosen
        return
    with QPUThreadPool([QPU(f"sv{k}", "statevector", 8) for k in range(6)]) as pool, serve(pool) as bridge:
        yield chosen | {"with QPUs": bridge.environment() | preload}


def run_suite(compiler: str, options: argparse.Namespace, chosen: Environments) -> list[Test]:
    check_probe(compiler, options, chosen)
    names = list(find(options))
    with ThreadPoolExecutor(options.jobs) as pool:
        programs = pool.map(lambda name: build(compiler, options.checkout / name, options), names)
        tests = list(map(Test, names, progress(f"{compiler}: building", programs, len(names))))
    built = [(test.verdicts, test.program) for test in tests if test.program]
    for environment, variables in chosen.items():
        for verdicts, program in progress(f"{compiler}: {environment}", built, len(built)):
            verdicts[environment] = [run(program, variables)]
    varying = [(test.verdicts, test.program) for test in tests if test.program and test.varies]
    for verdicts, program in progress(f"{compiler}: again", varying, len(varying)):
        for environment, variables in chosen.items():
            verdicts[environment] += [run(program, variables) for _ in range(AGAIN)]
    return tests


def find(options: argparse.Namespace) -> Iterator[str]:
    for version in options.versions:
        for path in sorted((options.checkout / "tests" / version).rglob("*")):
            name = str(path.relative_to(options.checkout))
            if path.suffix in SUFFIXES and "target" in name and options.only in name:
                yield name


def check_probe(compiler: str, options: argparse.Namespace, chosen: Environments) -> None:
    """That no verdict differs would mean nothing if the library did not see the regions of this compiler."""
    options.build.mkdir(parents=True, exist_ok=True)
    source, log = options.build / "probe.c", options.build / "probe.log"
    source.write_text(PROBE)
    program = build(compiler, source, options, log)
    if program is None:
        sys.exit(f"{compiler} builds no target region. Is a package missing, or one of --flags?\n{log.read_text()}")
    for name, variables in chosen.items():
        if name != "bare" and (ended := run(program, variables)) != "pass":
            preload = variables["LD_PRELOAD"]
            sys.exit(f"{compiler}: {preload} does not see target regions (the probe: {ended}). Type: make openmpq")


def build(compiler: str, source: Path, options: argparse.Namespace, log: Path | None = None) -> Path | None:
    """The program of a test, from the cache if it was built before."""
    words = command(compiler, source, options)
    read = [source, *sorted((options.checkout / "ompvv").glob("*.[ch]"))]
    about = [*words, output(compiler, "--version"), *(path.read_text(errors="replace") for path in read)]
    program: Path = options.build / sha256("\0".join(about).encode()).hexdigest()[:24]
    if program.exists():
        return program
    try:
        subprocess.run([*words, "-o", str(program)], capture_output=True, text=True, timeout=BUILD_S, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if log:
            log.write_text(str(error.stderr))
        return None
    return program


def command(compiler: str, source: Path, options: argparse.Namespace) -> list[str]:
    """How a test is built; C by the C compiler of the same family."""
    name = Path(compiler).name
    c = name.replace("clang++", "clang") if "clang" in name else name.replace("g++", "gcc")
    driver = str(Path(compiler).with_name(c)) if source.suffix == ".c" else compiler
    flags = ["-O1", "-w", "-fopenmp", f"-I{options.checkout / 'ompvv'}", *options.flags]
    if "clang" in name:  # libomptarget with its host plugin: devices with memory of their own
        library = Path(output(compiler, *options.flags, "-print-file-name=libomptarget.so"))
        flags.append(f"-fopenmp-targets={platform.machine()}-pc-linux-gnu")
        flags += [f"-L{library.parent}", f"-Wl,-rpath,{library.resolve().parent}"] if library.is_absolute() else []
    parts = [source]
    if "libompvv.h" in source.read_text(errors="replace"):
        parts.append(options.checkout / "ompvv" / "libompvv.c")
    return [driver, *flags, *map(str, parts), "-lm", "-ldl"]


@cache
def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run(program: Path, variables: Mapping[str, str]) -> str:
    """The verdict: how the program ends, and where the suite says that its regions ran."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENMPQ_", "LD_PRELOAD"))}
    try:
        done = subprocess.run(
            [str(program)],
            env=environment | dict(variables),
            cwd=program.parent,  # some tests write files
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RUN_S,
        )
    except subprocess.TimeoutExpired:
        return "time"
    said = RESULT.search(done.stdout)
    skipped = said is not None and said[1] == "skipped"
    ended = "skip" if skipped else "crash" if done.returncode < 0 else "fail" if done.returncode else "pass"
    return f"{ended} {said[2]}" if said and said[2] else ended


def progress(what: str, items: Iterable[Item], total: int) -> Iterator[Item]:
    for number, item in enumerate(items, 1):
        print(f"\r{what} {number}/{total} ", end="" if number < total else "\n", file=sys.stderr, flush=True)
        yield item


def summary(compiler: str, tests: Sequence[Test], chosen: Environments) -> dict[str, Any]:
    """Prints a compiler's figures, and returns them with all verdicts."""
    built = [test for test in tests if test.program]
    differing = [test for test in built if test.differs]
    unsteady = [test for test in built if test.varies and not test.differs]
    print(f"{compiler}: {len(tests)} tests, {len(built)} built, {len(differing)} differ, {len(unsteady)} unsteady")
    figures = {}
    for environment in chosen:
        seen = Counter(test.verdicts[environment][-1] for test in built)
        figures[environment] = dict(seen.most_common())
        print(f"  {environment:12} {', '.join(f'{n} {verdict}' for verdict, n in seen.most_common())}")
    for test in [*differing, *unsteady][:SHOWN]:
        print(f"  {'differs' if test.differs else 'unsteady'}: {test.name}: {test.verdicts}")
    verdicts = {test.name: test.verdicts or "not built" for test in tests}
    counts = {"tests": len(tests), "built": len(built), "differ": len(differing), "unsteady": len(unsteady)}
    version = output(compiler, "--version").splitlines()[0]
    return {"version": version, **counts, "figures": figures, "verdicts": verdicts}


if __name__ == "__main__":
    sys.exit(main())
