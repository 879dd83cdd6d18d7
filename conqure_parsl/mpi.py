"""MPI programs as tasks of the same graph: Parsl's own `MPIExecutor` for a group of a site with ``mpi = true``."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from parsl.executors import MPIExecutor
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.jobs.states import TERMINAL_STATES
from parsl.providers.base import ExecutionProvider

from qpu_executors import Group, InvalidTask

from . import launching
from .slurm import GroupProvider


def mpi_executor(group: Group, provider: ExecutionProvider, address: str | None = None) -> GroupMPIExecutor:
    """Parsl's executor for MPI programs, on the jobs of a group; its label is the group's name.

    A `bash_app` on it starts its program with ``$PARSL_MPI_PREFIX``, which is an srun on the nodes that the task got.

    Args:
        provider: whose blocks are jobs of the group, with Parsl's `SimpleLauncher`.
        address: where the jobs reach this program; by default on the group's interface.

    >>> @parsl.bash_app(executors=["mpi"])
    ... def solve(parsl_resource_specification={"num_nodes": 2, "ranks_per_node": 4}):
    ...     return "$PARSL_MPI_PREFIX ./solver"
    """
    from .addresses import address_on

    return GroupMPIExecutor(group, provider, address or address_on(group.interface))


class GroupMPIExecutor(MPIExecutor):
    """An `MPIExecutor` that starts with any PATH, ends with the program, and gives back jobs that stand idle.

    Args:
        group, provider, address: as for `mpi_executor`.
    """

    def __init__(self, group: Group, provider: ExecutionProvider, address: str | None) -> None:
        program = DEFAULT_LAUNCH_CMD.removeprefix("process_worker_pool.py ")
        pool = shlex.join(launching.python_module("conqure_parsl.mpi_pool"))  # it ends when the interchange is silent
        super().__init__(
            label=group.name,
            provider=provider,
            address=address,
            max_workers_per_block=group.nodes,  # as many programs as nodes, if each has one
            mpi_launcher="srun",
            launch_cmd=f"{pool} {program}",
            heartbeat_period=5,
            heartbeat_threshold=30,
        )
        # MPIExecutor takes one text, and HTEX a list of words: a path may hold a blank.
        self.interchange_launch_cmd = [*launching.lifeline(), "parsl.executors.high_throughput.interchange"]
        self.group = group
        self._queue = provider.queue if isinstance(provider, GroupProvider) else None
        self._lock = threading.Lock()
        self._nodes_wanted = 0
        self._idle_since: float | None = None

    def start(self) -> None:
        if self._queue is not None:
            self._queue.opened()
        super().start()

    def shutdown(self, *arguments: Any, **options: Any) -> None:
        super().shutdown(*arguments, **options)
        if self._queue is not None:
            self._queue.closed([self.group.name])

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """As Parsl's. A task that asks for more nodes than a job has is refused; there it would wait for ever.

        Raises:
            InvalidTask: so many nodes; or none are asked for.
        """
        nodes = self._nodes(resource_specification)
        future: Future[Any] = super().submit(func, resource_specification, *args, **kwargs)
        self._want(nodes)
        future.add_done_callback(lambda _: self._want(-nodes))
        return future

    def outstanding(self) -> int:
        """Nodes that tasks hold or wait for: what Parsl compares with those of the blocks it has."""
        return self._nodes_wanted

    @property
    def workers_per_node(self) -> int:
        return 1

    def poll_facade(self) -> None:
        """Called by Parsl several times a second: jobs that have stood idle for ``idle_s`` are given back."""
        super().poll_facade()
        if self._nodes_wanted:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        active = sum(status.state not in TERMINAL_STATES for status in self._status.values())
        if active > self.provider.min_blocks and now - self._idle_since > self.group.idle_s:
            self.scale_in_facade(active - self.provider.min_blocks)

    def _nodes(self, specification: dict[str, Any]) -> int:
        asked, most = specification.get("num_nodes"), self.provider.nodes_per_block
        example = "parsl_resource_specification={'num_nodes': 1, 'ranks_per_node': 2}"
        if not isinstance(asked, int) or asked < 1:
            raise InvalidTask(f"an MPI task says how many nodes it needs: {example}.")
        if asked > most:
            raise InvalidTask(
                f"the task asks for {asked} nodes, and a job of group {self.group.name!r} has {most}. "
                f"Ask for fewer, or raise 'nodes' in [group.{self.group.name}] of the site file."
            )
        return asked

    def _want(self, nodes: int) -> None:
        with self._lock:
            self._nodes_wanted += nodes
