"""The client's side of leases: a desk where workers that lend their QPU call in."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

from distributed import Client, Future

from qpu_executors import QPU, DeviceLost, QuantumResult, QuantumTask
from qpu_executors.errors import ConqureError, about_device, error_of_kind

from .channel import RESULT, TASK, WANTED, Channel, accept
from .lending import lend
from .priorities import IN_ORDER, dask_priority
from .resources import wanted


class Lease:
    """A QPU that a worker has lent us: circuits run there one after the other, until `close`.

    One thread uses it; `wake` may be called by others.
    """

    def __init__(self, channel: Channel, lease: str, qpu: dict[str, Any], worker: str) -> None:
        self.channel, self.lease, self.worker = channel, lease, worker
        self.qpu = QPU(**{**qpu, "tags": tuple(qpu["tags"])})
        self.device_id = self.qpu.device_id
        self.wanted = False  # whether other Dask tasks wait for this QPU

    def send(self, task: QuantumTask) -> None:
        self.channel.send(TASK, task.to_json().encode())

    def read(self) -> QuantumResult | ConqureError | None:
        """What the worker says next: how a task ended, or None for news about `wanted`. `OSError` if it is gone."""
        kind, body = self.channel.receive()
        if kind == RESULT:
            return QuantumResult.from_json(body)
        if kind == WANTED:
            self.wanted = bool(body)
            return None
        error = json.loads(body)
        return about_device(error_of_kind(error["kind"], error["message"]), self.device_id)

    def run(self, task: QuantumTask) -> QuantumResult:
        """Run one task there; `DeviceLost` if the worker is gone, since nobody knows whether it ran."""
        try:
            self.send(task)
            while (outcome := self.read()) is None:
                pass
        except OSError as error:
            raise lost(self, task) from error
        if isinstance(outcome, ConqureError):
            raise outcome
        return outcome

    def close(self) -> None:
        self.channel.close()


def lost(lease: Lease, task: QuantumTask) -> DeviceLost:
    error = DeviceLost(
        f"the Dask worker {lease.worker!r}, which held {lease.device_id!r}, was lost while task {task.task_id} ran "
        "there. Whether the circuit was executed is not known, so it is not repeated unless you say so (retries=)."
    )
    return about_device(error, lease.device_id)


class LeaseDesk:
    """Asks Dask for QPUs and hands over what comes.

    ``come(lease)`` is called in a thread of its own for each QPU that a worker lends us, and must close it in the end;
    ``failed(lease_id, error)`` when Dask gives up on one.
    """

    def __init__(
        self, client: Client, come: Callable[[Lease], None], failed: Callable[[str, BaseException], None]
    ) -> None:
        self._client, self._come, self._failed = client, come, failed
        self._secret = os.urandom(32)
        self._tls = client.security.get_listen_args("client")["ssl_context"]
        self._lock = threading.Lock()
        self._asked: dict[str, Future[int]] = {}
        self._listener = socket.create_server((_own_address(client), 0), backlog=128)
        threading.Thread(target=self._listen, name="qpu-leases", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def ask(self, device_id: str, priority: str) -> str:
        """Ask for a QPU that this name or selector fits; `come` is called when Dask has one. Returns the lease's id."""
        lease = uuid.uuid4().hex
        future = self._client.submit(
            lend,
            lease,
            self.address,
            self._secret,
            key=f"qpu-lease-{lease}",
            resources=wanted(device_id),
            priority=dask_priority(priority),
            fifo_timeout=IN_ORDER,
            pure=False,
        )
        with self._lock:
            self._asked[lease] = future
        future.add_done_callback(lambda done: self._over(lease, done))
        return lease

    def forget(self, lease: str) -> None:
        """This lease is not wanted (any more); if it has not come yet, Dask drops it."""
        with self._lock:
            future = self._asked.pop(lease, None)
        if future is not None:
            future.release()

    def close(self) -> None:
        """Take no more calls; leases that have come stay open until they are closed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
        self._listener.close()
        with self._lock:
            asked, self._asked = list(self._asked.values()), {}
        for future in asked:
            future.release()

    def _over(self, lease: str, done: Any) -> None:
        """In Dask's callback thread: the lease's task has ended; a surprise if we did not let go of it before."""
        if lease in self._asked and done.status != "finished":
            error = done.exception() if done.status == "error" else ConnectionError("Dask has dropped the lease")
            self.forget(lease)
            self._failed(lease, error)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._welcome, args=(connection,), name="qpu-lease", daemon=True).start()

    def _welcome(self, connection: socket.socket) -> None:
        try:
            channel, greeting = accept(connection, self._secret, self._tls)
            lease = Lease(channel, **json.loads(greeting))
        except (OSError, ValueError, TypeError):
            return  # not one of us, or gone already
        if lease.lease not in self._asked:
            lease.close()
            return
        self._come(lease)


def _own_address(client: Client) -> str:
    """Our address on the network over which we reach the scheduler; workers reach the scheduler too."""
    protocol, _, address = client.scheduler_comm.comm.local_address.partition("://")
    return address.rpartition(":")[0].strip("[]") if protocol in ("tcp", "tls") else "127.0.0.1"
