"""Running somebody's program as a child: found or not, signals handed on, its exit code as a shell would say it."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from qpu_executors.errors import ConqureError

HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_PR_SET_PDEATHSIG = 1


class CannotStart(ConqureError, OSError):
    """The program cannot be started."""

    kind = "cannot_start"

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code  # what a shell would exit with


def command_for(program: Sequence[str], ranks: int | None) -> list[str]:
    """The command to run: the program, through an MPI launcher if ``ranks`` says so.

    Raises:
        CannotStart: there is no such program, it is not executable, or no launcher is installed.
    """
    found = shutil.which(program[0])
    if found is None:
        raise _not_found(program[0])
    command = [found, *program[1:]]
    return command if ranks is None else [*_launcher(), "-n", str(ranks), *command]


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run it to its end; signals go on to it. Returns its exit code, 128 + the signal's number if one killed it."""
    handing_on = _HandOn()
    with handing_on:
        try:
            child = subprocess.Popen(command, env=dict(environment), preexec_fn=_end_with_parent)
        except OSError as error:
            raise CannotStart(f"cannot start {command[0]}: {error.strerror}.", 126) from error
        handing_on.to(child)
        code = child.wait()
    return code if code >= 0 else 128 - code


class _HandOn:
    """While this is open, signals go to the child, or are raised here as long as there is none."""

    def __enter__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._before = {number: signal.signal(number, self._handle) for number in HANDED_ON}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._child is None:
            sys.exit(128 + number)
        if not (number in (signal.SIGINT, signal.SIGQUIT) and _from_terminal()):
            self._child.send_signal(number)


def _from_terminal() -> bool:
    """Ctrl-C goes to all programs in the foreground, so the child has it already."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the child: SIGTERM when the parent is gone, however it went."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _launcher() -> list[str]:
    if named := os.environ.get("OPENMPQ_MPIRUN"):
        return shlex.split(named)
    for name in ("mpirun", "mpiexec", "srun"):
        if found := shutil.which(name):
            return [found]
    raise CannotStart(
        "ranks were asked for and neither mpirun, mpiexec nor srun is there. Load your MPI's module, or name the "
        "launcher: OPENMPQ_MPIRUN='mpirun --oversubscribe'.",
        127,
    )


def _not_found(name: str) -> CannotStart:
    if os.path.isdir(name):
        return CannotStart(f"{name} is a folder, not a program.", 126)
    if os.path.isfile(name):
        if os.sep not in name:
            return CannotStart(f"there is no command {name!r}. For the file of that name here type ./{name}.", 127)
        return CannotStart(f"{name} is not executable. Make it so: chmod +x {name}", 126)
    return CannotStart(f"there is no program {name!r}. Build it (openmpq-c++ … -o {name}), or give its path.", 127)
