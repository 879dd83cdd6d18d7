"""The keeper: a process between us and a program, so that nothing of the program outlives us, not even ``kill -9``.

It does nothing but wait. Linux makes it the parent of whatever the program leaves behind, and tells it when we are
gone; then it kills its children until there are none. It is forked before this process has threads, since afterwards
that is not safe, and hears later what to start.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
END = signal.SIGRTMIN  # kill everything; a signal that nobody else sends
# What a person, a shell or Slurm sends to us or to all of us: it is passed on to the program, and the keeper stays.
PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def keep(orders: int, report: int) -> NoReturn:
    """Be the keeper: read what to start, say how that went, end with the program's exit code. Runs after a fork."""
    code = 1
    try:
        parent = os.getppid()
        signal.signal(END, _end)
        before = {number: signal.signal(number, signal.SIG_IGN) for number in PASSED_ON}
        _tell_the_kernel(_PR_SET_PDEATHSIG, END)
        _tell_the_kernel(_PR_SET_CHILD_SUBREAPER, 1)
        if os.getppid() != parent:  # it ended before the kernel knew that we care
            _end()
        code = _start_and_wait(orders, report, {number for number in PASSED_ON if before[number] == signal.SIG_IGN})
    finally:
        os._exit(code)


def _start_and_wait(orders: int, report: int, ignored: set[signal.Signals]) -> int:
    with open(orders, "rb") as pipe:
        text = pipe.read()
    if not text:  # whoever was to give the order has failed before
        return 0
    command, environment = json.loads(text)

    def begin() -> None:
        for number in set(PASSED_ON) - ignored:
            signal.signal(number, signal.SIG_DFL)
        _tell_the_kernel(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with open(report, "w") as pipe_back:
        try:  # preexec_fn is safe, there are no threads here; what else was left open for the program stays open
            program = subprocess.Popen(command, env=environment, preexec_fn=begin, close_fds=False)
        except OSError as error:
            pipe_back.write(f"errno {error.errno}")
            return 1
        pipe_back.write(f"pid {program.pid}")
    return _wait_for(program.pid)


def exit_code(status: int) -> int:
    """What a shell makes of a wait status: 128 + N where signal N ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _wait_for(pid: int) -> int:
    """The program's exit code. What it leaves running then is ended, as srun ends what is left of a step."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            _kill_children()
            return exit_code(status)


def _end(*_: object) -> NoReturn:
    _kill_children()
    os._exit(1)


def _kill_children() -> None:
    """Kill them and wait for them; theirs then become ours, and so on."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(folder.name))
    return found


def _tell_the_kernel(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
