"""What the Dask scheduler has to know about QPUs: a scheduler plugin, loaded by `cluster` and `pool`.

* Tasks that ask for nothing go to CPU workers, so nothing classical lands on a QPU worker by lot.
* Quantum apps whose annotation got lost on the way (`dask.optimize` drops all) get it back.
* A task that asks for a resource nobody has offered fails at once; Dask would keep it in ``no-worker`` for ever. So
  does one for workers that Slurm refuses to start.
* A quantum task that Dask repeats, since a worker was lost with the task or its result, is told so (`calls.ATTEMPT`).
* Messages leave at once instead of every 2, 5 or 10 ms, and small results reach the client with their completion.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from distributed import Scheduler, SchedulerPlugin
from distributed.protocol import pickle

from qpu_executors import ConqureError, UnknownDevice

from .calls import ATTEMPT, device_of
from .resources import CLASSICAL, Resources, suits, wanted

PUSH = "conqure-push"  # the operation, and the beginning of the topics, of results that are pushed to a client
INTERVAL_S = 0.0  # between two batches of messages


class DaskQPUs(SchedulerPlugin):
    """See the module.

    Args:
        expected: what the workers of the cluster will offer, by a name for each or for those that are alike. Without it
            nobody knows who may still come, and tasks that nobody can run wait, as is usual in Dask.
    """

    name = "conqure"
    idempotent = True  # the first one stays

    def __init__(self, expected: Mapping[str, Resources] | None = None) -> None:
        self._known: Resources = {}
        self._offers: list[Resources] = []  # all different ones, of workers that there were or will be
        self._expected, self._complete = dict(expected or {}), bool(expected)
        self._refused: dict[str, tuple[ConqureError, float]] = {}
        self._never_ran: set[Any] = set()
        self.joined: dict[str, dict[str, Any]] = {}  # workers that there have ever been: what they said of themselves
        for resources in self._expected.values():
            self._learn(resources)

    async def start(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        scheduler.stream_handlers[PUSH] = self._push
        for worker in scheduler.workers:
            self.add_worker(scheduler, worker)
        for client in scheduler.clients:
            self.add_client(scheduler, client)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        state = scheduler.workers[worker]
        self.joined[str(state.name)] = state.extra
        self._learn(state.resources)
        scheduler.stream_comms[worker].interval = INTERVAL_S

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        scheduler.loop.add_callback(_hurry, scheduler, client)  # its stream is made after this hook

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Any], **kwargs: Any) -> None:
        has_both_kinds = self._known.keys() >= {"QPU", "CPU"}
        for task in (scheduler.tasks[key] for key in tasks):
            if task.resource_restrictions:
                continue
            if device_id := device_of(task.run_spec):
                task.resource_restrictions = wanted(device_id)
            elif has_both_kinds and not (task.worker_restrictions or task.host_restrictions):
                task.resource_restrictions = dict(CLASSICAL)

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if finish == "no-worker":
            self._scheduler.loop.add_callback(self._fail_if_impossible, key)
        elif finish == "released" and start in ("processing", "memory"):
            self._count_attempt(key)

    def refuse(self, name: str, error: ConqureError, until: float) -> None:
        """Of the expected workers, those of this name will not come until then (`time.monotonic`).

        Tasks that nobody else can run fail with the error.
        """
        self._refused[name] = error, until
        for task in list(self._scheduler.unrunnable):
            self._fail_if_impossible(task.key)

    def never_ran(self, keys: Iterable[Any]) -> None:
        """These tasks are with a worker that will be ended before it begins them."""
        self._never_ran.update(keys)

    def _learn(self, resources: Resources) -> None:
        if resources not in self._offers:
            self._offers.append(dict(resources))
        for resource, amount in resources.items():
            self._known[resource] = max(amount, self._known.get(resource, 0))

    def _count_attempt(self, key: Any) -> None:
        task = self._scheduler.tasks.get(key)
        if key in self._never_ran:
            self._never_ran.discard(key)
        elif task is not None and "QPU" in (task.resource_restrictions or {}):
            annotations = dict(task.annotations or {})
            annotations[ATTEMPT] = annotations.get(ATTEMPT, 1) + 1
            task.annotations = annotations

    def _fail_if_impossible(self, key: Any) -> None:
        task = self._scheduler.tasks.get(key)
        if not self._complete or task is None or task.state != "no-worker" or not task.resource_restrictions:
            return
        error = self._why_never(key, task.resource_restrictions)
        if error is not None:
            stimulus = f"conqure-impossible-{key}"
            self._scheduler.transitions(
                self._scheduler.transition(
                    key, "erred", exception=pickle.dumps(error), cause=key, stimulus_id=stimulus
                ),
                stimulus_id=stimulus,
            )

    def _why_never(self, key: Any, asked: Resources) -> ConqureError | None:
        """Why no worker will run a task that asks for that; None if one may."""
        if not any(suits(offer, asked) for offer in self._offers):
            missing = [r for r, amount in asked.items() if self._known.get(r, -1) < amount] or list(asked)
            return UnknownDevice(
                f"task {key!r} asks for {', '.join(f'{r!r}: {asked[r]:g}' for r in missing)}, and no worker of this "
                f"Dask cluster has that. They have: {', '.join(sorted(self._known))}."
            )
        now = time.monotonic()
        fitting = [name for name, offer in self._expected.items() if suits(offer, asked)]
        answers = [self._refused.get(name, (None, now)) for name in fitting]
        refusals = [error for error, until in answers if error is not None and now < until]
        return refusals[0] if refusals and len(refusals) == len(fitting) else None

    def _push(self, client: str, topic: str, message: Any, worker: str = "") -> None:
        """Pass a worker's message on to one client, whose `subscribe_topic` handler gets it; nothing is kept."""
        stream = self._scheduler.client_comms.get(client)
        if stream is not None and not stream.closed():
            stream.send({"op": "event", "topic": topic, "event": (0.0, message)})


def _hurry(scheduler: Scheduler, client: str) -> None:
    if client in scheduler.client_comms:
        scheduler.client_comms[client].interval = INTERVAL_S
