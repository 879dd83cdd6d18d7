"""`QPUThreadExecutor`: a Parsl executor whose workers are threads of the submitting process, each holding a QPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from parsl.data_provider.staging import Staging
from parsl.executors.base import ParslExecutor
from parsl.monitoring.radios.base import RadioConfig
from parsl.monitoring.radios.multiprocessing import MultiprocessingQueueRadio
from parsl.utils import RepresentationMixin

from qpu_executors import QPU, QPUThreadPool
from qpu_executors.task_queue import AGING_S

from .classical import Classical, run_classical
from .specification import arguments, placement

GRACE_S = 3.0  # what a running task gets when Parsl ends


class QPUThreadExecutor(ParslExecutor, RepresentationMixin):
    """Runs quantum tasks on QPUs that this program reaches itself: over the network, or a fast local simulator.

    The lowest latency there is, and no processes to start. The rules (who goes next, sessions, exclusivity, resource
    specification, ``classical``) are those of `QPUExecutor`.

    Args:
        label, qpus, classical, aging_s, working_dir, storage_access, remote_monitoring_radio: as `QPUExecutor`.

    >>> Config(executors=[QPUThreadExecutor(qpus=Site.load().qpus)])
    """

    def __init__(
        self,
        label: str = "qpu",
        qpus: Sequence[QPU] = (),
        classical: Classical = "refuse",
        aging_s: float = AGING_S,
        working_dir: str | None = None,
        storage_access: list[Staging] | None = None,
        remote_monitoring_radio: RadioConfig | None = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.qpus = list(qpus)
        self.classical = classical
        self.aging_s = aging_s
        self.working_dir = working_dir
        self.storage_access = storage_access
        self.remote_monitoring_radio = remote_monitoring_radio or MultiprocessingQueueRadio()
        self._pool: QPUThreadPool | None = None
        self._pending: set[Future[Any]] = set()

    def start(self) -> None:
        super().start()
        self._pool = QPUThreadPool(self.qpus, self.aging_s)

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Hand in one try of a task; called by Parsl. Errors as `QPUExecutor.submit`."""
        where = placement(resource_specification, func, args, any_task=self.classical == "run")
        if where is None:
            return run_classical(self, func, resource_specification, args, kwargs)
        future: Future[Any] = self.pool.submit_to(
            func,
            args,
            arguments(func, kwargs),
            device_id=where.device_id,
            priority=where.priority,
            session=where.session,
        )
        if where.ticket is not None:
            try:
                where.ticket.launched(future)
            except CancelledError:
                future.cancel()
                raise
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def shutdown(self) -> None:
        """Cancel what waits, and give what runs a moment to end, so that devices close in order."""
        if self._pool is not None:
            ending = threading.Thread(target=self._pool.shutdown, kwargs={"cancel_futures": True}, daemon=True)
            ending.start()
            ending.join(GRACE_S)
        super().shutdown()

    def monitor_resources(self) -> bool:
        """No: there is no process of the task's own to watch."""
        return False

    def outstanding(self) -> int:
        return len(self._pending)

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str:
        """Bind a session to the fitting QPU with the fewest sessions; returns the QPU's name."""
        return self.pool.open_session(session, device_id, hold)

    def close_session(self, session: str) -> None:
        self.pool.close_session(session)

    @property
    def pool(self) -> QPUThreadPool:
        if self._pool is None:
            raise RuntimeError(f"executor {self.label!r} has not started. Load a Config that lists it.")
        return self._pool
