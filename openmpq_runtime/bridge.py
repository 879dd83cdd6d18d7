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
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, InvalidTask
from qpu_executors.handshake import NotOneOfUs, authenticate
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.running import run

from . import wire
from .addresses import Listener
from .clients import Client, Request
from .outbox import Outbox
from .scripts import read_script, run_script
from .tally import Observer

log = logging.getLogger("openmpq_runtime")

HELLO_S = 10.0  # a connection that has not said who it is by then is closed
SWEEP_S = 0.25  # how often clients are looked at that have lost their connection


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
    """A served pool; see `serve`."""

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
        self._connections: set[Connection] = set()
        self._closed = False
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
            self._closed = True
            connections, clients = list(self._connections), list(self._clients.values())
        self._listener.stop()
        for client in clients:
            client.cancel_all()
        for connection in connections:
            connection.end()
        self._thread.join()
        self._listener.close()

    # -- what connections use --

    def client(self, client_id: str) -> Client:
        with self._lock:
            return self._clients.setdefault(client_id, Client(client_id))

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
        """Run a script, to a certain QPU where the pool can be told one."""
        call: tuple[Any, ...] = (task.program, name, arrays, task.shots, task.seed)
        submit_to: Callable[..., Future[Any]] | None = getattr(self.pool, "submit_to", None)
        if submit_to is not None:
            return submit_to(run_script, call, {}, device_id=task.device_id, priority=task.priority)
        if task.device_id != "any":
            raise InvalidTask(
                f"this pool ({type(self.pool).__name__}) sends scripts to whichever QPU is free, not to "
                f"{task.device_id!r}. Use device(Quantum) in serial code, or serve a pool of that QPU only."
            )
        return self.pool.submit(run_script, *call)

    # -- the thread that accepts --

    def _accept(self) -> None:
        while not self._closed:
            try:
                ready, _, _ = select.select([self._listener.socket], [], [], SWEEP_S)
                if ready:
                    self._welcome(self._listener.socket.accept()[0])
            except OSError as error:
                if not self._closed:
                    log.warning("the bridge cannot accept a connection: %s", error)
                    time.sleep(SWEEP_S)  # most likely out of file descriptors
            self._sweep()

    def _welcome(self, accepted: socket.socket) -> None:
        connection = Connection(self, accepted, self._listener.token)
        with self._lock:
            full = len(self._connections) >= self._max_connections
            if not full and not self._closed:
                self._connections.add(connection)
        if full:
            text = (
                f"the bridge has {self._max_connections} connections, its limit. Close some, or raise max_connections."
            )
            connection.refuse(wire.Refusal(text, "limit"))
        else:
            connection.start()

    def _sweep(self) -> None:
        """Cancel and forget what clients asked that have been gone for too long."""
        now = time.monotonic()
        with self._lock:
            gone = [c for c in self._clients.values() if c.lost_at is not None and now - c.lost_at > self._grace_s]
            for client in gone:
                del self._clients[client.client_id]
        for client in gone:
            client.cancel_all()


class Connection(threading.Thread):
    """One connection and the thread that reads it."""

    def __init__(self, bridge: Bridge, accepted: socket.socket, token: bytes | None) -> None:
        super().__init__(name="openmpq-connection", daemon=True)
        self._bridge, self._socket, self._token = bridge, accepted, token
        self._reader = wire.Reader(accepted.recv)
        self._outbox = Outbox(accepted)
        self._programs: dict[int, str] = {}

    def refuse(self, refusal: wire.Refusal) -> None:
        self._outbox.send(wire.refused(refusal))
        self._socket.close()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._serve()
        except (EOFError, OSError, NotOneOfUs):
            pass  # the program has ended, or was never one of ours
        except wire.Refusal as refusal:
            log.warning("a connection was refused: %s", refusal)
            self._outbox.send(wire.refused(refusal))
        finally:
            self._bridge.forget(self)
            self._socket.close()

    def _serve(self) -> None:
        self._socket.settimeout(HELLO_S)
        self._admit()
        client = self._bridge.client(wire.check_hello(self._reader.message()))
        self._socket.settimeout(None)
        bridge = self._bridge
        client.connect(self._outbox)
        self._outbox.send(wire.welcome(bridge.server_id, bridge.qpus, bridge.scripts is not None, bridge.max_in_flight))
        try:
            while client.wait_for_room(bridge.max_in_flight, self._alive):
                self._take(client, self._reader.message())
        finally:
            client.disconnect(self._outbox)

    def _admit(self) -> None:
        """Let in whom the kernel or the token says to be ours."""
        if self._token is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            authenticate(self._socket.sendall, self._reader.exactly, self._token, b"openmpq-server", b"openmpq-client")
            return
        _, uid, _ = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            raise wire.Refusal("this bridge serves the user who started it only.")

    def _alive(self) -> bool:
        """Whether the peer is still there, without reading."""
        watch = select.poll()
        watch.register(self._socket, select.POLLRDHUP)
        return not watch.poll(0)

    def _take(self, client: Client, message: dict[str, Any]) -> None:
        match message.get("is"):
            case "submit":
                self._submit(client, message)
            case "script":
                self._script(client, message)
            case "cancel":
                client.cancel(wire.whole(message, "request", 1))
            case other:
                raise wire.Refusal(f"there is no message {str(other)[:40]!r}. Known: submit, script, cancel.")

    def _begin(self, client: Client, message: dict[str, Any]) -> tuple[int, Request | None]:
        number = wire.whole(message, "request", 1)
        return number, client.begin(number, wire.whole(message, "oldest", 1, number))

    def _submit(self, client: Client, message: dict[str, Any]) -> None:
        slot = wire.whole(message, "slot", 0, wire.SLOTS - 1)
        if "program" in message:
            self._programs[slot] = message["program"]
        elif slot not in self._programs:
            raise wire.Refusal(f"slot {slot} holds no program on this connection.")
        number, request = self._begin(client, message)
        if request is None:
            return
        try:
            task = self._task(client, message, number, self._programs[slot], "gates", message.get("rows"))
            future = self._bridge.pool.submit(run, task)
        except Exception as error:  # a bad task, an unknown device, a pool that is shut down
            return client.finish(request, wire.failed(number, error))
        self._follow(client, request, number, task, future)
        lend = getattr(future, "lend", None) if message.get("waits") is True else None
        if lend is not None:  # if it must wait for the QPU, this thread goes on reading, and sees when the client ends
            lend()

    def _task(
        self, client: Client, message: dict[str, Any], number: int, program: str, language: str, rows: Any
    ) -> QuantumTask:
        return QuantumTask(
            program,
            language,
            message.get("device_id", "any"),
            message.get("shots", 1024),
            rows,
            message.get("seed"),
            message.get("priority", "MEDIUM"),
            f"openmpq-{client.client_id[:8]}-{number}",
        )

    def _follow(self, client: Client, request: Request, number: int, task: QuantumTask, future: Future[Any]) -> None:
        """Tell the observers, and send the answer when it is there."""
        self._bridge.tell("submitted", task)
        request.future = future

        def answer(done: Future[Any]) -> None:
            outcome = _outcome(done)
            self._bridge.tell("finished", task, outcome if task.language == "gates" else _of_script(task, outcome))
            client.finish(request, _answer(number, outcome))

        future.add_done_callback(answer)

    def _script(self, client: Client, message: dict[str, Any]) -> None:
        number, request = self._begin(client, message)
        if request is None:
            return
        try:
            source = (
                read_script(self._bridge.scripts, message.get("script")) or "\n"
            )  # an empty one has no main() either
            task = self._task(client, message, number, source, "python", ((),))
            future = self._bridge.submit_script(task, str(message["script"]), wire.read_arrays(message.get("arrays")))
        except Exception as error:
            return client.finish(request, wire.failed(number, error))
        self._follow(client, request, number, task, future)


class Cancelled(ConqureError):
    """It was taken back before it ran."""

    kind = "cancelled"


def _outcome(done: Future[Any]) -> Any:
    """What a future gave, or the error it ended with."""
    if done.cancelled():
        return Cancelled()
    error = done.exception()
    return done.result() if error is None else error


def _of_script(task: QuantumTask, outcome: Any) -> Any:
    """What a script did, as observers see it: its time on the QPU, and no counts."""
    if isinstance(outcome, BaseException):
        return outcome
    ended = time.time()
    run_s = outcome["run_s"]
    queue_s = max(0.0, ended - run_s - task.created_at)
    return QuantumResult(task.task_id, outcome["device_id"], (), task.shots, queue_s, run_s, ended - run_s, ended)


def _answer(number: int, outcome: Any) -> bytes:
    if isinstance(outcome, QuantumResult):
        return wire.result(number, outcome)
    return wire.failed(number, outcome) if isinstance(outcome, BaseException) else wire.arrays(number, outcome)
