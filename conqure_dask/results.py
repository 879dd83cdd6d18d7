"""Where results of QPUs are kept: never on a QPU worker alone.

Dask repeats a task whose only result goes away with a worker; for a circuit that is a second run of the QPU. On Slurm
workers come and go, so results are brought home: to a worker that lives in the program's own process, runs nothing and
ends with it. Large ones go to a classical worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distributed import Worker
from distributed.active_memory_manager import ReduceReplicas, Suggestion

HOME = "conqure-home"  # the worker's name, and its only resource
SMALL = 16 * 2**20  # bytes; a result of counts has some kilobytes
CONFIG = {
    "distributed.scheduler.active-memory-manager.start": True,
    "distributed.scheduler.active-memory-manager.interval": "500ms",
    "distributed.scheduler.active-memory-manager.policies": [{"class": "conqure_dask.results.BringHome"}],
}


def home_spec(options: dict[str, Any]) -> dict[str, Any]:
    """The worker, as `distributed.SpecCluster` takes it."""
    own = {"nthreads": 1, "resources": {HOME: 1}, "memory_limit": 0}
    return {HOME: {"cls": Worker, "options": {**options, **own}}}


class BringHome(ReduceReplicas):
    """Copies what QPU workers hold to a safe place, then drops it there; else Dask's `ReduceReplicas`."""

    def run(self) -> Iterator[Any]:
        workers = self.manager.scheduler.workers.values()
        home = {worker for worker in workers if HOME in worker.resources}
        classical = {worker for worker in workers if "CPU" in worker.resources} or home
        for worker in workers:
            if "QPU" in worker.resources:
                for task in list(worker.has_what):
                    if is_safe(task):
                        yield Suggestion("drop", task, {worker})
                    else:
                        yield Suggestion("replicate", task, home if task.nbytes <= SMALL else classical)
        for suggestion in super().run():
            task = suggestion.ts
            kept = home if "QPU" in (task.resource_restrictions or ()) else set()
            yield Suggestion("drop", task, set(task.who_has or ()) - kept)


def is_safe(task: Any) -> bool:
    """Whether a result is at home, or if it is large on a classical worker; those may go, too, but not unasked."""
    places = [worker.resources for worker in task.who_has or ()]
    return any(HOME in place or (task.nbytes > SMALL and "CPU" in place) for place in places)
