"""PennyLane's own test suite for devices on ours, beside PennyLane's simulator: figures of docs/interop/pennylane.md.

    python tools/pennylane_suite.py [--shots 10000]

The suite is what `pl-device-test` runs; it comes with PennyLane. The exit status is 1 if our device fails a test, or
passes fewer than default.qubit with the same shots.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

WORDS = ("passed", "skipped", "xfailed", "xpassed", "failed")
OURS = ("conqure.qpu", "site=laptop", "device=tag:fast")
THEIRS = ("default.qubit",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shots", type=int, default=10_000, help="of each circuit; fewer than 5000 fail by chance")
    shots = parser.parse_args().shots
    rows = {device[0]: run_suite(shots, *device) for device in (THEIRS, OURS)}
    print(f"\n| PennyLane {version('pennylane')}, {shots:,} shots | {' | '.join(WORDS)} | seconds |")
    print(f"|---{'|---' * len(WORDS)}|---|")
    for name, (counts, seconds, _) in rows.items():
        print(f"| {name} | {' | '.join(str(counts[word]) for word in WORDS)} | {seconds:.0f} |")
    for _, _, output in rows.values():
        print("\n".join(line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))))
    ours, theirs = rows[OURS[0]][0], rows[THEIRS[0]][0]
    return int(ours["failed"] > 0 or ours["passed"] < theirs["passed"])


def run_suite(shots: int, device: str, *arguments: str) -> tuple[dict[str, int], float, str]:
    """How many tests ended how (errors count as failed), the seconds, and what pytest printed."""
    spec = find_spec("pennylane")
    assert spec is not None
    assert spec.origin is not None
    tests = Path(spec.origin).parent / "devices" / "tests"
    command = [sys.executable, "-m", "pytest", str(tests), "-c", str(tests / "pytest.ini")]
    command += ["-q", "--tb=short", "-p", "no:cacheprovider", "--no-flaky-report", f"--device={device}"]
    command += [f"--shots={shots}", *(["--device-kwargs", *arguments] if arguments else [])]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command.append(f"--rootdir={folder}")
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    counts = dict.fromkeys(WORDS, 0)
    for number, word in re.findall(r"(\d+) (\w+)", (done.stdout.strip().splitlines() or [""])[-1]):
        word = "failed" if word.startswith("error") else word
        if word in counts:
            counts[word] += int(number)
    if not counts["passed"]:
        counts["failed"] += 1
    return counts, time.perf_counter() - started, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
