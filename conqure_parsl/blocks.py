"""A Parsl executor of our own: a broker in the submitting process, and workers on blocks from any Parsl provider."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from math import ceil
from pathlib import Path
from typing import Any, TypedDict

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

from qpu_executors import QPU, ConqureError
from qpu_executors.task_queue import AGING_S

from . import launching
from .broker import Broker
from .gateway import Gateway
from .packing import pack_attempt, pack_call
from .slurm import GroupProvider, ProviderPerQPU
from .slurm_blocks import SlurmBlocks
from .specification import Placement, arguments

BlockErrorHandler = bool | Callable[[BlockProviderExecutor, dict[str, JobStatus]], None]


class BlockOptions(TypedDict, total=False):
    """Where the workers of an executor are, and what Parsl's own executors have too.

    Attributes:
        provider: any Parsl provider; the default is one block on this machine.
        max_workers_per_node: the default spreads the workers evenly over the nodes of all blocks.
        address: where blocks reach this program. By default blocks on this machine use a private Unix socket, all
            others an encrypted connection to whichever address of this machine answers.
        aging_s: seconds of waiting that lift a task by one priority level.
        working_dir, storage_access, block_error_handler, remote_monitoring_radio: as for Parsl's own executors.
    """

    provider: ExecutionProvider | None
    max_workers_per_node: int | None
    address: str | None
    aging_s: float
    working_dir: str | None
    storage_access: list[Staging] | None
    block_error_handler: BlockErrorHandler
    remote_monitoring_radio: RadioConfig | None


class BlockExecutor(BlockProviderExecutor, RepresentationMixin, UsageInformation):
    """What `QPUExecutor` and `CPUExecutor` have in common: a broker here, and workers on blocks of a Parsl provider.

    Args:
        leased: what the workers hold, one slot of it each.
        worker_lost: makes the (transient) error for a task whose worker died.
        The others: see `BlockOptions`.
    """

    def __init__(
        self,
        label: str,
        leased: Sequence[QPU],
        worker_lost: Callable[[str], Exception],
        *,
        provider: ExecutionProvider | None = None,
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
        self.max_workers_per_node = max_workers_per_node
        self.address = address
        self.aging_s = aging_s
        self.working_dir = working_dir
        self.storage_access = storage_access
        self.remote_monitoring_radio = remote_monitoring_radio or FilesystemRadio()
        self._leased = list(leased)
        self._worker_lost = worker_lost
        self._broker: Broker | None = None
        self._gateway: Gateway | None = None
        self._slurm: SlurmBlocks | None = None

    # Parsl's interface of all executors

    def start(self) -> None:
        super().start()
        local = self.address is None and _is_on_this_machine(self.provider)
        self._folder = Path(tempfile.mkdtemp(prefix="conqure-")) if local else Path(self.run_dir, self.label)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sockets = self._folder if local else Path(tempfile.mkdtemp(prefix="conqure-"))
        self._broker = Broker(
            self._leased,
            self._folder,
            self._sockets,
            self.aging_s,
            worker_lost=self._worker_lost,
            all_broken=self.set_bad_state_and_fail_all,
        )
        self._tasks = self._broker.pending  # Parsl's name for it
        if not local:
            self._gateway = Gateway(self._broker.socket, self._folder, self.address)
        if isinstance(self.provider, (GroupProvider, ProviderPerQPU)):
            self._slurm = SlurmBlocks(self, self.provider)

    def _hand_in(
        self, where: Placement, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        if self.bad_state_is_set:
            raise self._why_bad()
        packed = pack_call(func, args, arguments(func, kwargs))
        if where.ticket is not None and where.ticket.attempts:
            packed = pack_attempt(where.ticket.attempts + 1, packed)
        return self.broker.submit(where, packed)

    def shutdown(self) -> None:
        if self._broker is not None:
            self._broker.stop()
            shutil.rmtree(self._sockets, ignore_errors=True)
        if self._gateway is not None:
            self._gateway.stop()
        if self._slurm is not None:
            self._slurm.close()
        super().shutdown()

    def monitor_resources(self) -> bool:
        """No: watching the process costs 23 ms a task, and a QPU's time is in its results."""
        return False

    def get_usage_information(self) -> dict[str, Any]:
        return {"n_slots": sum(each.slots for each in self._leased)}

    # Parsl's interface for blocks

    def outstanding(self) -> int:
        return len(self.broker.pending)

    @property
    def workers_per_node(self) -> int:
        if self.max_workers_per_node is not None:
            return self.max_workers_per_node
        nodes = max(1, getattr(self.provider, "max_blocks", 1) * getattr(self.provider, "nodes_per_block", 1))
        return max(1, ceil(sum(each.slots for each in self._leased) / nodes))

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

    def handle_errors(self, status: dict[str, JobStatus]) -> None:
        """On Slurm one QPU's jobs may fail while another's run, so `SlurmBlocks` judges them."""
        if self._slurm is None:
            super().handle_errors(status)

    def why(self) -> list[str]:
        """Why tasks wait for blocks, in sentences; empty where none does.

        >>> for reason in dfk.executors["qpu"].why(): print(reason)
        """
        return self._slurm.why() if self._slurm else []

    def poll_facade(self) -> None:
        """Called by Parsl several times a second."""
        super().poll_facade()
        if self._slurm is not None and not self.bad_state_is_set:
            self._slurm.adapt()

    def scale_out_facade(self, n: int) -> list[str]:
        """Parsl asks for more blocks; on Slurm we know better which, and when."""
        if self._slurm is not None:
            return []
        started: list[str] = super().scale_out_facade(n)
        return started

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
        self.broker.fail_all(self._why_bad)

    def _why_bad(self) -> Exception:
        """The reason itself where it is one of our errors, a new one each time; else as Parsl's executors say it."""
        reason = self.executor_exception
        if isinstance(reason, ConqureError):
            return type(reason)(str(reason))
        return BadStateException(self, reason)

    def _get_launch_command(self, block_id: str) -> str:
        command = [*launching.python_module("conqure_parsl.block"), "--folder", str(self._folder)]
        command += ["--block-id", block_id]
        command += self._slurm.arguments(block_id) if self._slurm else ["--workers", str(self.workers_per_node)]
        if self._gateway is not None:
            command += ["--tunnel", ",".join(self._gateway.addresses)]
        return shlex.join(command)

    # What is ours

    @property
    def broker(self) -> Broker:
        if self._broker is None:
            raise RuntimeError(f"executor {self.label!r} has not started. Load a Config that lists it.")
        return self._broker

    def list_workers(self) -> list[dict[str, Any]]:
        """The workers there are: ``pid``, ``host``, ``block_id``, ``device_id``, ``ready``, ``busy``."""
        return self.broker.workers()


def _is_on_this_machine(provider: ExecutionProvider | None) -> bool:
    return (
        isinstance(provider, LocalProvider)
        and isinstance(provider.launcher, (SimpleLauncher, SingleNodeLauncher))
        and provider.nodes_per_block == 1
    )
