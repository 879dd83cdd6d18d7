"""The program's end of the tunnel: a thread between the nodes and the broker's Unix socket. See `channels`."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from pathlib import Path

import zmq
from parsl import curvezmq
from parsl.addresses import tcp_url

from .addresses import own_addresses
from .channels import CLOSE, DATA, OPEN, PING, PING_S, PONG, Ends

logger = logging.getLogger(__name__)

NODE_SILENCE_S = 8.0  # a node's end does nothing but pump, so it always answers


class Gateway:
    """The program's end: what comes from the nodes goes to the broker's Unix socket, and back.

    Args:
        broker: the broker's socket.
        folder: where the nodes find their certificate; on a file system that they share with us.
        address: the one address to listen on; without it, all of this machine.
    """

    def __init__(self, broker: Path, folder: Path, address: str | None) -> None:
        self._broker = broker
        self._ends = Ends()
        self._heard: dict[bytes, float] = {}
        self._context = curvezmq.ServerContext(curvezmq.create_certificates(folder))
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set_hwm(0)
        self._router.linger = 0
        port = self._router.bind_to_random_port(tcp_url(address or "*"))
        self.addresses = [tcp_url(each, port) for each in ([address] if address else own_addresses())]
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
                logger.info("node %r has been silent for %.0f s", node, NODE_SILENCE_S)
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
