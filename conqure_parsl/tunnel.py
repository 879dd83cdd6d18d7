"""A node's end of the tunnel: a process between its workers and the program on another machine. See `channels`."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import zmq
from parsl import curvezmq

from . import lifeline
from .channels import CLOSE, DATA, OPEN, PING, PING_S, Ends

PROGRAM_SILENCE_S = 120.0  # the program may compute for a while without letting its threads speak
FIRST_ANSWER_S = 30
GOODBYE_S = 1.0  # for the last messages of a block that ends


class Tunnel:
    """The node's end, a process of its own. ``socket`` is where this node finds the broker."""

    def __init__(self, socket: Path, pid: int, lifeline: int) -> None:
        self.socket, self._pid, self._lifeline = socket, pid, lifeline

    def close(self) -> None:
        """Let it tell the program that all connections end; it would otherwise notice by our silence only."""
        os.close(self._lifeline)
        deadline = time.monotonic() + GOODBYE_S
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        shutil.rmtree(self.socket.parent, ignore_errors=True)


def open_tunnel(addresses: Iterable[str], folder: Path) -> Tunnel:
    """Start the node's end.

    Raises:
        SystemExit: no address answers; says which were tried.
    """
    local = Path(tempfile.mkdtemp(prefix="conqure-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(local / "broker"))
    listener.listen(128)
    read, write = os.pipe()
    stop, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.close(ours)
        lifeline.die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it to every process; our end is the block's
        try:
            _run_node(list(addresses), folder, listener, write, stop)
        finally:
            shutil.rmtree(local, ignore_errors=True)
            os._exit(0)
    os.close(write)
    os.close(stop)
    listener.close()
    answer = os.read(read, 4096)
    if answer != b"ok":
        raise SystemExit(answer.decode() or "the tunnel to the submitting program broke at once.")
    os.close(read)
    return Tunnel(local / "broker", pid, ours)


def _run_node(addresses: list[str], folder: Path, listener: socket.socket, report: int, stop: int) -> None:
    if all(_refuses(address) for address in addresses):
        os.write(report, f"the program is gone: nobody listens at {', '.join(addresses)}.".encode())
        return
    context = curvezmq.ClientContext(str(folder / "certificates"))
    dealer = _first_that_answers(context, addresses)
    if dealer is None:
        os.write(report, f"no answer within {FIRST_ANSWER_S} s from any of {', '.join(addresses)}.".encode())
        return
    os.write(report, b"ok")
    os.close(report)
    _pump(dealer, listener, stop)
    context.destroy(linger=int(GOODBYE_S * 500))


def _refuses(address: str) -> bool:
    """Whether the machine is there and nobody listens: a job that started after its program's death ends at once."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # not to be reached from here, perhaps by another address
        return False
    return False


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


def _pump(dealer: zmq.Socket[bytes], listener: socket.socket, stop: int) -> None:
    """Until the block ends, or the program has been silent for too long."""
    ends = Ends()
    numbers = itertools.count()
    poller = zmq.Poller()
    poller.register(dealer, zmq.POLLIN)
    poller.register(listener.fileno(), zmq.POLLIN)
    poller.register(stop, zmq.POLLIN)
    monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    poller.register(monitor, zmq.POLLIN)
    heard = pinged = time.monotonic()
    while time.monotonic() - heard < PROGRAM_SILENCE_S:
        for ready, _ in poller.poll(PING_S * 1000):
            if ready is monitor:
                return
            if ready == stop:
                for _, number in list(ends.sockets):
                    dealer.send_multipart([CLOSE, number, b""])
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


def _from_worker(dealer: zmq.Socket[bytes], ends: Ends, fd: int, poller: zmq.Poller) -> None:
    channel, data = ends.read(fd)
    if data is None:
        return
    if not data:
        ends.close(channel, poller)
    dealer.send_multipart([DATA if data else CLOSE, channel[1], data])


def _from_program(dealer: zmq.Socket[bytes], ends: Ends, poller: zmq.Poller) -> None:
    kind, number, data = dealer.recv_multipart()
    if kind == CLOSE:
        ends.close((b"", number), poller)
    elif kind == DATA and not ends.write((b"", number), data):
        ends.close((b"", number), poller)
        dealer.send_multipart([CLOSE, number, b""])
