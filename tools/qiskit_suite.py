"""Qiskit's own tests of BackendSamplerV2 and BackendEstimatorV2 on our backend, beside Qiskit's own backends.

    git clone --depth 1 https://github.com/Qiskit/qiskit
    python tools/qiskit_suite.py qiskit [reference statevector aer fake]

Takes the tests of the checkout as they are, with the Qiskit that is installed here, runs them once per configuration
and prints what passed. The tests are parametrised over a list of backends: a plugin of pytest puts ours in its place,
in the decorator that the tests use; no file is changed. Some tests make a backend of their own, and run on that in
every configuration. The exit status is 1 if a test fails on ours that does not fail on Qiskit's backends.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SCRATCH = REPOSITORY / "build" / "qiskit-suite"
TESTS = ("test/python/primitives/test_backend_sampler_v2.py", "test/python/primitives/test_backend_estimator_v2.py")
NEEDED = ("test/__init__.py", "test/utils", "test/python/__init__.py", "test/python/legacy_cmaps.py")

PLUGIN = """\
import test

from conqure.interop.qiskit import provider
from qpu_executors import QPU, Site

QPUS = {qpus}


class Factory:
    __name__ = "conqure"

    def __call__(self):
        return provider(Site("suite", tuple(QPUS)), engine="threads").get_backend("qpu0")

    def __repr__(self):
        return "conqure"


combine = test.combine


def on_ours(**values):
    return combine(**(values | {{"backend": [Factory()]}} if "backend" in values else values))


test.combine = on_ours
"""
LAGOS = [[0, 1], [1, 0], [1, 2], [1, 3], [2, 1], [3, 1], [3, 5], [4, 5], [5, 3], [5, 4], [5, 6], [6, 5]]
GENERIC = {
    "backend": "qiskit.providers.fake_provider:GenericBackendV2",
    "arguments": {
        "num_qubits": 7,
        "basis_gates": ["id", "rz", "sx", "x", "cx", "reset"],
        "coupling_map": LAGOS,
        "seed": 42,
    },
}
CONFIGURATIONS = {
    "reference": None,  # BasicSimulator and GenericBackendV2, as the tests have it
    "statevector": '[QPU("qpu0", "statevector", 12)]',
    "aer": '[QPU("qpu0", "aer", 12, options={"method": "statevector"})]',
    "fake": f'[QPU("qpu0", "qiskit", 7, options={GENERIC})]',
}


@dataclass(frozen=True)
class Row:
    passed: int
    failed: frozenset[str]
    skipped: int
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path, help="a checkout of github.com/Qiskit/qiskit")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(CONFIGURATIONS)}; default: all")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in CONFIGURATIONS]:
        parser.error(f"no configuration {unknown[0]!r}. There are: {', '.join(CONFIGURATIONS)}")
    if missing := [name for name in TESTS if not (given.checkout / name).is_file()]:
        parser.error(f"{given.checkout} has no {missing[0]}. Name the top folder of a checkout of Qiskit 2.")
    rows = {name: run_suite(name, given.checkout) for name in given.names or CONFIGURATIONS}
    print(f"\n| Qiskit {version('qiskit')} on | passed | failed | skipped | seconds |\n|---|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row.passed} | {len(row.failed)} | {row.skipped} | {row.seconds:.0f} |")
    fail_anyway = rows["reference"].failed if "reference" in rows else frozenset()
    ours = [row for name, row in rows.items() if name != "reference"]
    return int(any(row.failed - fail_anyway or not row.passed for row in ours))


def run_suite(name: str, checkout: Path) -> Row:
    """One run of pytest in a folder that has the tests and not Qiskit's sources, which are not built."""
    folder = SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    for needed in (*NEEDED, *TESTS, "test/python/primitives/__init__.py"):
        source, copy = checkout / needed, folder / needed
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    (folder / "pytest.ini").write_text("[pytest]\n")  # without one, pytest would take the settings of this checkout
    plugin = CONFIGURATIONS[name]
    (folder / "conqure_backends.py").write_text(PLUGIN.format(qpus=plugin) if plugin else "")
    command = [sys.executable, "-m", "pytest", *TESTS, "-p", "conqure_backends", "-c", "pytest.ini"]
    command += ["-q", "--tb=short", "-r", "fE", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    path = os.pathsep.join([str(folder), str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    print(f"== {name}", flush=True)
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=1800
    )
    seconds = time.perf_counter() - started
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    print("\n".join((done.stdout or done.stderr).splitlines()[-8:]))
    names = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    failed = frozenset(re.sub(r"_\d+_.*", "", name) for name in names)  # without the backend's name
    passed, skipped = count(done.stdout, "passed"), count(done.stdout, "skipped")
    n_failed = count(done.stdout, "failed|errors?")
    return Row(passed, failed or frozenset(["?"] * bool(n_failed)), skipped, seconds)


def count(output: str, word: str) -> int:
    last = (output.strip().splitlines() or [""])[-1]
    return sum(int(number) for number in re.findall(rf"(\d+) (?:{word})", last))


if __name__ == "__main__":
    sys.exit(main())
