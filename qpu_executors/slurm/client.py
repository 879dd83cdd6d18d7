"""Asking Slurm, by its commands: submitting is the engines' own business, everything else goes through here."""

from __future__ import annotations

import functools
import getpass
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import NoSlurm, SlurmError, SlurmUnavailable

PATIENCE_S = 30.0  # a busy controller may take this long to answer
# What the commands print when the controller is restarting or overloaded: the same command may succeed later.
_PASSING = re.compile(
    r"unable to contact slurm controller|timed out|connection refused|temporarily|try again|slurm backup controller"
    r"|communication connection failure|controller .*not respond|zero bytes were transmitted|unexpected message",
    re.IGNORECASE,
)
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}


@dataclass(frozen=True)
class Job:
    """A job as squeue tells it. ``starts_at`` is Slurm's guess, ISO 8601, or ``""``; ``comment`` is what we wrote."""

    job_id: str
    name: str
    partition: str
    state: str
    reason: str = ""
    starts_at: str = ""
    nodes: str = ""
    comment: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def available() -> bool:
    """Whether Slurm's commands are on PATH."""
    return shutil.which("sbatch") is not None and shutil.which("squeue") is not None


def ask(*command: str, timeout_s: float = PATIENCE_S) -> str:
    """What a command of Slurm prints.

    Raises:
        SlurmUnavailable: the controller does not answer now; SlurmError: it refuses, with its own words.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise _not_here(command[0]) from None
    except subprocess.TimeoutExpired:
        raise SlurmUnavailable(f"{command[0]} did not answer within {timeout_s:.0f} s.") from None
    if done.returncode:
        raise error_from(command[0], done.stderr or done.stdout)
    return done.stdout


def _not_here(command: str) -> NoSlurm:
    return NoSlurm(
        f"{command!r} is not on PATH, so this machine is no login node of Slurm. Load your site's module for it, or "
        "choose a site that needs none: conqure sites list"
    )


def error_from(command: str, text: str) -> SlurmError:
    """The error that stands for what a command printed."""
    said = " ".join(re.sub(rf"^{command}: (error: )?", "", line).strip() for line in text.splitlines() if line.strip())
    if said.endswith("not found"):
        return _not_here(command)
    if "establish a configuration source" in said:
        return NoSlurm(
            f"{command} finds no configuration of Slurm. Set SLURM_CONF to the site's slurm.conf (a module or a login "
            "shell usually does), or run this on a login node. Then: conqure doctor"
        )
    kind = SlurmUnavailable if _PASSING.search(said) else SlurmError
    return kind(f"{command} says: {(said or 'nothing, but failed').rstrip('.')}.")


_FIELDS = ("%i", "%j", "%P", "%T", "%r", "%S", "%N", "%k")


def jobs(comment: str = "") -> dict[str, Job]:
    """My jobs, also those that ended in the last minutes; with ``comment`` only those that carry it.

    One question whatever the number of jobs, and never about single ones: squeue fails for one that it has forgotten.
    """
    lines = ask(
        "squeue", "--noheader", "--states=all", f"--user={user()}", f"--format={'|'.join(_FIELDS)}"
    ).splitlines()
    found = {}
    for line in lines:
        job_id, name, partition, state, reason, starts_at, nodes, said = (line.split("|", 7) + [""] * 8)[:8]
        if comment and said != comment:
            continue
        known = "" if starts_at in ("N/A", "(null)") else starts_at
        found[job_id] = Job(job_id, name, partition, state, "" if reason == "None" else reason, known, nodes, said)
    return found


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs; those that are over already are no error."""
    if job_ids := list(job_ids):
        ask("scancel", "--quiet", *job_ids)


def test_only(script: str) -> str:
    """Whether this site would take a batch script, without submitting it: what Slurm says of when and where.

    Raises:
        SlurmError: it would not, with Slurm's own words.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        try:
            done = subprocess.run(
                ["sbatch", "--test-only", file.name], capture_output=True, text=True, timeout=PATIENCE_S
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            raise SlurmUnavailable(f"sbatch did not answer: {error}") from None
    if done.returncode:
        raise error_from("sbatch", done.stderr)
    return re.sub(r"^sbatch: ", "", done.stderr.strip())


@functools.cache
def user() -> str:
    return getpass.getuser()
