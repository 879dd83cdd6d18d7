"""How an MPI program is started here."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from qpu_executors.errors import MissingPackage

VARIABLE = "OPENMPQ_MPIRUN"
LAUNCHERS = ("mpirun", "mpiexec", "srun")


def as_ranks(n: int, program: Sequence[str], listen: str) -> list[str]:
    """The command line that starts a program as n ranks, which are told of the pool on every node.

    Raises:
        MissingPackage: there is no launcher.
    """
    words = launcher()
    names = ["OPENMPQ_POOL", *(["OPENMPQ_TOKEN_FILE"] if listen.startswith("tcp") else [])]
    names += sorted(name for name in os.environ if name.startswith("OPENMPQ_") and name not in names)
    exports = [word for name in names for word in ("-x", name)] if _is_open_mpi(words[0]) else []
    return [*words, "-n", str(n), *exports, *program]


def launcher() -> list[str]:
    """What starts ranks here: ``$OPENMPQ_MPIRUN``, which may have options, or the first that is installed.

    Raises:
        MissingPackage: there is none.
    """
    named = shlex.split(os.environ.get(VARIABLE, ""))
    for words in [named] if named else [[name] for name in LAUNCHERS]:
        if shutil.which(words[0]):
            return words
    lacks = f"{named[0]!r}, which {VARIABLE} names, is not" if named else f"none of {', '.join(LAUNCHERS)} is"
    raise MissingPackage(
        f"ranks need an MPI launcher, and {lacks} on the PATH. Load the MPI module of your machine, or name the "
        f"launcher: {VARIABLE}='mpirun --bind-to none'"
    )


def advice(listen: str) -> Iterator[str]:
    """What is allowed, but hardly meant."""
    n = os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("PMI_SIZE") or "1"
    if n not in ("", "1"):
        yield f"each of the {n} ranks starts a pool of its own. For one that they share: openmpq-run -n {n} PROGRAM"
    nodes = os.environ.get("SLURM_JOB_NUM_NODES", "1")
    if nodes != "1" and not listen.startswith("tcp"):
        yield (
            f"this job has {nodes} nodes, and a Unix socket is for this one only. "
            "For programs on the others: --listen tcp:$(hostname):0"
        )


def _is_open_mpi(launcher: str) -> bool:
    """Open MPI, unlike others, sends to other nodes only those variables that it is told to."""
    if os.path.basename(launcher) == "srun":
        return False
    done = subprocess.run([launcher, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return "Open MPI" in done.stdout or "OpenRTE" in done.stdout
