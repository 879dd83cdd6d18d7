"""What both ends of the tunnel share: many Unix connections, known by number, that one encrypted connection carries.

The program's end (`gateway.py`) and the node's end (`tunnel.py`) pump bytes between Unix sockets on their side and one
CurveZMQ socket, with Parsl's own certificates (`parsl.curvezmq`): who has no certificate of this run is not heard.
When the connection breaks, or the other side is silent for too long, all its connections are closed, which broker and
workers notice as they notice any broken connection.
"""

from __future__ import annotations

import socket

import zmq

PING_S = 2
CHUNK = 256 * 2**10

OPEN, DATA, CLOSE, PING, PONG = b"O", b"D", b"C", b"P", b"p"
Channel = tuple[bytes, bytes]  # the node, and the number of one of its connections


class Ends:
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
