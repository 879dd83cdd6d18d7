"""Stock HTEX: for classical apps, and as the fallback for QPUs.

Both start although the environment's ``bin`` is not on PATH, listen on the loopback only when the workers are local,
and never outlive the program.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import pickle
import shlex
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider
from parsl.providers.base import ExecutionProvider

from qpu_executors import QPU, InvalidTask, NotOnQPU, current_qpu, select
from qpu_executors.running import HeldDevice, hold
from qpu_executors.task_queue import AGING_S

from . import launching
from .classical import Classical, run_classical
from .specification import arguments, placement

_PINNED = "CONQURE_PARSL_QPUS"


def safe_htex(
    label: str = "cpu", workers: int = 1, provider: ExecutionProvider | None = None, **options: Any
) -> HighThroughputExecutor:
    """Parsl's `HighThroughputExecutor`, which starts with any PATH and ends with the program; ``options`` are its own.

    >>> Config(executors=[QPUExecutor(qpus=site.qpus, classical=(cpu := safe_htex(workers=2))), cpu])
    """
    return HighThroughputExecutor(label=label, **(_defaults(workers, provider, {}) | options))


def _defaults(workers: int, provider: ExecutionProvider | None, environment: dict[str, str]) -> dict[str, Any]:
    local = provider is None
    program = DEFAULT_LAUNCH_CMD.removeprefix("process_worker_pool.py ")
    # On this machine the block watches us; elsewhere it notices that the interchange is silent.
    watch = launching.lifeline("--pid", str(os.getpid()), "--group") if local else launching.lifeline("--pid", "0")
    return {
        "provider": provider or _local_provider(environment),
        "max_workers_per_node": workers,
        "cores_per_worker": 1e-6,  # as many as we say, however few cores there are
        "address": "127.0.0.1" if local else None,
        "interchange_launch_cmd": [*launching.lifeline(), "parsl.executors.high_throughput.interchange"],
        "launch_cmd": f"{shlex.join(watch)} parsl.executors.high_throughput.process_worker_pool {program}",
        "heartbeat_period": 5,
        "heartbeat_threshold": 30,
    }


def _local_provider(environment: dict[str, str]) -> LocalProvider:
    lines = [f"export {name}={value}" for name, value in {"CONQURE_WORKER": "parsl", **environment}.items()]
    return LocalProvider(
        launcher=SimpleLauncher(), min_blocks=1, worker_init="\n".join([*lines, launching.own_paths()])
    )


class PinnedHTEX(HighThroughputExecutor):
    """One QPU on stock HTEX: the fallback for `QPUExecutor`, same decorator, same records.

    Its workers are pinned to the QPU's slots by their rank, so there is one block of one node. Priorities and aging
    are one number, the key of `TaskQueue`'s rule, handed to HTEX as a float. Not here: selectors over several QPUs
    in one executor (make one executor per QPU), holding sessions, cancelling; a crashed worker is noticed after
    ``heartbeat_period`` (5 s).

    Args:
        qpu: the QPU.
        label: the executor's name; by default ``qpu-`` and the QPU's.
        classical: as for `QPUExecutor`.
        aging_s: seconds of waiting that lift a task by one priority level.
    """

    def __init__(
        self, qpu: QPU, label: str | None = None, classical: Classical = "refuse", aging_s: float = AGING_S
    ) -> None:
        pinned = base64.b64encode(pickle.dumps(qpu)).decode()
        super().__init__(label=label or f"qpu-{qpu.device_id}", **_defaults(qpu.slots, None, {_PINNED: pinned}))
        self.qpu = qpu
        self.qpus = [qpu]
        self.classical = classical
        self.aging_s = aging_s

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """As `QPUExecutor.submit`."""
        where = placement(resource_specification, func, args, any_task=self.classical == "run")
        if where is None:
            return run_classical(self, func, resource_specification, args, kwargs)
        select(where.device_id, self.qpus, where=f"the executor {self.label!r}")
        if where.ticket is not None:
            where.ticket.launched(None)
        # A text here would kill HTEX's interchange; a number orders its queue, the lower first.
        deadline = float(where.priority.rank * self.aging_s + time.time())
        future: Future[Any] = super().submit(
            _on_own_qpu(func), {"priority": deadline}, *args, **arguments(func, kwargs)
        )
        return future

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str:
        """There is one QPU, so every session is on it."""
        if hold:
            raise InvalidTask("a session on stock HTEX cannot hold its QPU. Use qpu_mode='workers' or 'threads'.")
        return select(device_id, self.qpus)[0].device_id

    def close_session(self, session: str) -> None:
        """Nothing is bound."""


@functools.lru_cache(maxsize=1024)  # one wrapper per function, so that Parsl serialises it once
def _on_own_qpu(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        from conqure_parsl.htex import hold_own_qpu

        hold_own_qpu()
        return func(*args, **kwargs)

    return call


def hold_own_qpu() -> HeldDevice:
    """On a pinned worker: open its QPU with the first task, and hold it to the end of the process."""
    held = current_qpu()
    if held is None:
        if _PINNED not in os.environ:
            raise NotOnQPU("this HTEX worker is pinned to no QPU. Use conqure_parsl.PinnedHTEX for the executor.")
        qpu: QPU = pickle.loads(base64.b64decode(os.environ[_PINNED]))
        held = _until_the_end.enter_context(hold(qpu, process=True))
    return held


_until_the_end = contextlib.ExitStack()
