"""Cancels the jobs of a program that died: ``python reaper.py LEDGER COMMENT PID``, started by `ledger`.

It outlives the program by some seconds, and uses nothing but the standard library. The program is gone when its end of
our standard input is closed or its process is no more; ``kill -9`` does both. If its ledger is gone too, it ended in
order.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import subprocess
import sys
import time
from pathlib import Path

LOOKS_S = (0.0, 1.0, 3.0, 10.0)  # an sbatch that was under way when the program died may need a moment
PATIENCE_S = 600.0  # for a controller that does not answer


def wait_for_end(pid: int) -> None:
    """Until the program closes our standard input or is gone."""
    watched = [0]
    with contextlib.suppress(OSError, AttributeError):
        watched.append(os.pidfd_open(pid))
    while True:
        ready, _, _ = select.select(watched, [], [])
        if ready != [0] or not os.read(0, 4096):
            return


def marked_jobs(comment: str) -> list[str] | None:
    """The program's jobs that have not ended; None if Slurm does not answer."""
    words = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%k"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    lines = (line.split("|", 1) for line in done.stdout.splitlines())
    return [job_id for job_id, *said in lines if said == [comment]]


def cancel_all(comment: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for pause in LOOKS_S:
        time.sleep(pause)
        while (found := marked_jobs(comment)) is None and time.monotonic() < deadline:
            time.sleep(2.0)
        if found:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(["scancel", "--quiet", *found], timeout=60)


def main() -> None:
    path, comment, pid = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    wait_for_end(pid)
    if path.exists():
        cancel_all(comment)
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
