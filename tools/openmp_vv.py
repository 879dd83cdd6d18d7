"""The OpenMP validation suite (OpenMP_VV) without and with libopenmpq in the process: the verdicts must be the same.

    python tools/openmp_vv.py CHECKOUT [--compiler g++-12 …] [--versions 4.5 5.0] [--only WORD] [--json FILE]

CHECKOUT is your own clone of the suite; nothing of it is copied. Every C and C++ test with "target" in its path is
built once and run twice: bare, and with libopenmpq_preload.so, which stands in front of all offload entry points. A
test whose verdicts differ is run three times more each way before it counts. The exit status is 1 if any differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SCRATCH = REPOSITORY / "build" / "openmp-vv"
SUFFIXES = {".c", ".cpp", ".cc", ".cxx"}
BUILD_S, RUN_S, AGAIN, SHOWN = 180, 60, 3, 30


@dataclass(frozen=True)
class Test:
    """One program of the suite, and its verdict in each environment: ``pass``, ``fail N`` or ``time``."""

    source: Path
    program: Path | None  # None: this compiler does not build it
    verdicts: dict[str, str] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        return len(set(self.verdicts.values())) > 1


def main() -> int:
    options = parse()
    total = 0
    report = {}
    for compiler in options.compiler:
        if shutil.which(compiler) is None:
            sys.exit(f"there is no compiler {compiler!r}. Name one that is installed: --compiler g++-12 clang++-19")
        tests = run_suite(compiler, options)
        differing = [test for test in tests if test.differs]
        total += len(differing)
        report[compiler] = summary(compiler, tests, options.checkout)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if total else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a clone of OpenMP-Validation-and-Verification/OpenMP_VV")
    parser.add_argument("--compiler", nargs="+", default=["g++-12"], metavar="CXX", help="default: g++-12")
    parser.add_argument("--versions", nargs="+", default=["4.5", "5.0"], metavar="N", help="default: 4.5 5.0")
    parser.add_argument("--only", default="", metavar="WORD", help="tests with this in their path")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all verdicts")
    options = parser.parse_args()
    if not (options.checkout / "ompvv").is_dir():
        parser.error(f"{options.checkout} is no checkout of OpenMP_VV: it has no folder ompvv")
    return options


def run_suite(compiler: str, options: argparse.Namespace) -> list[Test]:
    sources = [
        path
        for version in options.versions
        for path in sorted((options.checkout / "tests" / version).rglob("*"))
        if path.suffix in SUFFIXES and "target" in str(path.relative_to(options.checkout)) and options.only in str(path)
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        built = pool.map(lambda source: Test(source, build(compiler, source, options.checkout)), sources)
        tests = list(progress(f"{compiler}: building", built, len(sources)))
    environments = {"bare": {}, "libopenmpq": {"LD_PRELOAD": str(preload())}}
    runnable = [test for test in tests if test.program]
    for name, variables in environments.items():
        for test in progress(f"{compiler}: {name}", runnable, len(runnable)):
            test.verdicts[name] = verdict(test, variables)
    for test in runnable:
        if test.differs:  # flaky, or really different?
            for name, variables in environments.items():
                test.verdicts[name] = Counter(verdict(test, variables) for _ in range(AGAIN)).most_common(1)[0][0]
    return tests


def preload() -> Path:
    sys.path.insert(0, str(REPOSITORY))
    from openmpq_runtime import library

    return library().with_name("libopenmpq_preload.so")


def build(compiler: str, source: Path, checkout: Path) -> Path | None:
    """The program of a test, from the cache if it was built before."""
    clang = "clang" in compiler
    driver = compiler.replace("++", "", 1) if clang else compiler.replace("g++", "gcc", 1)
    if source.suffix != ".c":
        driver = compiler
    flags = ["-O1", "-fopenmp", f"-I{checkout / 'ompvv'}", "-w"]
    if clang:  # libomptarget with its host plugin: real devices with memory of their own
        version = compiler.rpartition("-")[2]
        flags += ["-fopenmp-targets=x86_64-pc-linux-gnu", f"-L/usr/lib/llvm-{version}/lib"]
        flags += [f"-Wl,-rpath,/usr/lib/llvm-{version}/lib"]
    key = sha256(" ".join([driver, *flags]).encode() + source.read_bytes()).hexdigest()[:24]
    program = SCRATCH / key
    if program.exists():
        return program
    SCRATCH.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [driver, *flags, str(source), "-lm", "-o", str(program)], capture_output=True, timeout=BUILD_S
        )
    except subprocess.TimeoutExpired:
        return None
    return program if done.returncode == 0 else None


def verdict(test: Test, variables: dict[str, str]) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENMPQ_")} | variables
    try:
        done = subprocess.run(
            [str(test.program)], env=environment, capture_output=True, timeout=RUN_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return "time"
    return "pass" if done.returncode == 0 else f"fail {done.returncode}"


def progress(what: str, tests: Iterable[Test], total: int) -> Iterable[Test]:
    for number, test in enumerate(tests, 1):
        print(f"\r{what} {number}/{total} ", end="", file=sys.stderr, flush=True)
        yield test
    print(file=sys.stderr)


def summary(compiler: str, tests: list[Test], checkout: Path) -> dict[str, object]:
    runnable = [test for test in tests if test.program]
    differing = [test for test in runnable if test.differs]
    print(f"{compiler}: {len(tests)} tests, {len(runnable)} built, {len(differing)} differ")
    for name in ("bare", "libopenmpq"):
        passed = sum(test.verdicts[name] == "pass" for test in runnable)
        print(f"  {name:12} {passed} pass, {len(runnable) - passed} fail")
    for test in differing[:SHOWN]:
        print(f"  differs: {test.source.relative_to(checkout)}: {test.verdicts}")
    verdicts = {str(test.source.relative_to(checkout)): test.verdicts or "not built" for test in tests}
    return {"differ": len(differing), "built": len(runnable), "verdicts": verdicts}


if __name__ == "__main__":
    sys.exit(main())
