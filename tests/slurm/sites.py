"""Site files for the test cluster, and programs that use them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qpu_executors import Site

CLUSTER = """
name = "cluster"
[slurm]
walltime = "00:10:00"
memory = "500M"
shared = "{folder}/shared"
interface = "lo"
idle_s = {idle_s}
[group.cpu]
partition = "cpu"
workers = 2
jobs = {jobs}
[group.quantum]
partition = "quantum"
[qpu.ion0]
driver = "emulated"
qubits = 11
tags = ["ion"]
reach = "gres"
group = "quantum"
resource = "{resource}"
options = {{ driver = "statevector", job_s = {job_s} }}
[qpu.sc0]
driver = "statevector"
qubits = 11
slots = 2
reach = "gres"
group = "quantum"
resource = "qpu:sc:2"
[qpu.cloud0]
driver = "statevector"
qubits = 11
reach = "license"
group = "cpu_for_cloud"
resource = "qpu_cloud:1"
[group.cpu_for_cloud]
partition = "cpu"
[engine]
name = "{engine}"
"""


def site_on(
    folder: Path,
    *,
    engine: str = "parsl",
    job_s: float = 0.05,
    idle_s: int = 60,
    jobs: int = 2,
    resource: str = "qpu:ion:1",
    **replaced: str,
) -> Site:
    """The site of the test cluster: classical workers, an ion trap and two superconducting QPUs, one behind a licence.

    Args:
        replaced: lines of the file, by their key, to be written in another way.
    """
    text = CLUSTER.format(folder=folder, engine=engine, job_s=job_s, idle_s=idle_s, jobs=jobs, resource=resource)
    for key, line in replaced.items():
        text = text.replace(next(old for old in text.splitlines() if old.startswith(f"{key} =")), line, 1)
    path = folder / "cluster.toml"
    path.write_text(text)
    return Site.load(path)


@contextmanager
def start_program(text: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A user's program in a process of its own; what it prints comes through its stdout. One that does not end by
    itself within half a minute writes where each of its threads stands, and fails the test."""
    script = folder / "program.py"
    script.write_text(f"import faulthandler\nfaulthandler.register({int(signal.SIGUSR2)})\n{text}")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as program:
        try:
            yield program
            program.wait(30)
        finally:
            if program.poll() is None:
                program.send_signal(signal.SIGUSR2)
                time.sleep(0.5)
                program.kill()
