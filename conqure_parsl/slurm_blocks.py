"""Which jobs of Slurm an executor has, asks for and gives back: by what waits, not by a count of slots.

Parsl's strategy compares numbers of tasks and slots. Here a task may need one QPU of several, each with its own jobs;
a job that stands idle keeps a QPU from other people; and a node that is lost is known by its broken connection long
before Slurm notices. So executors on Slurm look after their blocks themselves, each time Parsl polls them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from qpu_executors import ConqureError, DeviceError, SlurmError, SlurmUnavailable
from qpu_executors.slurm.reasons import explain

from .leases import Demand
from .slurm import GroupProvider, ProviderPerQPU

if TYPE_CHECKING:
    from .blocks import BlockExecutor

logger = logging.getLogger(__name__)

AGAIN_S = 2.0  # until the next sbatch, if the controller does not answer
LAST_S = 60.0  # of its walltime in which a block begins nothing more, or a tenth if that is less
FAILURES = 3  # jobs in a row that ended before their workers reported, until we give up


class SlurmBlocks:
    """The blocks of one executor on Slurm.

    Args:
        executor: its broker says what waits and who idles.
        provider: of one group, or of several QPUs.
    """

    def __init__(self, executor: BlockExecutor, provider: GroupProvider | ProviderPerQPU) -> None:
        self._executor, self.per_qpu = executor, isinstance(provider, ProviderPerQPU)
        each_of = provider.providers if isinstance(provider, ProviderPerQPU) else [provider]
        self._providers = {each.name: each for each in each_of}
        self._queue = each_of[0].queue
        self._queue.opened()
        self._name_of: dict[str, str] = {}  # block to QPU or group
        self._not_before = 0.0
        self._failures: Counter[str] = Counter()
        self._since: dict[str, float] = {}  # when each block reported
        self._judged: set[str] = set()  # blocks whose end has been looked at

    def arguments(self, block_id: str) -> list[str]:
        """For the command of a block: which QPU it may hold, with how many workers."""
        name = self._name_of[block_id]
        provider = self._providers[name]
        workers = ["--workers", str(provider.group.workers_for(provider.qpu))]
        return [*workers, "--qpu", name] if self.per_qpu else workers

    def adapt(self) -> None:
        """Ask for the jobs that are needed, and give back those that stand idle."""
        self.note_lost(self._executor._status)
        self._let_go_of_the_old()
        self._judge_the_ended()
        active = self._active()
        demand = self._demand(active)
        self._queue.waiting({name: each.waiting for name, each in demand.items()})
        self._give_back(active)
        if time.monotonic() < self._not_before:
            return
        for name, provider in self._providers.items():
            needed = math.ceil((demand[name].waiting + demand[name].running) / self._slots(provider))
            needed = min(max(needed, provider.min_blocks), provider.max_blocks)
            for _ in range(needed - active[name]):
                if not self._start(name):
                    return

    def note_lost(self, status: dict[str, JobStatus]) -> None:
        """A block whose workers are gone is over, though Slurm may need minutes to see that its node is dead."""
        for block_id in self._executor.broker.lost_blocks():
            if block_id in status and status[block_id].state not in TERMINAL_STATES:
                job_id = self._executor.blocks_to_job_id[block_id]
                provider = self._providers[self._name_of[block_id]]
                provider.avoid(job_id, self._executor.broker.nodes_of.get(block_id, ()))
                provider.cancel([job_id])
                status[block_id] = JobStatus(JobState.COMPLETED, f"Slurm job {job_id} was lost")

    def why(self) -> list[str]:
        """Why tasks wait, in sentences."""
        said = []
        for name, demand in self._demand(self._active()).items():
            if n := demand.waiting:
                jobs = [
                    job for block, job in self._executor.blocks_to_job_id.items() if self._name_of.get(block) == name
                ]
                found = [self._queue.jobs[job] for job in jobs if job in self._queue.jobs]
                reasons = [explain(job) for job in found if not job.ended] or ["No job has been submitted for it yet."]
                said.append(f"{n} task{'s' if n > 1 else ''} wait for {name!r}: {' '.join(reasons)}")
        return said

    def close(self) -> None:
        """The executor has stopped its blocks: see that no job is left."""
        self._queue.closed(list(self._providers))

    def _active(self) -> Counter[str]:
        """Blocks by QPU or group: submitted and not over."""
        return Counter(
            self._name_of[block_id]
            for block_id, status in list(self._executor._status.items())
            if status.state not in TERMINAL_STATES and block_id in self._name_of
        )

    def _demand(self, active: Counter[str]) -> dict[str, Demand]:
        """Tasks that wait and run, by QPU or group."""
        slots = {name: n * self._slots(self._providers[name]) for name, n in active.items()}
        demand = self._executor.broker.demand(slots)
        return demand if self.per_qpu else dict(zip(self._providers, demand.values(), strict=True))

    @staticmethod
    def _slots(provider: GroupProvider) -> int:
        return provider.group.workers_for(provider.qpu) * provider.nodes_per_block

    def _start(self, name: str) -> bool:
        """Submit one block; whether it makes sense to submit another now."""
        executor = self._executor
        block_id = str(executor._block_id_counter.get_id())
        self._name_of[block_id] = name
        command = executor._get_launch_command(block_id)
        job_name = f"conqure-{name}"
        try:
            job_id = self._providers[name].submit(command, 1, job_name)
        except SlurmUnavailable as error:
            self._not_before = time.monotonic() + AGAIN_S
            self._queue.ledger.trouble(name, str(error))
            return False
        except SlurmError as error:
            self._give_up(name, error)
            return True
        self._queue.ledger.trouble(name, None)
        executor.blocks_to_job_id[block_id] = job_id
        executor.job_ids_to_block[job_id] = block_id
        executor._status[block_id] = JobStatus(JobState.PENDING)
        executor.send_monitoring_info({block_id: executor._status[block_id]})
        return True

    def _let_go_of_the_old(self) -> None:
        """A block whose walltime is nearly over begins nothing more, so that no circuit is cut and run twice."""
        for block_id in self._executor.broker.connected_blocks:
            self._since.setdefault(block_id, time.monotonic())
            if self._is_old(block_id):
                self._executor.broker.let_go(block_id)

    def _is_old(self, block_id: str) -> bool:
        whole = 60 * self._providers[self._name_of[block_id]].group.minutes
        return time.monotonic() - self._since.get(block_id, math.inf) > whole - min(LAST_S, whole / 10)

    def _give_back(self, active: Counter[str]) -> None:
        idle = self._executor.broker.idle_blocks(self._idle_s)
        for block_id in idle:
            name = self._name_of.get(block_id, "")
            if active[name] > self._providers[name].min_blocks or self._is_old(block_id):
                active[name] -= 1
                self._executor.broker.stop_blocks([block_id])  # the job ends with its block

    def _idle_s(self, device_id: str) -> float:
        provider = self._providers.get(device_id) or next(iter(self._providers.values()))
        return provider.group.idle_s

    def _judge_the_ended(self) -> None:
        """Jobs that fail before their workers report will go on doing so."""
        connected = self._executor.broker.connected_blocks
        for block_id, status in list(self._executor._status.items()):
            if block_id in self._judged or status.state not in TERMINAL_STATES or block_id not in self._name_of:
                continue
            self._judged.add(block_id)
            name = self._name_of[block_id]
            if block_id in connected:
                self._failures[name] = 0
            elif status.state == JobState.FAILED:
                self._failures[name] += 1
                hopeless = self._executor.blocks_to_job_id[block_id] in self._providers[name].hopeless
                if hopeless or self._failures[name] >= FAILURES:
                    self._give_up(name, DeviceError(self._story_of(name, status)))

    def _story_of(self, name: str, status: JobStatus) -> str:
        provider = self._providers[name]
        said = [status.message or f"jobs for {name!r} fail before their workers report."]
        for summary in (status.stderr_summary, status.stdout_summary):
            with contextlib.suppress(OSError):
                said += [summary.strip()] if summary and summary.strip() else []
        return "\n".join([*said, provider.blame("")])

    def _give_up(self, name: str, error: ConqureError) -> None:
        """Nobody will ever serve what waits for this QPU or group: fail it, now and in future, with the reason."""
        logger.info("no job for %r: %s", name, error)
        with contextlib.suppress(ConqureError):
            self._queue.ledger.trouble(name, str(error))
        if self.per_qpu:
            self._executor.broker.refuse(name, error)
        else:
            self._executor.set_bad_state_and_fail_all(error)
