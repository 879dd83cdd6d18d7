"""The stock worker pool of HTEX on the first node of a job for MPI programs, with one method of Parsl's mended.

When a task ends, Parsl (2026.10) looks for one that fits the nodes that are free now. If the next in line needs more,
it takes that one again and again, until Python's limit of recursion ends the thread, and nothing comes back any more.
"""

from __future__ import annotations

import contextlib
import queue
import runpy
import sys

from parsl.executors.high_throughput.mpi_resource_management import MPITaskScheduler


def schedule_backlog_tasks(scheduler: MPITaskScheduler) -> None:
    """Try each waiting task once; those that do not fit are put back."""
    waiting = []
    with contextlib.suppress(queue.Empty):
        while True:
            waiting.append(scheduler._backlog_queue.get(block=False))
    for each in waiting:
        scheduler.put_task(each.task)


def main() -> None:
    MPITaskScheduler._schedule_backlog_tasks = schedule_backlog_tasks
    sys.argv[0] = "process_worker_pool.py"
    runpy.run_module("parsl.executors.high_throughput.process_worker_pool", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
