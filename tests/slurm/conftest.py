"""A real Slurm for the tests: one cluster for all of them, in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ..conftest import REPOSITORY
from ..openmpq.compiling import need
from ..waist.vendor import vendor_without_a_past, vendors_service

__all__ = ["vendor_without_a_past", "vendors_service"]

SIM = REPOSITORY / "tools" / "slurm-sim"
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass(frozen=True)
class Slurm:
    """A cluster of tools/slurm-sim. ``env`` holds the variables that a program needs to use it."""

    folder: Path
    settings: Sequence[str] = ()
    as_user: Sequence[str] = ()  # what a command begins with to be somebody else's
    tool: Sequence[str] = (sys.executable, str(SIM))
    env: dict[str, str] = field(default_factory=dict)

    def up(self) -> None:
        """Starts the cluster, or fails."""
        self.env.update(exported(self.sim("up", *self.settings)))

    def sim(self, *arguments: str, timeout: float = 90) -> str:
        """What ``slurm-sim ARGUMENTS`` prints about this cluster; raises with its messages if it fails."""
        command, *rest = arguments
        return output([*self.as_user, *self.tool, command, "--dir", str(self.folder), *rest], {}, timeout)

    def run(self, *command: str, timeout: float = 60) -> str:
        """What a client of Slurm prints; raises with its messages if it fails."""
        return output([*self.as_user, *command], self.env, timeout)

    def submit(self, command: str, *options: str) -> str:
        """The id of a new job that runs a line of shell."""
        return self.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}").strip()

    def state(self, job: str) -> str:
        """Slurm's word for how a job is, such as ``RUNNING``."""
        return self.field(job, "JobState")

    def field(self, job: str, name: str) -> str:
        """One of the fields of ``scontrol show job``."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job)
        found = re.search(rf"\b{name}=(.*?)( \S+=|$)", shown, re.MULTILINE)
        assert found, f"no {name} in {shown}"
        return found[1]

    def wait_until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Fails with ``what`` was awaited and how the cluster is, unless it comes true in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {seconds:.0f} s\n{self.sim('status')}")
            time.sleep(0.05)


def output(command: Sequence[str], variables: Mapping[str, str], timeout: float) -> str:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def exported(text: str) -> dict[str, str]:
    """The variables in the ``export`` lines that slurm-sim prints."""
    words = (shlex.split(line) for line in text.splitlines())
    return dict(assignment.split("=", 1) for export, assignment in words if export == "export")


def need_slurm(*programs: str) -> None:
    """Skips where Slurm is not installed; in CI that is a failure."""
    for program in ("slurmctld", "slurmd", "sbatch", "munged", *programs):
        need(shutil.which(program, path=SYSTEM_PATH), program)


@contextlib.contextmanager
def cluster_with(*settings: str) -> Iterator[Slurm]:
    """A cluster of one's own, for as long as the block lasts."""
    # Not below pytest's own folder: the path of a socket has room for 107 characters.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Slurm(Path(folder), settings)
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.sim("down")


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Slurm]:
    need_slurm()
    with cluster_with("--qpus", "ion:1", "sc:2", "--licenses", "qpu_cloud:1") as cluster:
        yield cluster


@pytest.fixture
def slurm(_cluster: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """The cluster of all tests: nodes c1, c2, c3 and q1 (qpu:ion:1), q2 (qpu:sc:2), and one licence qpu_cloud.

    The test's own process and what it starts use it without being told.
    """
    for name, value in _cluster.env.items():
        monkeypatch.setenv(name, value)
    return _cluster
