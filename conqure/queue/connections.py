"""Connections to one place, kept for the next request: HTTP/1.1 with what Python brings along.

A request is written in one piece, and an answer read without a parser of e-mail: that saves half the time that a work
of a few kilobytes is under way.
"""

from __future__ import annotations

import http.client
import re
import select
import ssl
import weakref
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, urlsplit

from qpu_executors.errors import InvalidWork

KEPT = 16  # connections that nobody uses
CONNECT_S = 10.0
LONGEST_LINE, MOST_HEADERS = 2**16, 100
_TOGETHER = 2**16  # bytes of a body that travel in one piece with what goes before
_PLAIN = re.compile(r"/[\x21-\x7e]*")
_SAFE = "/%?=&:@!$'()*+,;~[]"


class NeverSent(OSError):
    """There is no connection, so nothing was asked."""


class Untrusted(OSError):
    """There is somebody, and they are not who they should be."""


class Reply(NamedTuple):
    """A code, headers (names in lower case) and bytes as they travelled."""

    code: int
    headers: dict[str, str]
    content: bytes


class Connections:
    """Used by several threads at once, each with a connection of its own.

    Args:
        url: ``http(s)://HOST[:PORT]``; what follows does not matter. tls: for https.

    >>> Connections("http://127.0.0.1:8585").ask("GET", "/health", None, {}, 60.0).code
    200
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._is_tls = parts.hostname or "", parts.port, parts.scheme == "https"
        self._name = parts.netloc.rpartition("@")[2]
        self._tls = (tls or ssl.create_default_context()) if self._is_tls else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._closed = False
        weakref.finalize(self, _close_all, self._idle)  # whoever forgets to close us, or comes to the program's end

    def ask(self, method: str, target: str, body: bytes | None, headers: dict[str, str], read_s: float) -> Reply:
        """One request and what came back.

        Args:
            target: path and query. read_s: seconds that the other side may be silent.

        Raises:
            NeverSent, Untrusted: no connection. OSError, http.client.HTTPException: no answer.
        """
        head = self._head(method, target, body, headers)
        connection = self._connected()
        try:
            connection.sock.settimeout(read_s)
            _send(connection, head, body or b"")
            with connection.sock.makefile("rb") as stream:
                answer, is_last = _read(stream, method)
        except BaseException:  # also Ctrl-C: the rest of this answer must not be taken for the next one
            connection.close()
            raise
        self._keep(connection, is_last)
        return answer

    def close(self) -> None:
        self._closed = True
        _close_all(self._idle)

    def _head(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        if not _PLAIN.fullmatch(target):
            target = quote(target, safe=_SAFE)
        said = {"Host": self._name} | headers
        if body is not None or method not in ("GET", "DELETE"):
            said["Content-Length"] = str(len(body or b""))
        for name, value in said.items():
            if not value.isprintable() or not value.isascii():
                raise InvalidWork(f"{name} has characters that cannot be sent. Was the token copied as a whole?")
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), "", ""]
        return "\r\n".join(lines).encode("ascii")

    def _connected(self) -> http.client.HTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not _is_over(connection):
                return connection
            connection.close()
        if self._tls is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
        try:
            connection.connect()
        except ssl.SSLError as error:
            connection.close()
            raise Untrusted(str(error)) from error
        except OSError as error:
            connection.close()
            raise NeverSent(str(error)) from error
        return connection

    def _keep(self, connection: http.client.HTTPConnection, is_last: bool) -> None:
        if is_last or len(self._idle) >= KEPT:
            connection.close()
        else:
            self._idle.append(connection)
            if self._closed:  # meanwhile, by another thread
                self.close()


def _close_all(idle: deque[http.client.HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _send(connection: http.client.HTTPConnection, head: bytes, body: bytes) -> None:
    try:
        if len(body) <= _TOGETHER:
            connection.sock.sendall(head + body)
        else:
            connection.sock.sendall(head)
            connection.sock.sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have answered before it had heard all: too large, not allowed


def _read(stream: BinaryIO, method: str) -> tuple[Reply, bool]:
    """An answer, and whether it is the last on this connection."""
    code, is_old = 100, False
    while code < 200:  # it goes on
        version, _, rest = _line(stream).partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
            raise http.client.BadStatusLine(f"{version} {rest}"[:80])
        code, is_old = int(rest[:3]), version == "HTTP/1.0"
        headers = dict(_headers(stream))
    is_last = is_old or headers.get("connection", "").lower() == "close"
    length = headers.get("content-length", "")
    if method == "HEAD" or code in (204, 304):
        content = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        content = b"".join(_chunks(stream))
    elif length.isdecimal():
        content = _exactly(stream, int(length))
    else:
        content, is_last = stream.read(), True
    return Reply(code, headers, content), is_last


def _headers(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    for _ in range(MOST_HEADERS):
        line = _line(stream)
        if not line:
            return
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
    raise http.client.HTTPException(f"more than {MOST_HEADERS} headers")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while size := _size(_line(stream)):
        yield _exactly(stream, size)
        _line(stream)
    for _ in _headers(stream):
        pass


def _size(line: str) -> int:
    digits = line.partition(";")[0].strip()
    if not re.fullmatch("[0-9a-fA-F]{1,15}", digits):
        raise http.client.HTTPException(f"{digits[:20]!r} is no size of a chunk")
    return int(digits, 16)


def _line(stream: BinaryIO) -> str:
    line = stream.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        if line:
            raise http.client.LineTooLong("an answer")
        raise http.client.RemoteDisconnected("it hung up without an answer")
    return line.strip().decode("latin-1")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise http.client.IncompleteRead(content, size - len(content))
    return content


def _is_over(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed it; nothing else can have come while nobody asked."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))
