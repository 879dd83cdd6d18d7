"""The same connections across machines: many Unix connections through one encrypted ZeroMQ connection per node.

The program's end (`Gateway`, a thread) and the node's end (`open_tunnel`, a process of the block) pump bytes between
Unix sockets on their side and one CurveZMQ socket, with Parsl's own certificates (`parsl.curvezmq`): who has no
certificate of this run is not heard. When the connection breaks, or the other side is silent for too long, all its
connections are closed, which broker and workers notice as they notice any broken connection.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import zmq
from parsl import curvezmq
from parsl.addresses import get_all_addresses, tcp_url

from . import lifeline

logger = logging.getLogger(__name__)

PING_S = 2
NODE_SILENCE_S = 15.0  # a node's end does nothing but pump, so it always answers
PROGRAM_SILENCE_S = 120.0  # the program may compute for a while without letting our thread speak
FIRST_ANSWER_S = 30
CHUNK = 256 * 2**10

OPEN, DATA, CLOSE, PING, PONG = b"O", b"D", b"C", b"P", b"p"
Channel = tuple[bytes, bytes]  # the node, and the number of one of its connections


class _Ends:
    """Unix connections by channel and by file descriptor."""

    def __init__(self) -> None:
        self.sockets: dict[Channel, socket.socket] = {}
        self.channels: dict[int, Channel] = {}

    def add(self, channel: Channel, connection: socket.socket, poller: zmq.Poller) -> None:
        self.sockets[channel] = connection
        self.channels[connection.fileno()] = channel
        poller.register(connection.fileno(), zmq.POLLIN)

    def read(self, fd: int) -> tuple[Channel, bytes | None]:
        channel = self.channels[fd]
        try:
            return channel, self.sockets[channel].recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:  # the number of a descriptor that was closed a moment ago, used anew
            return channel, None
        except OSError:
            return channel, b""

    def write(self, channel: Channel, data: bytes) -> bool:
        connection = self.sockets.get(channel)
        if connection is None:
            return False
        try:
            connection.sendall(data)
        except OSError:
            return False
        return True

    def close(self, channel: Channel, poller: zmq.Poller) -> None:
        connection = self.sockets.pop(channel, None)
        if connection is not None:
            poller.unregister(connection.fileno())
            del self.channels[connection.fileno()]
            connection.close()

    def close_node(self, node: bytes, poller: zmq.Poller) -> None:
        for channel in [channel for channel in self.sockets if channel[0] == node]:
            self.close(channel, poller)


class Gateway:
    """The program's end: what comes from the nodes goes to the broker's Unix socket, and back.

    Args:
        broker: the broker's socket.
        folder: where the nodes find their certificate; on a file system that they share with us.
        address: the one address to listen on; without it, all of this machine.
    """

    def __init__(self, broker: Path, folder: Path, address: str | None) -> None:
        self._broker = broker
        self._ends = _Ends()
        self._heard: dict[bytes, float] = {}
        self._context = curvezmq.ServerContext(curvezmq.create_certificates(folder))
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set_hwm(0)
        self._router.linger = 0
        port = self._router.bind_to_random_port(tcp_url(address or "*"))
        self.addresses = [tcp_url(each, port) for each in ([address] if address else sorted(get_all_addresses()))]
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="qpu-gateway", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        os.close(self._stop_write)
        self._thread.join()
        os.close(self._stop_read)
        self._context.destroy(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._stop_read, zmq.POLLIN)
        while True:
            for ready, _ in poller.poll(PING_S * 1000):
                if ready == self._stop_read:
                    self._router.close()
                    return
                if ready is self._router:
                    self._from_nodes(poller)
                elif ready in self._ends.channels:
                    self._from_broker(ready, poller)
            silent = time.monotonic() - NODE_SILENCE_S
            for node in [node for node, heard in self._heard.items() if heard < silent]:
                logger.warning("node %r has been silent for %.0f s", node, NODE_SILENCE_S)
                del self._heard[node]
                self._ends.close_node(node, poller)

    def _from_nodes(self, poller: zmq.Poller) -> None:
        with contextlib.suppress(zmq.Again):  # all there is: nobody counts as silent whose word is in the queue
            while True:
                node, kind, number, data = self._router.recv_multipart(zmq.NOBLOCK)
                self._from_node(node, kind, number, data, poller)

    def _from_node(self, node: bytes, kind: bytes, number: bytes, data: bytes, poller: zmq.Poller) -> None:
        self._heard[node] = time.monotonic()
        channel = node, number
        if kind == PING:
            self._router.send_multipart([node, PONG, b"", b""])
        elif kind == OPEN:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self._broker))
            self._ends.add(channel, connection, poller)
        elif kind == CLOSE:
            self._ends.close(channel, poller)
        elif not self._ends.write(channel, data):
            self._ends.close(channel, poller)
            self._router.send_multipart([node, CLOSE, number, b""])

    def _from_broker(self, fd: int, poller: zmq.Poller) -> None:
        (node, number), data = self._ends.read(fd)
        if data is None:
            return
        if not data:
            self._ends.close((node, number), poller)
        self._router.send_multipart([node, DATA if data else CLOSE, number, data])


def open_tunnel(addresses: Iterable[str], folder: Path) -> Path:
    """Start the node's end in a process of its own; returns the socket at which this node finds the broker.

    Raises:
        SystemExit: no address answers; says which were tried.
    """
    local = Path(tempfile.mkdtemp(prefix="conqure-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(local / "broker"))
    listener.listen(128)
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        lifeline.die_with_parent()
        try:
            _run_node(list(addresses), folder, listener, write)
        finally:
            shutil.rmtree(local, ignore_errors=True)
            os._exit(0)
    os.close(write)
    listener.close()
    answer = os.read(read, 4096)
    if answer != b"ok":
        raise SystemExit(answer.decode() or "the tunnel to the submitting program broke at once.")
    os.close(read)
    return local / "broker"


def _run_node(addresses: list[str], folder: Path, listener: socket.socket, report: int) -> None:
    context = curvezmq.ClientContext(str(folder / "certificates"))
    dealer = _first_that_answers(context, addresses)
    if dealer is None:
        os.write(report, f"no answer within {FIRST_ANSWER_S} s from any of {', '.join(addresses)}.".encode())
        return
    os.write(report, b"ok")
    os.close(report)
    _pump(dealer, listener)


def _first_that_answers(context: curvezmq.ClientContext, addresses: list[str]) -> zmq.Socket[bytes] | None:
    """A machine has several addresses and not all can be reached from here: the first that answers is it."""
    poller = zmq.Poller()
    dealers = []
    for address in addresses:
        dealer = context.socket(zmq.DEALER)
        dealer.set_hwm(0)
        dealer.linger = 0
        dealer.connect(address)
        dealer.send_multipart([PING, b"", b""])
        poller.register(dealer, zmq.POLLIN)
        dealers.append(dealer)
    ready = poller.poll(FIRST_ANSWER_S * 1000)
    chosen = ready[0][0] if ready else None
    for dealer in dealers:
        if dealer is not chosen:
            dealer.close()
    return chosen


def _pump(dealer: zmq.Socket[bytes], listener: socket.socket) -> None:
    """Until the program has been silent for too long."""
    ends = _Ends()
    numbers = itertools.count()
    poller = zmq.Poller()
    poller.register(dealer, zmq.POLLIN)
    poller.register(listener.fileno(), zmq.POLLIN)
    monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    poller.register(monitor, zmq.POLLIN)
    heard = pinged = time.monotonic()
    while time.monotonic() - heard < PROGRAM_SILENCE_S:
        for ready, _ in poller.poll(PING_S * 1000):
            if ready is monitor:
                return
            if ready is dealer:
                heard = time.monotonic()
                _from_program(dealer, ends, poller)
            elif ready == listener.fileno():
                number = next(numbers).to_bytes(8, "big")
                ends.add((b"", number), listener.accept()[0], poller)
                dealer.send_multipart([OPEN, number, b""])
            elif ready in ends.channels:
                _from_worker(dealer, ends, ready, poller)
        if time.monotonic() - pinged > PING_S:
            pinged = time.monotonic()
            dealer.send_multipart([PING, b"", b""])


def _from_worker(dealer: zmq.Socket[bytes], ends: _Ends, fd: int, poller: zmq.Poller) -> None:
    channel, data = ends.read(fd)
    if data is None:
        return
    if not data:
        ends.close(channel, poller)
    dealer.send_multipart([DATA if data else CLOSE, channel[1], data])


def _from_program(dealer: zmq.Socket[bytes], ends: _Ends, poller: zmq.Poller) -> None:
    kind, number, data = dealer.recv_multipart()
    if kind == CLOSE:
        ends.close((b"", number), poller)
    elif kind == DATA and not ends.write((b"", number), data):
        ends.close((b"", number), poller)
        dealer.send_multipart([CLOSE, number, b""])
