"""The test cluster of a benchmark, and the site that describes it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qpu_executors import Site

SIM = Path(__file__).parents[2] / "tools" / "slurm-sim"

SITE = """
name = "cluster"
[slurm]
walltime = "00:20:00"
memory = "500M"
interface = "lo"
shared = "{folder}"
idle_s = {idle_s}
[group.cpu]
partition = "cpu"
workers = {workers}
jobs = 3
[group.quantum]
partition = "quantum"
[qpu.ion0]
driver = "emulated"
qubits = 7
reach = "gres"
group = "quantum"
resource = "qpu:ion:1"
options = {{ driver = "statevector", job_s = {circuit_s} }}
[engine]
name = "parsl"
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster. ``folder``: where it and its sites lie."""

    folder: Path

    def site(self, circuit_s: float = 0.0, workers: int = 2, idle_s: int = 60) -> Site:
        """Three nodes of classical workers and one QPU whose circuits take so long."""
        path = self.folder / f"site-{circuit_s}-{workers}-{idle_s}.toml"
        folder = self.folder / "shared"
        path.write_text(SITE.format(folder=folder, circuit_s=circuit_s, workers=workers, idle_s=idle_s))
        return Site.load(path)

    def sim(self, command: str, *arguments: str) -> str:
        """What ``slurm-sim COMMAND`` prints."""
        words = [sys.executable, str(SIM), command, "--dir", str(self.folder / "sim"), *arguments]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def jobs(self) -> list[str]:
        """The numbers of all jobs that wait or run."""
        listed = subprocess.run(["squeue", "-h", "-o", "%A"], check=True, capture_output=True, text=True)
        return listed.stdout.split()


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster with three cpu nodes and one QPU, whose variables this process and its children have meanwhile."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = Cluster(Path(folder))
        before = dict(os.environ)
        try:
            for line in made.sim("up", "--qpus", "ion:1").splitlines():
                for word in shlex.split(line)[1:]:
                    name, _, value = word.partition("=")
                    os.environ[name] = value
            yield made
        finally:
            made.sim("down")
            os.environ.clear()
            os.environ.update(before)
