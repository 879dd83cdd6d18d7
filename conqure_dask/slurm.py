"""A Dask cluster whose workers are jobs of Slurm: one crew of jobs for each QPU and each classical group of a site.

Every half second it looks at what waits and what runs: jobs are submitted when there is work for them, given back when
there has been none for a while, and replaced when they are lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import dask
from distributed.core import Status

from qpu_executors import InvalidSite, Site
from qpu_executors.slurm.ledger import Ledger

from .clusters import NOWHERE, QPUCluster
from .crews import Crew, lost
from .folders import Folders
from .jobs import WorkersJob, job_scripts, kinds_of
from .leaving import end_worker, is_idle, leave, may_end, time_is_up
from .preload import NODE
from .queue import Queue
from .results import CONFIG as RESULTS
from .results import home_spec
from .scaling import assigned, jobs_needed, waiting, waiting_for

__all__ = ["SlurmQPUCluster", "job_scripts"]

_log = logging.getLogger(__name__)

TICK_S = 0.5
LOOK_S = 2.0  # between two questions to squeue, while a job is expected to change
# What else than in `clusters` differs from Dask. A job may wait for days, and so do the tasks that wait for it.
CONFIG = {**RESULTS, "distributed.scheduler.no-workers-timeout": None}


class SlurmQPUCluster(QPUCluster):
    """See `conqure_dask.cluster`, which makes one for a site with groups.

    Attributes:
        crews: the jobs that there are, by QPU or group. ledger: what `conqure why` is told; its mark is on every job.
    """

    def __init__(
        self, site: Site, workers: dict[str, Any], scheduler: dict[str, Any], *, threads: int = 1, **options: Any
    ) -> None:
        self.site = site
        local = {name: spec["options"]["resources"] for name, spec in workers.items()}
        self._local = list(local.values())
        self.crews = {kind.name: Crew(kind, site.path) for kind in kinds_of(site, threads)}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ledger = Ledger("dask", site.name, site.path)
        self._folders = Folders(self.ledger.comment, options["security"])
        self._queue = Queue(
            self.ledger.comment, lambda: [job for crew in self.crews.values() for job in crew.jobs.values()]
        )
        try:
            for crew in self.crews.values():
                self._folders.open(site, crew.kind.group)
            here = {name: scheduler["options"][name] for name in ("host", "security", "protocol")}
            here |= {"dashboard": False, "dashboard_address": NOWHERE}
            expected = local | {name: crew.kind.offer for name, crew in self.crews.items()}
            with dask.config.set(CONFIG):
                super().__init__(site, workers | home_spec(here), scheduler, expected=expected, **options)
        except BaseException:
            self._end_ledger()
            raise
        self.loop.add_callback(lambda: self._begin(_every(TICK_S, self._tick)))
        self.loop.add_callback(lambda: self._begin(_every(LOOK_S, self._look)))

    # What a program may ask for

    def scale_group(self, name: str, n: int) -> None:
        """Keep ``n`` jobs of a group, or of one QPU by its name, whatever there is to do.

        Raises:
            InvalidSite: no such group or QPU in a group; ValueError: more than the site file allows.

        >>> cluster.scale_group("cpu", 2)
        """
        self.adapt_group(name, minimum=n, maximum=n)

    def adapt_group(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> None:
        """Let a group, or one QPU by its name, have as many jobs as there is work for, in this range.

        That is how a cluster begins, from ``min_jobs`` to ``jobs`` of the site file; raises as `scale_group`.
        """
        found = [crew for crew in self.crews.values() if name in (crew.kind.name, crew.kind.group.name)]
        if not found:
            known = ", ".join(
                repr(known) for known in dict.fromkeys([*self.crews, *(g.name for g in self.site.groups)])
            )
            raise InvalidSite(f"site {self.site.name!r} has no group or QPU of Slurm {name!r}. There are: {known}.")
        for crew in found:
            crew.limit(minimum, maximum)

    def scale(self, n: int = 0, memory: Any = None, cores: Any = None) -> Any:
        """Jobs differ, so a number of workers says nothing: `scale_group`. Dask itself calls ``scale(0)`` to end."""
        if n or memory or cores:
            raise TypeError(
                "the jobs of this cluster differ: say which, with scale_group(name, n) or adapt_group(name)."
            )
        return super().scale(0)

    def adapt(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("every group is adaptive already; set its range with adapt_group(name, minimum=…, maximum=…).")

    # The half-second tick; runs in the scheduler's event loop, as everything below

    async def _tick(self) -> None:
        now = time.monotonic()
        there = {str(worker.name): worker for worker in self.scheduler.workers.values()}
        for crew in self.crews.values():
            for job in list(crew.jobs.values()):
                self._check(crew, job, there, now)
        waits, runs = waiting(self.scheduler), assigned(self.scheduler)
        crews = self.crews.values()
        have = {crew.kind.name: len(crew.staying) for crew in crews}
        most = {crew.kind.name: 0 if now < crew.refused_until else crew.most for crew in crews}
        needed = jobs_needed(waits + runs, [crew.kind for crew in crews], have, most, self._local)
        for crew in crews:
            self._scale(crew, crew.wanted(needed[crew.kind.name]), there, now)
            self.ledger.trouble(crew.kind.name, crew.trouble)
        self.ledger.waiting(waiting_for(waits, [crew.kind for crew in crews]))
        if self.worker_spec.keys() != self.workers.keys() and self.status == Status.running:
            self._correct_state()

    def _check(self, crew: Crew, job: WorkersJob, there: Mapping[str, Any], now: float) -> None:
        """What has become of a job."""
        seen, is_over = self._queue.about(job), self._queue.is_over(job)
        workers = [there[name] for name in job.worker_names if name in there]
        joined = [self.qpu_plugin.joined[name] for name in job.worker_names if name in self.qpu_plugin.joined]
        if joined and job.connected_at is None:  # perhaps it has gone since
            job.connected_at = job.seen_at = now
            crew.connected()
        job.nodes.update(filter(None, (said.get(NODE) for said in joined)))
        if not crew.submitted(job, now):
            self._drop(crew, job)
        elif job.connected_at is not None:
            if lost(job, len(workers), is_over):
                if not is_over:
                    crew.avoid(job, now)
                self._drop(crew, job)
            elif not job.leaves and time_is_up(job, now):
                self._begin(self._replace(crew, job))
        elif is_over:
            crew.failed(job, seen.state if seen else "", now)
            self._drop(crew, job)
        elif seen is not None and crew.hopeless(seen, now):
            self._drop(crew, job)
        if crew.refusal and now < crew.refused_until:
            self.qpu_plugin.refuse(crew.kind.name, crew.refusal, crew.refused_until)

    def _scale(self, crew: Crew, wanted: int, there: Mapping[str, Any], now: float) -> None:
        staying = crew.staying
        if len(staying) < wanted and crew.may_ask(now):
            for _ in range(wanted - len(staying)):
                self._submit(crew)
        idle = []
        for position, job in enumerate(staying):
            workers = [there[name] for name in job.worker_names if name in there]
            if not is_idle(workers) or (not workers and position < wanted):
                job.wanted_at = now
            elif now - job.wanted_at >= crew.kind.group.idle_s or len(staying) > crew.most:
                idle.append((job.connected_at is not None, job.wanted_at, job, workers))
        for *_, job, workers in sorted(idle, key=lambda each: each[:2])[: max(0, len(staying) - wanted)]:
            if not workers:
                self._drop(crew, job)
            elif may_end(job, workers, self.scheduler):
                job.leaves = True
                self._begin(self._give_back(crew, job, workers))

    def _submit(self, crew: Crew) -> None:
        name, group = crew.next_name(), crew.kind.group
        job = WorkersJob(
            crew.kind,
            self.scheduler.contact_address or self.scheduler.address,
            name,
            folder=self._folders.of(group),
            comment=self.ledger.comment,
            keys=self._folders.keys(group),
            avoid=crew.avoided(time.monotonic()),
        )
        crew.jobs[name] = job
        self.worker_spec[name] = {"cls": lambda *_, **__: job, "options": {}}

    def _drop(self, crew: Crew, job: WorkersJob) -> None:
        """Let go of a job; Dask cancels it when it next corrects its state."""
        del crew.jobs[job.name]
        self.worker_spec.pop(job.name, None)
        for name in job.worker_names:
            self.qpu_plugin.joined.pop(name, None)
        self._queue.drop(job)

    async def _give_back(self, crew: Crew, job: WorkersJob, workers: list[Any]) -> None:
        """Retire the idle workers of a job; results that only they have go elsewhere first."""
        if await end_worker(self.scheduler, workers):
            if job.name in crew.jobs:
                self._drop(crew, job)
        else:
            job.leaves = False

    async def _replace(self, crew: Crew, job: WorkersJob) -> None:
        """A job whose walltime is nearly over finishes what runs, and what waits there goes to the next one."""
        job.leaves = True
        workers = [worker for worker in self.scheduler.workers.values() if str(worker.name) in job.worker_names]
        await leave(self.scheduler, workers, self.qpu_plugin)
        await self._give_back(crew, job, [each for each in workers if each.address in self.scheduler.workers])

    async def _look(self) -> None:
        await self._queue.look(str(worker.name) for worker in self.scheduler.workers.values())

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The end

    async def _close(self) -> None:
        for task in (watching := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)  # none changes what Dask is about to walk through
        await self._queue.cancel_all()
        try:
            await super()._close()
        finally:
            if await self._queue.cancel_all():
                self._end_ledger()

    def _end_ledger(self) -> None:
        self._folders.close()
        self.ledger.close()


async def _every(seconds: float, what: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await what()
        except Exception:  # a mistake of ours must not end the watch over the jobs
            _log.exception("the watch over the jobs of Slurm has failed once")
