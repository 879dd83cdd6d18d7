"""Where a bridge listens: a Unix socket that only its owner can use, or TCP with a token."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import struct
import tempfile
from pathlib import Path

from qpu_executors.errors import InvalidAddress

from . import node

_SIOCGIFADDR = 0x8915  # Linux's number for: the address of an interface
MAX_UNIX_PATH = 107  # bytes; sun_path holds one more for the end
_USAGE = "Use unix:/path/of/socket, or tcp:HOST:PORT; HOST may be a network interface, and port 0 is any that is free."


class Listener:
    """A listening socket, what to call it, and what clients need to know.

    Args:
        address: ``unix:/path``, ``tcp:HOST:PORT``, ``unix`` or ``tcp`` for defaults; None is ``unix``. HOST
            may be a network interface of this machine: ``tcp:ib0:0``.
        token: for TCP; None makes a random one.

    Attributes:
        address: what clients connect to. token: what they must know, None on Unix. variables: their environment.
    """

    def __init__(self, address: str | None, token: str | None) -> None:
        self._folders: list[Path] = []
        self.token: bytes | None = None
        self._path: Path | None = None
        kind, _, rest = (address or "unix").partition(":")
        try:
            if kind == "unix":
                self._listen_unix(Path(rest) if rest else self._folder(Path(tempfile.gettempdir())) / "pool")
            elif kind == "tcp":
                self._listen_tcp(rest or "127.0.0.1:0", token)
            else:
                raise InvalidAddress(f"{address!r} is not an address. {_USAGE}")
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Accept no more; who waits for a connection is woken."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The socket, its file and the token's go."""
        if hasattr(self, "socket"):
            self.socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, parent: Path) -> Path:
        """A new folder that nobody else can look into."""
        self._folders.append(Path(tempfile.mkdtemp(prefix="openmpq-", dir=parent)))
        return self._folders[-1]

    def _listen_unix(self, path: Path) -> None:
        path = path.absolute()
        if len(os.fsencode(path)) > MAX_UNIX_PATH:
            raise InvalidAddress(f"{path} is too long for a Unix socket: at most {MAX_UNIX_PATH} bytes. Use /tmp/….")
        _remove_stale(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.bind(str(path))
        except OSError as error:
            raise InvalidAddress(f"cannot make the socket {path}: {error.strerror}. {_USAGE}") from error
        self._path = path
        path.chmod(0o600)  # before anybody can connect
        self.socket.listen(1024)
        self.address = f"unix:{path}"
        self.variables = {"OPENMPQ_POOL": self.address}

    def _listen_tcp(self, place: str, token: str | None) -> None:
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise InvalidAddress(f"'tcp:{place}' is not an address. {_USAGE}")
        if host in (name for _, name in socket.if_nameindex()):
            host = address_on(host)
        try:
            self.socket = socket.create_server((host, int(port)), backlog=1024)
        except OSError as error:
            raise InvalidAddress(f"cannot listen at tcp:{place}: {error.strerror or error}. {_USAGE}") from error
        token = token or secrets.token_hex(32)
        self.address, self.token = f"tcp:{host}:{self.socket.getsockname()[1]}", token.encode()
        self.variables = {
            "OPENMPQ_POOL": self.address,
            "OPENMPQ_TOKEN_FILE": str(self._token_file(token)),
            node.VARIABLE: node.command(),
        }

    def _token_file(self, token: str) -> Path:
        """In the home folder, which the nodes of a cluster share; else where temporary files go."""
        try:
            parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conqure"
            parent.mkdir(parents=True, exist_ok=True)
            path = self._folder(parent) / "token"
        except (OSError, RuntimeError):
            path = self._folder(Path(tempfile.gettempdir())) / "token"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
        return path


def address_on(interface: str) -> str:
    """This machine's IPv4 address on a network interface.

    Raises:
        InvalidAddress: there is none; the text lists the interfaces.

    >>> address_on("lo")
    '127.0.0.1'
    """
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:
        try:
            request = struct.pack("256s", os.fsencode(interface)[:15])
            return socket.inet_ntoa(fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)[20:24])
        except OSError:
            names = ", ".join(sorted(name for _, name in socket.if_nameindex()))
            raise InvalidAddress(
                f"this machine has no network interface {interface!r} with an IPv4 address. It has: {names}."
            ) from None


def _remove_stale(path: Path) -> None:
    """A socket file of a bridge that was killed makes room; one that answers does not."""
    if not path.is_socket():
        return
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)  # one with many visitors waiting is as much alive
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise InvalidAddress(
        f"another bridge listens at unix:{path}. Join it with OPENMPQ_POOL=unix:{path}, or use another path."
    )
