"""One connection of a program to the bridge: who it is, what it asks, and where the answers go."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from qpu_executors.handshake import NotOneOfUs, authenticate
from qpu_executors.records import QuantumTask
from qpu_executors.running import run

from . import wire
from .answers import answer_to, as_observed, outcome_of
from .clients import Client, Request
from .outbox import Outbox
from .scripts import read_script
from .trunk import Trunk

if TYPE_CHECKING:
    from .bridge import Bridge

log = logging.getLogger("openmpq_runtime")

HELLO_S = 10.0  # a connection that has not said who it is by then is closed
LINGER_S = 1.0  # how long one that is refused may take to read why
_KEEP_ALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4))  # seconds, seconds, times


class Connection(threading.Thread):
    """One connection and the thread that reads it.

    Args:
        refusal: why it is sent away, once it has shown that it may know.

    Attributes:
        greeted: whether it has said who it is. since: when it was accepted, by the monotonic clock.
    """

    def __init__(
        self, bridge: Bridge, accepted: socket.socket, token: bytes | None, refusal: wire.Refusal | None = None
    ) -> None:
        super().__init__(name="openmpq-connection", daemon=True)
        self.greeted, self.since = False, time.monotonic()
        self._bridge, self._socket, self._token, self._refusal = bridge, accepted, token, refusal
        self._reader = wire.Reader(accepted.recv)
        self._outbox = Outbox(accepted)
        self._programs: dict[int, str] = {}

    def end(self) -> None:
        """The reading thread sees the end of the connection, and ends too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._bridge.forget(self)
        self._socket.close()

    def run(self) -> None:
        try:
            self._admit()
            first = self._first()
            if first.get("is") == "node":
                self._carry(wire.check_node(first))
            else:
                self._serve(self._greet(wire.check_hello(first)))
        except (EOFError, OSError, NotOneOfUs):
            pass  # the program has ended, or was never one of ours
        except wire.Refusal as refusal:
            log.warning("a connection was refused: %s", refusal)
            self._outbox.send(wire.refused(refusal))
            self._linger()
        finally:
            self.close()

    def _linger(self) -> None:
        """Let the peer read why: on a closed socket it would fail at what it is still sending."""
        patience = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(LINGER_S)
            while self._socket.recv(1 << 16) and time.monotonic() < patience:
                pass

    def _first(self) -> dict[str, Any]:
        """The message that says who it is."""
        if self._refusal is not None:
            raise self._refusal
        return self._reader.message()

    def _welcome(self) -> None:
        bridge = self._bridge
        self.greeted = True
        self._outbox.send(wire.welcome(bridge.server_id, bridge.qpus, bridge.scripts is not None, bridge.max_in_flight))

    def _greet(self, client_id: str) -> Client:
        """Whose connection this is."""
        self._welcome()
        return self._bridge.connect(client_id, self._outbox)  # only now: no answer may come before the welcome

    def _carry(self, node: str) -> None:
        """Be the connection of a node: each of its programs gets one of its own, within this process."""

        def accept() -> socket.socket:
            ours, theirs = socket.socketpair()
            self._bridge.welcome(theirs, through=self)
            return ours

        self._bridge.nodes.add(node)
        self._welcome()
        with Trunk(self._socket, accept) as trunk:
            while True:
                trunk.serve()

    def _serve(self, client: Client) -> None:
        try:
            while client.wait_for_room(self._bridge.max_in_flight, self._alive):
                self._take(client, self._reader.message())
        finally:
            client.disconnect(self._outbox)
            if self._bridge.closed:  # this thread may have submitted after the bridge had cancelled everything
                client.cancel_all()

    def _admit(self) -> None:
        """Let in whom the kernel or the token says to be ours."""
        if self._token is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine may go without a word
            for name, value in _KEEP_ALIVE:
                self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
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
            language = wire.language(message)
            task = _task(client, message, number, self._programs[slot], language, message.get("rows"))
            future = self._bridge.pool.submit(run, task)
        except Exception as error:  # a bad task, an unknown device, a pool that is shut down
            return client.finish(request, wire.failed(number, error))
        self._follow(client, request, number, task, future, message)

    def _script(self, client: Client, message: dict[str, Any]) -> None:
        number, request = self._begin(client, message)
        if request is None:
            return
        try:
            source = read_script(self._bridge.scripts, message.get("script"))
            task = _task(client, message, number, source, "python", ((),))
            future = self._bridge.submit_script(task, message["script"], wire.read_arrays(message.get("arrays")))
        except Exception as error:
            return client.finish(request, wire.failed(number, error))
        self._follow(client, request, number, task, future, message)

    def _follow(
        self,
        client: Client,
        request: Request,
        number: int,
        task: QuantumTask,
        future: Future[Any],
        message: dict[str, Any],
    ) -> None:
        """Tell the observers, send the answer when it is there, and run it here and now where that is quickest."""
        self._bridge.tell("submitted", task)
        request.future = future

        def answer(done: Future[Any]) -> None:
            outcome = outcome_of(done)
            self._bridge.tell("finished", task, as_observed(task, outcome))
            client.finish(request, answer_to(number, outcome))

        future.add_done_callback(answer)
        lend = getattr(future, "lend", None) if message.get("waits") is True else None
        if lend is not None:  # if it must wait for the QPU, this thread goes on reading, and sees when the client ends
            lend()


def _task(client: Client, message: dict[str, Any], number: int, program: str, language: str, rows: Any) -> QuantumTask:
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
