"""The task graph: each start is a chain of quantum nodes and classical nodes.

A link of a chain is ``circuits → step``: the circuits of the points that the optimiser asked for go to the QPU pool
(``qpus.submit(run, task)``), the optimiser's step goes to the classical pool with their futures as arguments
(``cpus.submit(step, link, *futures)``). The engine brings the counts to the step when they are there; the chains of
all starts share the QPUs, so a QPU serves one start while another solves classically. This process only unrolls:
when a step is done, it submits the next link. It sleeps on one queue; there is no thread per start and no polling.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np

from qpu_executors import QuantumResult, run

from .chain import Chain
from .errors import CannotResume
from .failures import error_of, final, is_transient
from .inbox import Inbox, Why
from .nodes import Link, Place, Plan, Stepped, ready, step, submit_after, tell
from .progress import Progress
from .ran import Circuit
from .record import RunFolder
from .result import Start
from .trace import Trace

ATTEMPTS = 5  # of one circuit or step whose failures are transient
_RETRY_S = 0.05  # before the second attempt; doubled for each further one

_awake: WeakSet[Executor] = WeakSet()  # classical pools that have worked for this process before


class TaskGraph:
    """Runs a plan on two pools.

    Attributes:
        trace: what ran where.
        retries: circuits and steps that were submitted again.
    """

    def __init__(
        self,
        plan: Plan,
        qpus: Executor,
        cpus: Executor,
        folder: RunFolder | None,
        progress: Progress,
        why: Why | None = None,
    ) -> None:
        self.plan, self.qpus, self.cpus, self.progress = plan, qpus, cpus, progress
        self.trace = Trace(folder)
        self.retries = 0
        searches = [plan.search(start) for start in range(plan.starts)]
        self.chains = [Chain(start, search, search.ask()) for start, search in enumerate(searches)]
        self._events = Inbox(why, progress.waiting)
        self._asleep = 0  # classical workers that were called and have not answered
        self._awaited = 0  # circuits submitted whose end this process has not seen
        self._results: dict[tuple[int, int, int], QuantumResult] = {}  # (start, link, task): from the log, and final

    def run(self) -> list[Start]:
        """Go to the end of every start.

        Raises:
            ConqureError: a circuit failed for good. CannotResume: the log does not fit the plan.
            KeyboardInterrupt: as it comes. Whatever it is, what waits in the pools is cancelled.
        """
        self._replay()
        try:
            self._wake_workers()
            for chain in self.chains:
                self._unroll(chain)
            while self._awaited or not all(chain.done for chain in self.chains):
                self._events.take()()
        except BaseException:
            self._cancel()
            raise
        return [chain.finished(self._last_results(chain), self.plan.groups) for chain in self.chains]

    def _wake_workers(self) -> None:
        """Classical workers may take seconds to start; until then circuits would only take QPUs from others."""
        if self.cpus in _awake:
            return
        submitted_at = time.time()
        for chain in self.chains:
            if not chain.done:
                future = self.cpus.submit(ready, chain.search)
                self._asleep += 1
                self._when_done(future, partial(self._woken, chain, future, submitted_at))
        while self._asleep:
            self._events.take()()

    def _woken(self, chain: Chain, future: Future[Place], submitted_at: float) -> None:
        self._asleep -= 1
        error = error_of(future)
        if error is None:
            _awake.add(self.cpus)
            self.trace.wake(chain, submitted_at, future.result())
        elif not is_transient(error):
            raise final(error)

    def _when_done(self, future: Future[Any], call: Callable[[], None]) -> None:
        future.add_done_callback(lambda _: self._events.put(call))

    def _unroll(self, chain: Chain) -> None:
        """Submit a chain's present link."""
        if chain.done:
            return
        chain.tasks = self.plan.tasks(chain.start, chain.evaluations, chain.points, chain.last)
        chain.attempts, chain.unseen = {}, 0
        chain.inputs = []
        for number in range(len(chain.tasks)):
            known = self._results.get((chain.start, chain.number, number))
            chain.inputs.append(known or self._submit(chain, number))
        self._submit_step(chain)

    def _submit(self, chain: Chain, number: int) -> Future[QuantumResult]:
        chain.attempts[number] = attempt = chain.attempts.get(number, 0) + 1
        task = chain.tasks[number]
        if attempt > 1:  # under its id: what a lost attempt has submitted to a machine is found there
            task = task.replace(created_at=time.time())
        future: Future[QuantumResult] = self.qpus.submit(run, task)
        self._awaited += 1
        chain.unseen += 1
        self._when_done(future, partial(self._circuit_seen, chain, chain.number, number, attempt, future))
        return future

    def _submit_step(self, chain: Chain) -> None:
        chain.attempts[-1] = chain.attempts.get(-1, 0) + 1
        chain.failed, chain.submitted_at = None, time.time()
        plan, offset = self.plan, self.plan.problem.hamiltonian.offset
        link = Link(chain.search, chain.points, plan.groups, offset, plan.batched, chain.last)
        chain.node = node = submit_after(self.cpus, step, link, chain.inputs)
        self._when_done(node, partial(self._step_seen, chain, node))

    def _circuit_seen(self, chain: Chain, link: int, number: int, attempt: int, future: Future[QuantumResult]) -> None:
        self._awaited -= 1
        if error_of(future) is None:
            result = future.result()
            self.progress.ran(self.trace.circuit(chain, link, number, attempt, result))
            if chain.done or (chain.last and chain.number == link):  # the final state's counts are wanted
                self._results[chain.start, link, number] = result
        if chain.number == link:  # a quick engine may have run the step before it told us of the circuit
            chain.unseen -= 1
            if chain.failed is not None and not chain.unseen:
                self._try_again(chain, chain.failed)

    def _step_seen(self, chain: Chain, node: Future[Stepped]) -> None:
        error = error_of(node)
        if error is None:
            stepped = node.result()
            self.trace.step(chain, stepped)
            chain.advance(stepped)
            self.progress.advanced(chain.start, *chain.history[-1], chain.done)
            self._unroll(chain)
        elif chain.unseen:  # first see which of its circuits failed
            chain.failed = error
        else:
            self._try_again(chain, error)

    def _try_again(self, chain: Chain, error: BaseException) -> None:
        """Submit again what failed of a link, if it may succeed the next time; else give up the run."""
        broken = {i: e for i, f in enumerate(chain.inputs) if isinstance(f, Future) and (e := error_of(f))}
        causes = broken or {-1: error}
        for number, cause in causes.items():
            if not is_transient(cause) or chain.attempts[number] >= ATTEMPTS:
                raise final(cause)
        self.retries += len(causes)
        self.progress.retried(chain.start, next(iter(causes.values())))

        def submit() -> None:
            for number in broken:
                chain.inputs[number] = self._submit(chain, number)
            self._submit_step(chain)

        wait = _RETRY_S * 2 ** (max(chain.attempts[number] for number in causes) - 1)
        timer = threading.Timer(wait, self._events.put, [submit])
        timer.daemon = True
        timer.start()

    def _cancel(self) -> None:
        for chain in self.chains:
            for future in (chain.node, *chain.inputs):
                if isinstance(future, Future):
                    with contextlib.suppress(NotImplementedError):  # Parsl's own futures cannot be cancelled
                        future.cancel()

    def _last_results(self, chain: Chain) -> list[QuantumResult]:
        return [self._results[chain.start, chain.number - 1, group] for group in range(len(self.plan.groups))]

    def _replay(self) -> None:
        """Bring every chain to where the log ends: fresh optimisers are told the energies it holds."""
        for node, record in self.trace.replay():
            if isinstance(node, Circuit):
                self._replay_circuit(node, record)
            else:
                self._replay_step(self.chains[node.start], record)

    def _replay_circuit(self, done: Circuit, record: dict[str, Any]) -> None:
        self._results[done.start, done.link, done.task] = QuantumResult(
            task_id=f"recorded-{done.start}-{done.link}-{done.task}",
            device_id=done.device_id,
            counts=tuple(record["counts"]),
            shots=record["shots"],
            queue_s=0.0,
            run_s=done.ended_at - done.started_at,
            started_at=done.started_at,
            ended_at=done.ended_at,
        )

    def _replay_step(self, chain: Chain, record: dict[str, Any]) -> None:
        points, energies, errors = (np.array(record[name]) for name in ("points", "energies", "errors"))
        if (record["link"], points.shape) != (chain.number, chain.points.shape) or not np.allclose(
            points, chain.points
        ):
            raise CannotResume(
                f"link {record['link']} of start {chain.start} in the log measured other points than this program asks "
                "for. Resume with the versions that run.json names, or start anew."
            )
        search, asked = tell(chain.search, chain.points, energies, errors, chain.last)
        if not chain.last:  # the counts of links that are done are not needed any more
            for number in range(len(points) * len(self.plan.groups)):
                self._results.pop((chain.start, chain.number, number), None)
        chain.advance(Stepped(search, energies, errors, asked))
        self.progress.advanced(chain.start, *chain.history[-1], chain.done)
