"""`QPUExecutor`: workers that hold a QPU each. `CPUExecutor`: the same kind of workers, for classical apps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Unpack

from qpu_executors import QPU, DeviceLost, NotOnQPU, WorkerLost

from .blocks import BlockExecutor, BlockOptions
from .classical import Classical, run_classical
from .specification import placement
from .worker import NO_DRIVER


class QPUExecutor(BlockExecutor):
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
        classical: what to do with a task that names no QPU: ``"refuse"`` it with an error, ``"run"`` it on a worker
            anyway, or hand it to another executor of the same `Config` (given as object; `parsl_config` does this).
        options: about the blocks, see `BlockOptions`.

    >>> Config(executors=[QPUExecutor(qpus=Site.load().qpus)])
    """

    def __init__(
        self,
        label: str = "qpu",
        qpus: Sequence[QPU] = (),
        classical: Classical = "refuse",
        **options: Unpack[BlockOptions],
    ) -> None:
        super().__init__(label, qpus, DeviceLost, **options)
        self.qpus = list(qpus)
        self.classical = classical

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Hand in one try of a task; called by Parsl.

        Raises:
            InvalidResourceSpecification: an unknown key; UnknownDevice: no QPU here fits; NotOnQPU: a classical
            task, and this executor refuses them.
        """
        where = placement(resource_specification, func, args, any_task=self.classical == "run")
        if where is None:
            return run_classical(self, func, resource_specification, args, kwargs)
        return self._hand_in(where, func, args, kwargs)

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str:
        """Bind a session to the fitting QPU with the fewest sessions; returns the QPU's name."""
        return self.broker.open_session(session, device_id, hold)

    def close_session(self, session: str) -> None:
        self.broker.close_session(session)


class CPUExecutor(BlockExecutor):
    """Runs classical apps on the same kind of workers, which hold nothing.

    For the classical nodes of hybrid loops, which are short: a task costs a tenth of what it costs on HTEX, a crash
    is known at once, and the executor starts in a second. HTEX is made for thousands of workers; `safe_htex`
    gives one. Tasks are served first come first served, and by ``priority`` where their specification has one.

    Args:
        label: the executor's name, for ``executors=[label]``.
        workers: tasks at the same time, over all blocks.
        options: about the blocks, see `BlockOptions`.

    >>> Config(executors=[CPUExecutor(workers=4)])
    """

    def __init__(
        self,
        label: str = "cpu",
        workers: int = 1,
        **options: Unpack[BlockOptions],
    ) -> None:
        super().__init__(label, [QPU("cpu", NO_DRIVER, 0, slots=workers)], WorkerLost, **options)
        self.workers = workers

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Hand in one try of a task; called by Parsl.

        Raises:
            InvalidResourceSpecification: an unknown key; NotOnQPU: the task names a QPU.
        """
        asked = resource_specification or {}
        if "device_id" in asked or "session" in asked:
            raise NotOnQPU(f"executor {self.label!r} holds no QPU, and the task names one. Use a QPU executor.")
        where = placement({**asked, "device_id": "cpu"}, func, args)
        assert where is not None
        return self._hand_in(where, func, args, kwargs)
