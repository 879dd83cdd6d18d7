"""Processes that end with the program that started them, whatever ends it.

As a command it wraps the stock programs of Parsl's HTEX, which since 2024 outlive a program that does not end inside
``with parsl.load(…)``::

    python lifeline.py [--pid PID] [--group] MODULE [ARGUMENT …]

runs ``MODULE`` as ``__main__`` and kills this process (with ``--group``: its whole process group) when process PID
(default: the parent; 0: nobody) is gone, ``kill -9`` included. It uses nothing but the standard library, so it runs
as a file, wherever that is.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import runpy
import select
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (Linux; elsewhere the broken connection does it).

    Only for children of a main thread: the kernel means the parent *thread*.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended in between
            os.kill(os.getpid(), signal.SIGKILL)


def watch(pid: int, group: bool) -> None:
    """Kill this process or its group as soon as process ``pid`` is gone; returns at once."""
    threading.Thread(target=_watch, args=(pid, group), name="lifeline", daemon=True).start()


def _watch(pid: int, group: bool) -> None:
    _wait_for_end(pid)
    if group:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or an old kernel: look now and then
        while _exists(pid):
            time.sleep(0.5)
        return
    select.select([handle], [], [])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pid", type=int, default=os.getppid())
    parser.add_argument("--group", action="store_true")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.pid:
        watch(options.pid, options.group)
    # A terminal sends Ctrl-C to every process. The program that started us ends us in order; it would wait for ever for
    # an interchange that has gone before it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.argv = [options.module, *options.arguments]
    runpy.run_module(options.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
