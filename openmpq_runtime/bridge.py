"""The bridge: a socket through which programs that are not Python submit circuits to a pool (docs/openmpq-wire.md).

Each connection has a thread that reads; answers are pushed from the thread that has them. Where a client waits and a
thread pool's QPU is free, the reading thread runs the circuit itself: no switch of threads at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from qpu_executors import selector
from qpu_executors.device import QPU
from qpu_executors.errors import InvalidTask
from qpu_executors.records import QuantumTask

from . import wire
from .addresses import Listener
from .clients import Client
from .connection import HELLO_S, Connection
from .outbox import Outbox
from .scripts import run_script
from .tally import Observer

log = logging.getLogger("openmpq_runtime")

SWEEP_S = 0.25  # how often clients are looked at that have lost their connection
MAX_GONE = 4096  # clients that are remembered after they were given up


@contextlib.contextmanager
def serve(
    pool: Executor,
    address: str | None = None,
    *,
    qpus: Iterable[QPU] | None = None,
    token: str | None = None,
    scripts: str | Path | None = None,
    observers: Iterable[Observer] = (),
    grace_s: float = 2.0,
    max_in_flight: int = 256,
    max_connections: int = 1024,
) -> Iterator[Bridge]:
    """Serve a pool to C, C++ and Fortran programs as long as the block lasts; what then still waits is cancelled.

    Args:
        pool: any executor whose workers hold QPUs: of Parsl, of Dask, or a `QPUThreadPool`.
        address: ``unix:/path`` or ``tcp:HOST:PORT`` (port 0: any). By default a Unix socket that only you can use.
        qpus: what the pool has, if it has no attribute ``qpus``.
        token: for TCP, what clients must know; by default a random one, in a file that ``environment()`` names.
        scripts: a folder with Python scripts that programs may run on the pool's workers; None allows none.
        observers: told of every circuit, such as a `Tally`.
        grace_s: how long requests of a client are kept that has lost its connection.
        max_in_flight: requests of one client that the pool has at a time; more wait in the client's socket.

    Raises:
        InvalidAddress: the address is not one, or taken.

    >>> with serve(engine.qpus) as bridge:
    ...     subprocess.run(["./vqe"], env=bridge.environment())
    """
    bridge = Bridge(
        pool,
        Listener(address, token),
        list(pool.qpus if qpus is None else qpus),  # type: ignore[attr-defined]
        Path(scripts).resolve(strict=True) if scripts is not None else None,
        tuple(observers),
        grace_s,
        max_in_flight,
        max_connections,
    )
    try:
        yield bridge
    finally:
        bridge.close()


class Bridge:
    """A served pool; see `serve`.

    Attributes:
        n_accepted: connections that were made to it: one by each relay, and one by each thread of a program without.
        nodes: the names of the nodes that had a relay.
    """

    def __init__(
        self,
        pool: Executor,
        listener: Listener,
        qpus: list[QPU],
        scripts: Path | None,
        observers: tuple[Observer, ...],
        grace_s: float,
        max_in_flight: int,
        max_connections: int,
    ) -> None:
        self.pool, self.qpus, self.scripts = pool, qpus, scripts
        self.max_in_flight = max_in_flight
        self.server_id = secrets.token_hex(16)
        self._listener, self._observers = listener, observers
        self._grace_s, self._max_connections = grace_s, max_connections
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._gone: OrderedDict[str, Client] = OrderedDict()
        self._connections: set[Connection] = set()
        self.closed = False
        self.n_accepted, self.nodes = 0, set[str]()
        self._thread = threading.Thread(target=self._accept, name="openmpq-bridge", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What to put into OPENMPQ_POOL."""
        return self._listener.address

    def environment(self) -> dict[str, str]:
        """This process's environment with what a program needs to find the pool, for ``subprocess``."""
        return os.environ | self._listener.variables

    def close(self) -> None:
        """End all connections and cancel what waits; the pool goes on."""
        with self._lock:
            self.closed = True
            connections, clients = list(self._connections), list(self._clients.values())
        self._listener.stop()
        for client in clients:
            client.cancel_all()
        for connection in connections:
            connection.end()
        self._thread.join()
        self._listener.close()

    # -- what connections use --

    def connect(self, client_id: str, outbox: Outbox) -> Client:
        """The client of this name, whose answers go to this outbox from now on."""
        with self._lock:  # also while it is connected, so that it is not given up in between
            client = self._clients.get(client_id) or self._gone.pop(client_id, None) or Client(client_id)
            self._clients[client_id] = client
            client.connect(outbox)
            return client

    def welcome(self, accepted: socket.socket, through: Connection | None = None) -> None:
        """Start the thread of a connection. One too many is told so, if there are not too many of those as well.

        Args:
            through: the node's connection that it comes through; that one has proved the token.
        """
        with self._lock:
            n_connections = len(self._connections)
            if self.closed or n_connections >= 2 * self._max_connections:
                return accepted.close()
            text = (
                f"the bridge has {self._max_connections} connections, its limit. Close some, or raise max_connections."
            )
            refusal = wire.Refusal(text, "limit") if n_connections >= self._max_connections else None
            connection = Connection(self, accepted, None if through else self._listener.token, refusal)
            self._connections.add(connection)
            self.n_accepted += through is None
        try:
            connection.start()
        except RuntimeError:  # no more threads
            connection.close()
            raise

    def forget(self, connection: Connection) -> None:
        with self._lock:
            self._connections.discard(connection)

    def tell(self, event: str, *facts: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, event)(*facts)
            except Exception:
                log.exception("an observer of the bridge failed in %s", event)

    def submit_script(self, task: QuantumTask, name: str, arrays: dict[str, list[float]]) -> Future[Any]:
        """Run a script, on a certain QPU where the pool can be told one."""
        call: tuple[Any, ...] = (task.program, name, arrays, task.shots, task.seed)
        submit_to: Callable[..., Future[Any]] | None = getattr(self.pool, "submit_to", None)
        if submit_to is not None:
            return submit_to(run_script, call, {}, device_id=task.device_id, priority=task.priority)
        if len(selector.select(task.device_id, self.qpus, "this pool")) < len(self.qpus):
            raise InvalidTask(
                f"this pool ({type(self.pool).__name__}) sends scripts to whichever QPU is free, not to "
                f"{task.device_id!r}. Use device(Quantum) in serial code, or serve a pool of that QPU only."
            )
        return self.pool.submit(run_script, *call)

    # -- the thread that accepts --

    def _accept(self) -> None:
        arrival = select.poll()
        arrival.register(self._listener.socket, select.POLLIN)
        while not self.closed:
            try:
                if arrival.poll(SWEEP_S * 1000):
                    self.welcome(self._listener.socket.accept()[0])
            except (OSError, RuntimeError) as error:
                if not self.closed:
                    log.warning("the bridge cannot accept a connection: %s", error)
                    time.sleep(SWEEP_S)  # most likely out of file descriptors, or of threads
            self._sweep()

    def _sweep(self) -> None:
        """Give up clients that have been gone for too long, and connections that do not say who they are."""
        now = time.monotonic()
        with self._lock:
            gone = [c for c in self._clients.values() if c.lost_at is not None and now - c.lost_at > self._grace_s]
            for client in gone:
                self._gone[client.client_id] = self._clients.pop(client.client_id)
            while len(self._gone) > MAX_GONE:
                self._gone.popitem(last=False)
            silent = [c for c in self._connections if not c.greeted and now - c.since > HELLO_S]
        for client in gone:
            client.give_up()
        for connection in silent:
            connection.end()
