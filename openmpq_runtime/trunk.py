"""Many streams over one connection: what a node's programs and the bridge say to each other through the node's relay.

Both ends are the same loop. A chunk is a header (kind, channel, number) and, for DATA, so many bytes. At most `WINDOW`
bytes of a channel are under way that the other end's program has not taken, so a program that does not read stops its
own channel and no other. Nothing but the standard library is used: the relay runs without an environment.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable

WINDOW = 2**20
OPEN, DATA, TAKEN, CLOSE = range(4)  # number: 0, bytes that follow, bytes that were taken, 0
_HEADER = struct.Struct(">BII")
_PIECE = 1 << 16
_FULL = 4 * 2**20  # with so much waiting for the connection, programs are not read

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Broken(ConnectionError):
    """The other end does not keep to the protocol."""


class _Channel:
    """One program's stream: bytes that wait for it, and how many may be sent for it."""

    __slots__ = ("credit", "ending", "number", "owed", "socket", "waiting")

    def __init__(self, number: int, local: socket.socket) -> None:
        self.number, self.socket = number, local
        self.waiting = bytearray()
        self.credit = WINDOW
        self.owed = 0  # taken by the program, and not yet said to the other end
        self.ending = False  # the other end has closed it


class Trunk:
    """One end of a connection that carries many.

    Args:
        connection: authenticated, and greeted.
        accept: at the bridge: gives the socket of a new program, None to turn it away.
    """

    def __init__(self, connection: socket.socket, accept: Callable[[], socket.socket | None] | None = None) -> None:
        self._connection, self._accept = connection, accept
        self._selector = selectors.DefaultSelector()
        self._channels: dict[int, _Channel] = {}
        self._last = 0
        self._incoming, self._outgoing = bytearray(), bytearray()
        connection.setblocking(False)
        self._selector.register(connection, READ, self._connection_ready)

    @property
    def n_channels(self) -> int:
        return len(self._channels)

    def __enter__(self) -> Trunk:
        return self

    def __exit__(self, *_: object) -> None:
        for channel in list(self._channels.values()):
            self._drop(channel)
        self._selector.close()

    def also(self, readable: socket.socket, call: Callable[[], None]) -> None:
        """Call when this socket can be read, in the thread of `serve`."""
        self._selector.register(readable, READ, lambda events: call())

    def open(self, local: socket.socket) -> None:
        """Carry a program's connection."""
        self._last += 1
        self._add(self._last, local)
        self._say(OPEN, self._last)
        self._send()

    def serve(self, timeout: float | None = None) -> bool:
        """Carry what there is to carry; False if there was nothing for so many seconds.

        Raises:
            EOFError, OSError: the connection is gone. Broken.
        """
        ready = self._selector.select(timeout)
        for key, events in ready:
            assert isinstance(key.fileobj, socket.socket)
            if key.fileobj.fileno() >= 0:  # else: dropped by one before
                key.data(events)
        self._send()
        return bool(ready)

    # -- the connection --

    def _connection_ready(self, events: int) -> None:
        if events & READ:
            data = self._connection.recv(_PIECE * 4)
            if not data:
                raise EOFError
            self._incoming += data
            self._read()

    def _read(self) -> None:
        at, size = 0, _HEADER.size
        with memoryview(self._incoming) as incoming:
            while len(incoming) - at >= size:
                kind, number, n = _HEADER.unpack_from(incoming, at)
                length = n if kind == DATA else 0
                if kind > CLOSE or length > WINDOW:
                    raise Broken(f"a chunk of kind {kind} and {n} bytes")
                if len(incoming) - at - size < length:
                    break
                self._take(kind, number, n, incoming[at + size : at + size + length])
                at += size + length
        del self._incoming[:at]

    def _take(self, kind: int, number: int, n: int, data: memoryview) -> None:
        if kind == OPEN:
            return self._opened(number)
        channel = self._channels.get(number)
        if channel is None:  # closed here while this was under way
            return
        if kind == DATA:
            channel.waiting += data
            if len(channel.waiting) > WINDOW:
                raise Broken(f"more than the window of channel {number}")
            self._deliver(channel)
        elif kind == TAKEN:
            channel.credit += n
            self._watch(channel)
        elif self._accept is not None:  # a program that has gone; what it still asked for, nobody waits for
            self._drop(channel)
        else:
            channel.ending = True
            self._deliver(channel)

    def _opened(self, number: int) -> None:
        local = self._accept() if self._accept is not None and number not in self._channels else None
        if local is None:
            return self._say(CLOSE, number)
        self._add(number, local)

    def _say(self, kind: int, channel: int, n: int = 0, data: bytes = b"") -> None:
        self._outgoing += _HEADER.pack(kind, channel, n)
        self._outgoing += data

    def _send(self) -> None:
        """Send what the connection takes; the rest when it can be written."""
        before = len(self._outgoing)
        with contextlib.suppress(BlockingIOError):
            while self._outgoing:
                sent = self._connection.send(self._outgoing[: _PIECE * 4], socket.MSG_NOSIGNAL)
                del self._outgoing[:sent]
        wanted = READ | WRITE if self._outgoing else READ
        if self._selector.get_key(self._connection).events != wanted:
            self._selector.modify(self._connection, wanted, self._connection_ready)
        if before >= _FULL > len(self._outgoing):
            for channel in self._channels.values():
                self._watch(channel)

    # -- programs --

    def _add(self, number: int, local: socket.socket) -> None:
        local.setblocking(False)
        channel = self._channels[number] = _Channel(number, local)
        self._selector.register(local, READ, lambda events: self._local_ready(channel, events))

    def _local_ready(self, channel: _Channel, events: int) -> None:
        if events & WRITE:
            self._deliver(channel)
        if events & READ and channel.number in self._channels:
            self._collect(channel)

    def _collect(self, channel: _Channel) -> None:
        if channel.credit == 0 or len(self._outgoing) >= _FULL:
            return self._watch(channel)
        try:
            data = channel.socket.recv(min(_PIECE, channel.credit))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            channel.credit -= len(data)
            self._say(DATA, channel.number, len(data), data)
            self._watch(channel)
        else:
            self._end(channel)

    def _deliver(self, channel: _Channel) -> None:
        """Give the program what it takes now."""
        try:
            while channel.waiting:
                sent = channel.socket.send(channel.waiting, socket.MSG_NOSIGNAL)
                del channel.waiting[:sent]
                channel.owed += sent
        except BlockingIOError:
            pass
        except OSError:
            return self._end(channel)
        if channel.ending and not channel.waiting:
            return self._drop(channel)
        if channel.owed >= WINDOW // 4:
            self._say(TAKEN, channel.number, channel.owed)
            channel.owed = 0
        self._watch(channel)

    def _watch(self, channel: _Channel) -> None:
        """Wait for what can happen: a program that is full, or that may send no more, is not looked at."""
        may_read = channel.credit > 0 and not channel.ending and len(self._outgoing) < _FULL
        wanted = (READ if may_read else 0) | (WRITE if channel.waiting else 0)
        known = self._selector.get_map().get(channel.socket)
        if known is not None and known.events == wanted:
            return
        if known is None and wanted:
            self._selector.register(channel.socket, wanted, lambda events: self._local_ready(channel, events))
        elif wanted:
            self._selector.modify(channel.socket, wanted, known.data)  # type: ignore[union-attr]
        elif known is not None:
            self._selector.unregister(channel.socket)

    def _end(self, channel: _Channel) -> None:
        """The program has gone."""
        self._say(CLOSE, channel.number)
        self._drop(channel)

    def _drop(self, channel: _Channel) -> None:
        self._channels.pop(channel.number, None)
        if channel.socket in self._selector.get_map():
            self._selector.unregister(channel.socket)
        channel.socket.close()
