"""The broker: between Parsl and the workers, a few threads in the submitting process.

One thread per connection blocks in ``recv``; the thread that submits a task writes it to the worker itself. So a
task crosses two thread switches in this process, one there and one back (a ZeroMQ socket costs four more, 0.15 ms).
The end of a connection is the end of the worker: a crash is known at once, without heartbeats.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, InvalidStateError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from qpu_executors import QPU, ConqureError, Entry
from qpu_executors.errors import about_device, error_of_kind

from . import wire
from .leases import Call, Demand, Leases, Order, Worker
from .packing import Failure, unpack
from .reception import Reception
from .specification import Placement

logger = logging.getLogger(__name__)

STOPPING_S = 1.5  # how long we wait for blocks to end by themselves
LAST_WORDS_S = 0.3  # how long a lost worker's block may take to say how it died


class TaskFuture(Future[Any]):
    """The future of one try; `cancel` also takes the task out of the queue."""

    def __init__(self, task_id: int, broker: Broker) -> None:
        super().__init__()
        self.parsl_executor_task_id = task_id
        self._broker = broker

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        self._broker.forget(self.parsl_executor_task_id)
        return True


class Broker:
    """Hands QPUs and tasks to the workers that report, and resolves the futures.

    Args:
        qpus: what there is to hand out.
        folder: a private folder for the secret, which the blocks can read.
        sockets: a private folder of this machine for the socket.
        aging_s: see `TaskQueue`.
        worker_lost: makes the error for a task whose worker died, from a text.
        all_broken: called with the reason when none of the QPUs can be opened.
    """

    def __init__(
        self,
        qpus: Iterable[QPU],
        folder: Path,
        sockets: Path,
        aging_s: float,
        worker_lost: Callable[[str], Exception],
        all_broken: Callable[[Exception], None],
    ) -> None:
        self._worker_lost, self._all_broken = worker_lost, all_broken
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self.pending: dict[int, TaskFuture] = {}
        self._leases = Leases(qpus, aging_s)
        self._blocks: dict[str, list[Connection]] = {}
        self.connected_blocks: set[str] = set()  # every block that ever reported
        self.nodes_of: dict[str, set[str]] = {}  # and from where
        self._last_words: dict[str, str] = {}
        self._spoken = threading.Condition()
        self._stopping = False
        self._reception = Reception(folder, sockets, self._serve)
        self.socket = self._reception.socket

    # The executor's side

    def submit(self, placement: Placement, packed: bytes) -> TaskFuture:
        """Hand in a call; `UnknownDevice` or the reason why its QPUs cannot be used at once."""
        if self._stopping:
            raise RuntimeError("the QPU executor was shut down; load a Config anew.")
        task_id = next(self._ids)
        future = TaskFuture(task_id, self)
        entry = Entry(task_id, placement.device_id, placement.priority, placement.session, item=Call(future, packed))
        self.pending[task_id] = future
        try:
            if placement.ticket is not None:
                placement.ticket.launched(future)
            with self._lock:
                orders = self._leases.submit(entry, time.monotonic())
        except BaseException:
            self.pending.pop(task_id, None)
            raise
        self._carry_out(orders)
        return future

    def forget(self, task_id: int) -> None:
        """A task was cancelled by its future."""
        with self._lock:
            self._leases.queue.cancel(task_id)
        self.pending.pop(task_id, None)

    def open_session(self, session: str, device_id: str, hold: bool) -> str:
        with self._lock:
            return self._leases.queue.open_session(session, device_id, hold)

    def close_session(self, session: str) -> None:
        with self._lock:
            self._leases.queue.close_session(session)
            # What the session kept from its device may run there now.
            orders = self._leases.wake_idle()
        self._carry_out(orders)

    def fail_all(self, error: Callable[[], Exception]) -> None:
        """Fail everything that waits or runs, each task with an error of its own."""
        with self._lock:
            for entry in self._leases.queue.waiting():
                self._leases.queue.cancel(entry.entry_id)
            futures = list(self.pending.values())
            self.pending.clear()
        for future in futures:
            _fail(future, error())

    def busy_blocks(self) -> set[str]:
        """The blocks in which a task runs at the moment."""
        with self._lock:
            return {worker.block_id for worker in self._leases.workers if worker.entry is not None}

    def lost_blocks(self) -> set[str]:
        """Blocks that did report and whose connections are all gone, whatever the batch system believes."""
        with self._spoken:
            return {block_id for block_id in self.connected_blocks if not self._blocks.get(block_id)}

    def let_go(self, block_id: str) -> None:
        """This block's time is nearly over: it finishes what runs there, and gets nothing more."""
        with self._lock:
            self._leases.leaving.add(block_id)

    def refuse(self, device_id: str, error: ConqureError) -> None:
        """This QPU can't be had at all: fail the tasks that wait for it only, and those to come."""
        with self._lock:
            self._leases.broken[device_id] = error
        self._fail_stranded()

    def demand(self, active: Mapping[str, int]) -> dict[str, Demand]:
        """See `Leases.demand`."""
        with self._lock:
            return self._leases.demand(active)

    def idle_blocks(self, idle_s: Callable[[str], float]) -> list[str]:
        """See `Leases.idle_blocks`."""
        with self._lock:
            return self._leases.idle_blocks(idle_s, time.monotonic())

    def workers(self) -> list[dict[str, Any]]:
        """What every worker holds and does, for people and tests."""
        with self._lock:
            return [
                {
                    "pid": worker.pid,
                    "host": worker.host,
                    "block_id": worker.block_id,
                    "device_id": worker.qpu.device_id if worker.qpu else None,
                    "ready": worker.ready,
                    "busy": worker.entry is not None,
                }
                for worker in self._leases.workers
            ]

    def stop_blocks(self, block_ids: Iterable[str]) -> None:
        """Tell blocks to close their devices and end, and give them a moment to do so."""
        block_ids = list(block_ids)
        for block_id in block_ids:
            for connection in list(self._blocks.get(block_id, [])):
                _send(connection, wire.frame(wire.STOP))
        with self._spoken:
            self._spoken.wait_for(lambda: not any(self._blocks.get(block_id) for block_id in block_ids), STOPPING_S)

    def stop(self) -> None:
        """End all blocks and let go of everything; futures that are left fail."""
        self._stopping = True
        self.stop_blocks(self._blocks)
        self._reception.close()
        self.fail_all(lambda: self._worker_lost("the executor was shut down while this task waited or ran."))

    # The workers' side

    def _serve(self, connection: Connection, hello: dict[str, Any]) -> None:
        if hello["role"] == "block":
            self.nodes_of.setdefault(hello["block_id"], set()).add(hello["host"])
            self._serve_block(connection, hello["block_id"])
        else:
            self._serve_worker(connection, hello)

    def _serve_block(self, connection: Connection, block_id: str) -> None:
        self._blocks.setdefault(block_id, []).append(connection)
        self.connected_blocks.add(block_id)
        welcome = {"sys_path": [entry or str(Path.cwd()) for entry in sys.path]}
        _send(connection, wire.frame(wire.WELCOME, json.dumps(welcome).encode()))
        try:
            while True:
                _, _, body = wire.split(connection.recv_bytes())
                words = json.loads(bytes(body))
                with self._spoken:
                    self._last_words[words["name"]] = words["how"]
                    self._spoken.notify_all()
        finally:
            with self._spoken:
                self._blocks[block_id].remove(connection)
                self._spoken.notify_all()

    def _serve_worker(self, connection: Connection, hello: dict[str, Any]) -> None:
        worker = Worker(
            hello["name"],
            hello["block_id"],
            hello["pid"],
            hello["host"],
            send=lambda data: _send(connection, data),
            may_hold=frozenset(hello["qpus"]) if hello.get("qpus") else None,
        )
        with self._lock:
            orders = self._leases.joined(worker)
        self._carry_out(orders)
        try:
            while True:
                self._hear(worker, connection.recv_bytes())
        except (EOFError, OSError):
            pass
        finally:
            self._lost(worker)

    def _hear(self, worker: Worker, data: bytes) -> None:
        kind, _, body = wire.split(data)
        if kind == wire.RESULT:
            with self._lock:
                entry, orders = self._leases.done(worker)
            self._carry_out(orders)  # the worker goes on before our caller's callbacks run
            if entry is not None:
                self._resolve(entry, body)
        elif kind == wire.READY:
            with self._lock:
                orders = self._leases.opened(worker)
            self._carry_out(orders)
        elif kind == wire.FAILED:
            why = json.loads(bytes(body))
            with self._lock:
                orders = self._leases.failed(worker, error_of_kind(why["kind"], why["message"]))
            self._carry_out(orders)
            self._fail_stranded()

    def _lost(self, worker: Worker) -> None:
        how = "" if self._stopping else self._how_it_died(worker)
        text = f"{worker.describe()} is gone; nobody knows whether the task ran. {how}".strip()
        lost_qpu = worker.qpu
        with self._lock:
            entry, orders = self._leases.lost(worker, how)
        self._carry_out(orders)
        self._fail_stranded()
        if entry is not None:
            error = self._worker_lost(text)
            self._fail_entry(entry, about_device(error, lost_qpu.device_id) if lost_qpu else error)

    def _how_it_died(self, worker: Worker) -> str:
        """What the worker's block says about its end; its connection breaks a moment before that."""
        with self._spoken:
            self._spoken.wait_for(
                lambda: worker.name in self._last_words or not self._blocks.get(worker.block_id), LAST_WORDS_S
            )
            return self._last_words.pop(worker.name, "")

    def _carry_out(self, orders: list[Order]) -> None:
        for worker, order in orders:
            if isinstance(order, Entry):
                worker.send(wire.frame(wire.TASK, order.item.packed, order.entry_id))  # type: ignore[arg-type]
            else:
                worker.send(wire.frame(wire.LEASE, pickle.dumps(order)))

    def _resolve(self, entry: Entry, body: memoryview) -> None:
        future = self.pending.pop(entry.entry_id, None)  # type: ignore[call-overload]
        if future is None:
            return
        try:
            value = unpack(body)
        except Exception as error:
            _fail(future, error)
            return
        if isinstance(value, Failure):
            _fail(future, value.error)
        else:
            future.set_result(value)

    def _fail_entry(self, entry: Entry, error: Exception) -> None:
        if (future := self.pending.pop(entry.entry_id, None)) is not None:  # type: ignore[call-overload]
            _fail(future, error)

    def _fail_stranded(self) -> None:
        with self._lock:
            stranded = self._leases.stranded()
            all_broken = self._leases.all_broken()
            reasons = list(self._leases.broken.values())
        for entry, error in stranded:
            self._fail_entry(entry, error)
        if all_broken:
            self._all_broken(ConqureError("\n".join(str(reason) for reason in reasons)))


def _send(connection: Connection, data: bytes) -> None:
    try:
        connection.send_bytes(data)
    except OSError as error:  # its own thread notices the end and sees to the rest
        logger.info("a worker went away: %r", error)


def _fail(future: Future[Any], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # it was cancelled at this moment
        future.set_exception(error)
