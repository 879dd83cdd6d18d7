"""A program that we start, wait for and pass signals to, and that ends with us."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from qpu_executors.errors import ConqureError

from .keeper import END, PASSED_ON, exit_code, keep

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # a shell's exit codes


class CannotStart(ConqureError, OSError):
    """The program cannot be started; ``exit_code`` is what a shell would give."""

    kind = "cannot_start"

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Program:
    """A program to come. Make it before this process has threads, in the main thread.

    At the end of the block nothing of it runs any more, and the same if this process is killed.

    >>> with Program() as program:
    ...     program.run(["./vqe"], os.environ)
    0
    """

    def __init__(self) -> None:
        orders, self._orders = os.pipe()
        self._report, report = os.pipe()
        self._pid = 0
        self._exit_code: int | None = None
        self._keeper = os.fork()
        if self._keeper == 0:
            os.close(self._orders)
            os.close(self._report)
            keep(orders, report)
        os.close(orders)
        os.close(report)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._exit_code is None:
            os.kill(self._keeper, END)
            os.waitpid(self._keeper, 0)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start it and wait; meanwhile the signals that reach us are its own. Returns the exit code as a shell does.

        Raises:
            CannotStart: it is no program that this machine can run.
        """
        with hearing(self._signal, PASSED_ON):
            self._start(command, environment)
            self._exit_code = exit_code(os.waitpid(self._keeper, 0)[1])
        return self._exit_code

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with open(self._orders, "w") as pipe:
            json.dump([list(command), dict(environment)], pipe)
        with open(self._report) as pipe_back:
            kind, _, number = pipe_back.read().partition(" ")
        if kind != "pid":
            raise CannotStart(f"cannot run {command[0]!r}: {_reason(int(number))}.", NOT_EXECUTABLE)
        self._pid = int(number)

    def _signal(self, number: int) -> None:
        if self._pid == 0:  # still starting
            raise SystemExit(128 + number)
        if not (number in (signal.SIGINT, signal.SIGQUIT) and _in_the_foreground()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


def check_program(name: str) -> None:
    """`CannotStart` if a shell would not find or not execute it."""
    if shutil.which(name):
        return
    if os.path.isdir(name):
        raise CannotStart(f"{name!r} is a folder, not a program.", NOT_EXECUTABLE)
    if os.sep in name and os.path.exists(name):
        raise CannotStart(f"{name!r} may not be executed. Allow it: chmod +x {name}", NOT_EXECUTABLE)
    if os.sep in name:
        raise CannotStart(f"there is no file {name!r}.", NOT_FOUND)
    beside = f" For the file of this name type ./{name}" if os.path.isfile(name) else ""
    raise CannotStart(f"there is no program {name!r} on the PATH.{beside}", NOT_FOUND)


@contextlib.contextmanager
def hearing(receive: Callable[[int], None], numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Signals go to a function inside this block; those that we were started to ignore stay ignored."""

    def handler(number: int, frame: FrameType | None) -> None:
        receive(number)

    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in before if before[number] != signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _in_the_foreground() -> bool:
    """Whether a key of the terminal reaches us; then it has reached the program too, which is in the same group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _reason(number: int) -> str:
    if number == errno.ENOEXEC:
        return "it is neither a program of this machine nor a script that starts with #!"
    return os.strerror(number)
