"""`QPUExecutor`: a Parsl executor whose workers are QPUs, on blocks from any Parsl provider."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from math import ceil
from pathlib import Path
from typing import Any

from parsl.data_provider.staging import Staging
from parsl.executors.errors import BadStateException
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus
from parsl.launchers import SimpleLauncher, SingleNodeLauncher
from parsl.monitoring.radios.base import RadioConfig
from parsl.monitoring.radios.filesystem import FilesystemRadio
from parsl.providers import LocalProvider
from parsl.providers.base import ExecutionProvider
from parsl.usage_tracking.api import UsageInformation
from parsl.utils import RepresentationMixin

from qpu_executors import QPU
from qpu_executors.task_queue import AGING_S

from . import launching
from .broker import Broker
from .classical import Classical, run_classical
from .packing import pack_call
from .specification import Placement, arguments, placement
from .tunnel import Gateway

BlockErrorHandler = bool | Callable[[BlockProviderExecutor, dict[str, JobStatus]], None]


class QPUExecutor(BlockProviderExecutor, RepresentationMixin, UsageInformation):
    """Runs quantum tasks on workers that hold one QPU each, from start to end.

    A QPU is leased as many times as it has slots, over all blocks together, and a worker runs one task at a time: a
    QPU with one slot never runs two. Who goes next is the rule of `qpu_executors.TaskQueue`: HIGH before MEDIUM before
    LOW with linear aging, first come first served inside a level. A worker that dies fails its task with
    `DeviceLost` (transient, so Parsl's retries apply) and is started again.

    A task's resource specification may hold ``device_id`` (a name or selector), ``priority`` and ``session``.
    Parsl's own keys for classical resources (``cores``, ``memory``, …) pass without effect.

    Args:
        label: the executor's name, for ``executors=[label]``.
        qpus: the QPUs to hand out, e.g. ``site.qpus``.
        provider: any Parsl provider; the default is one block on this machine.
        classical: what to do with a task that names no QPU: ``"refuse"`` it with an error, ``"run"`` it on a worker
            anyway, or hand it to another executor of the same `Config` (given as object; `parsl_config` does this).
        max_workers_per_node: the default spreads the slots of all QPUs evenly over the nodes of all blocks.
        address: where blocks reach this program. By default blocks on this machine use a private Unix socket, all
            others an encrypted connection to whichever address of this machine answers.
        aging_s: seconds of waiting that lift a task by one priority level.
        working_dir, storage_access, block_error_handler, remote_monitoring_radio: as for Parsl's own executors.

    >>> Config(executors=[QPUExecutor(qpus=Site.load().qpus)])
    """

    def __init__(
        self,
        label: str = "qpu",
        qpus: Sequence[QPU] = (),
        provider: ExecutionProvider | None = None,
        classical: Classical = "refuse",
        max_workers_per_node: int | None = None,
        address: str | None = None,
        aging_s: float = AGING_S,
        working_dir: str | None = None,
        storage_access: list[Staging] | None = None,
        block_error_handler: BlockErrorHandler = True,
        remote_monitoring_radio: RadioConfig | None = None,
    ) -> None:
        provider = provider or LocalProvider(launcher=SimpleLauncher(), min_blocks=1)
        super().__init__(provider=provider, block_error_handler=block_error_handler)
        self.label = label
        self.qpus = list(qpus)
        self.classical = classical
        self.max_workers_per_node = max_workers_per_node
        self.address = address
        self.aging_s = aging_s
        self.working_dir = working_dir
        self.storage_access = storage_access
        self.remote_monitoring_radio = remote_monitoring_radio or FilesystemRadio()
        self._broker: Broker | None = None
        self._gateway: Gateway | None = None

    # Parsl's executor interface

    def start(self) -> None:
        super().start()
        local = self.address is None and _is_on_this_machine(self.provider)
        self._folder = Path(tempfile.mkdtemp(prefix="conqure-")) if local else Path(self.run_dir, self.label)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sockets = self._folder if local else Path(tempfile.mkdtemp(prefix="conqure-"))
        self._broker = Broker(self.qpus, self._folder, self._sockets, self.aging_s, self.set_bad_state_and_fail_all)
        self._tasks = self._broker.pending  # Parsl's name for it
        if not local:
            self._gateway = Gateway(self._broker.socket, self._folder, self.address)

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Hand in one try of a task; called by Parsl.

        Raises:
            InvalidResourceSpecification: an unknown key; UnknownDevice: no QPU here fits; NotOnQPU: a classical
            task, and this executor refuses them.
        """
        if self.bad_state_is_set:
            raise BadStateException(self, self.executor_exception)
        where = placement(resource_specification, func, args)
        if where is None:
            if self.classical != "run":
                return run_classical(self, func, resource_specification, args, kwargs)
            where = Placement()
        return self.broker.submit(where, pack_call(func, args, arguments(func, kwargs)))

    def shutdown(self) -> None:
        if self._broker is not None:
            self._broker.stop()
            shutil.rmtree(self._sockets, ignore_errors=True)
        if self._gateway is not None:
            self._gateway.stop()
        super().shutdown()

    def monitor_resources(self) -> bool:
        """No: watching the process costs 23 ms a task, and a QPU's time is in its results."""
        return False

    def get_usage_information(self) -> dict[str, Any]:
        return {"n_qpus": len(self.qpus)}

    # Parsl's interface for blocks

    def outstanding(self) -> int:
        return len(self.broker.pending)

    @property
    def workers_per_node(self) -> int:
        if self.max_workers_per_node is not None:
            return self.max_workers_per_node
        nodes = max(1, getattr(self.provider, "max_blocks", 1) * getattr(self.provider, "nodes_per_block", 1))
        return max(1, ceil(sum(qpu.slots for qpu in self.qpus) / nodes))

    @property
    def status_polling_interval(self) -> float:
        """A local block is asked often, it costs next to nothing; a batch system as rarely as its provider says."""
        interval: float = super().status_polling_interval
        return min(interval, 1.0) if isinstance(self.provider, LocalProvider) else interval

    def status(self) -> dict[str, JobStatus]:
        """As the provider says, but a block that did start and ended later is not a block that cannot start."""
        status: dict[str, JobStatus] = super().status()
        for block_id, job in status.items():
            if job.state == JobState.FAILED and block_id in self.broker.connected_blocks:
                status[block_id] = JobStatus(JobState.COMPLETED, f"ended with {job.exit_code}", job.exit_code)
        return status

    def scale_in(self, blocks: int) -> list[str]:
        """Idle blocks first; their workers get a moment to close their devices."""
        active = [block_id for block_id, job in self._status.items() if job.state not in TERMINAL_STATES]
        busy = self.broker.busy_blocks()
        chosen = sorted(active, key=lambda block_id: block_id in busy)[:blocks]
        self.broker.stop_blocks(chosen)
        jobs = [self.blocks_to_job_id[block_id] for block_id in chosen]
        assert self.provider is not None
        cancelled = self._filter_scale_in_ids(jobs, self.provider.cancel(jobs))
        return [self.job_ids_to_block[job] for job in cancelled]

    def set_bad_state_and_fail_all(self, exception: Exception) -> None:
        """No task can ever run here: fail those that wait, and all to come."""
        self._executor_exception = exception
        self._executor_bad_state.set()
        self.broker.fail_all(BadStateException(self, exception))

    def _get_launch_command(self, block_id: str) -> str:
        command = [*launching.python_module("conqure_parsl.block"), "--folder", str(self._folder)]
        command += ["--block-id", block_id, "--workers", str(self.workers_per_node)]
        if self._gateway is not None:
            command += ["--tunnel", ",".join(self._gateway.addresses)]
        return shlex.join(command)

    # What is ours

    @property
    def broker(self) -> Broker:
        if self._broker is None:
            raise RuntimeError(f"executor {self.label!r} has not started. Load a Config that lists it.")
        return self._broker

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str:
        """Bind a session to the fitting QPU with the fewest sessions; returns the QPU's name."""
        return self.broker.open_session(session, device_id, hold)

    def close_session(self, session: str) -> None:
        self.broker.close_session(session)

    def workers(self) -> list[dict[str, Any]]:
        """The workers there are: ``pid``, ``host``, ``block_id``, ``device_id``, ``ready``, ``busy``."""
        return self.broker.workers()


def _is_on_this_machine(provider: ExecutionProvider | None) -> bool:
    return (
        isinstance(provider, LocalProvider)
        and isinstance(provider.launcher, (SimpleLauncher, SingleNodeLauncher))
        and provider.nodes_per_block == 1
    )
