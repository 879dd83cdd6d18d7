"""How an MPI program is started here."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence

from qpu_executors.errors import MissingPackage
from qpu_executors.site import Site

from .serving import names

VARIABLE = "OPENMPQ_MPIRUN"
LAUNCHERS = ("mpirun", "mpiexec", "srun")


def as_ranks(n: int, program: Sequence[str], listen: str) -> list[str]:
    """The command line that starts a program as n ranks, which are told of the pool on every node.

    Raises:
        MissingPackage: there is no launcher.
    """
    words = launcher()
    told = names(listen)
    told += sorted(name for name in os.environ if name.startswith("OPENMPQ_") and name not in told)
    exports = [word for name in told for word in ("-x", name)] if _is_open_mpi(words[0]) else []
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


def where_to_listen(command: Sequence[str], site: Site) -> str:
    """Where the bridge to a program listens, if nobody says: on the network if ranks may be on other nodes.

    Then it is on the interface that the site's groups name, else at the address of this machine's name. For one
    machine it is a Unix socket.

    Args:
        command: what is started, with its launcher.

    >>> where_to_listen(["./vqe"], Site.load("laptop"))
    'unix'
    """
    by_srun = bool(command) and os.path.basename(command[0]) == "srun"
    if not by_srun and os.environ.get("SLURM_JOB_NUM_NODES", "1") == "1":
        return "unix"
    interface = next((group.interface for group in site.groups if group.interface), "")
    return f"tcp:{interface or _own_address()}:0"


def _own_address() -> str:
    """An address that other nodes reach: not the loopback that some systems give their own name."""
    with contextlib.suppress(OSError):
        address = socket.gethostbyname(socket.gethostname())
        if not address.startswith("127."):
            return address
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
        outward.connect(("192.0.2.1", 9))  # sends nothing: the kernel says from which address it would
        return str(outward.getsockname()[0])
    return "127.0.0.1"


def advice(listen: str) -> Iterator[str]:
    """What is allowed, but hardly meant."""
    n = os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("PMI_SIZE") or "1"
    if n not in ("", "1"):
        yield f"each of the {n} ranks starts a pool of its own. For one that they share: openmpq-run -n {n} PROGRAM"
    nodes = os.environ.get("SLURM_JOB_NUM_NODES", "1")
    if nodes != "1" and not listen.startswith("tcp"):
        yield (
            f"this job has {nodes} nodes, and a Unix socket is for this one only. "
            "For programs on the others leave --listen out, or say: --listen tcp:$(hostname):0"
        )


def _is_open_mpi(launcher: str) -> bool:
    """Open MPI, unlike others, sends to other nodes only those variables that it is told to."""
    if os.path.basename(launcher) == "srun":
        return False
    done = subprocess.run([launcher, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return "Open MPI" in done.stdout or "OpenRTE" in done.stdout
