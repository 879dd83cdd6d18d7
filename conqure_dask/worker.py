"""Worker plugins: a QPU worker holds its QPU from start to end; every worker answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import signal
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from distributed import Worker, WorkerPlugin

from qpu_executors import QPU, ConqureError, DeviceError, HeldDevice, hold
from qpu_executors.errors import about_device

from . import serialization  # noqa: F401  (teaches Dask about PennyLane's tensors)
from .channel import Channel
from .scheduler import INTERVAL_S

LEAVE = "conqure-leave"  # the scheduler's message that this worker will be ended soon, when nothing runs here
CLOSE_S = 3.0  # a circuit that still runs when the worker ends gets this long; the nanny kills it after 4 s


class QuickWorker(WorkerPlugin):
    """Sends messages at once instead of every 2 ms, and leaves Ctrl-C to the program."""

    name = "conqure-quick"

    def setup(self, worker: Worker) -> Any:
        worker.batched_stream.interval = INTERVAL_S
        # A terminal sends Ctrl-C to every process of the program. A worker with a nanny is ended by it, in order.
        if multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)


class HoldQPU(QuickWorker):
    """Opens a QPU when the worker starts, holds it for the whole process, and closes it at the end.

    A QPU that does not open keeps the worker from starting, with the driver's message.
    """

    name = "conqure-qpu"

    def __init__(self, qpu: QPU) -> None:
        self.qpu = qpu

    async def setup(self, worker: Worker) -> None:
        super().setup(worker)
        self._waiting: set[Any] = set()
        self._lent: Channel | None = None
        self._closing = False
        self._leaving = False
        worker.stream_handlers[LEAVE] = self.leave
        self._security = worker.security
        self._tls: ssl.SSLContext | None = None
        self._stack = contextlib.ExitStack()
        held = await asyncio.to_thread(open_qpu, self.qpu)
        self._stack.callback(held.close)
        self._stack.enter_context(hold(held, process=True))

    async def teardown(self, worker: Worker) -> None:
        self._closing = True
        if self._lent is not None:
            self._lent.wake()
        deadline = asyncio.get_running_loop().time() + CLOSE_S
        while worker.state.executing and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if not worker.state.executing:  # a QPU is not closed under a circuit
            self._stack.close()

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Dask tells what happens to tasks here; those in ``constrained`` wait for the QPU."""
        if finish == "constrained":
            self._waiting.add(key)
            if self._lent is not None:
                self._lent.wake()
        elif start == "constrained":
            self._waiting.discard(key)

    def leave(self) -> None:
        """A QPU on loan is asked for: its client gives it back between two circuits, and gets another elsewhere."""
        self._leaving = True
        if self._lent is not None:
            self._lent.wake()

    @property
    def wanted(self) -> bool:
        """Whether other Dask tasks wait for this QPU, or it is to be given back for good."""
        return self._leaving or bool(self._waiting)

    @property
    def closing(self) -> bool:
        return self._closing

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What this worker identifies itself with, where the cluster uses TLS."""
        if self._tls is None:
            self._tls = self._security.get_connection_args("worker")["ssl_context"]
        return self._tls

    @contextlib.contextmanager
    def lending(self, channel: Channel) -> Iterator[None]:
        """While a lease lasts: its thread is woken when somebody else wants the QPU, and when the worker ends."""
        self._lent = channel
        try:
            yield
        finally:
            self._lent = None


def open_qpu(qpu: QPU) -> HeldDevice:
    """Open a QPU; whatever its driver raises comes as one of our errors, which names the QPU and says what happened."""
    try:
        return HeldDevice(qpu)
    except ConqureError as error:
        told = type(error)(f"QPU {qpu.device_id!r} did not open: {error}")
        raise about_device(told, qpu.device_id, at_opening=True) from error
    except Exception as error:
        raise DeviceError(
            f"QPU {qpu.device_id!r} did not open: its driver {qpu.driver!r} raised {type(error).__name__}: {error}"
        ) from error


def qpu_as_json(qpu: QPU) -> str:
    """For a command line: ``dask worker … --preload conqure_dask.preload --qpu JSON``."""
    values = {name: getattr(qpu, name) for name in qpu.__dataclass_fields__}
    return json.dumps({**values, "options": dict(qpu.options)}, separators=(",", ":"))


def qpu_from_json(text: str) -> QPU:
    values = json.loads(text)
    return QPU(**{**values, **{name: tuple(values.get(name, ())) for name in ("tags", "directives", "failover")}})
