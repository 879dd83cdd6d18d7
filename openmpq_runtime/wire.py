"""Messages of docs/openmpq-wire.md as bytes, and the checks of what comes from outside."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import orjson

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, InvalidTask
from qpu_executors.records import WIRE_VERSION, QuantumResult

VERSION = 1
MAX_FRAME = 64 * 2**20
SLOTS = 64
LANGUAGES = ("gates", "openqasm2", "openqasm3")  # text that is parsed, and nothing that could be executed
_LENGTH = struct.Struct(">I")
_CLIENT = re.compile(r"[0-9a-f]{32}")


class Refusal(ConqureError):
    """The peer does not keep to the protocol; the connection ends with this message."""

    kind = "protocol"

    def __init__(self, text: str, kind: str = "protocol") -> None:
        super().__init__(text)
        self.refused_as = kind


class Reader:
    """Frames from a socket, through a buffer."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()

    def exactly(self, n: int) -> bytes:
        """The next n bytes; `EOFError` if the peer has closed."""
        self._fill(n)
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    def _fill(self, n: int) -> None:
        while len(self._buffer) < n:
            data = self._receive(1 << 16)
            if not data:
                raise EOFError
            self._buffer += data

    def message(self) -> dict[str, Any]:
        """The next message; `Refusal` for what is none, before anything large is read."""
        self._fill(4)
        end = 4 + _LENGTH.unpack_from(self._buffer)[0]
        if end > 4 + MAX_FRAME:
            raise Refusal(f"a frame of {end - 4:,} bytes; at most {MAX_FRAME:,} are read.", "limit")
        self._fill(end)
        try:
            with memoryview(self._buffer)[4:end] as body:
                message = orjson.loads(body)
        except ValueError as error:
            raise Refusal(f"a frame is not JSON: {str(error)[:200]}") from None
        del self._buffer[:end]
        if not isinstance(message, dict):
            raise Refusal("a message is a JSON object.")
        return message


def frame(body: bytes) -> bytes:
    """A message with its length before it."""
    return _LENGTH.pack(len(body)) + body


def encode(message: dict[str, Any]) -> bytes:
    """A message as it travels, without its length."""
    return orjson.dumps(message)


def welcome(server: str, qpus: list[QPU], scripts: bool, max_in_flight: int) -> bytes:
    listed = [[qpu.device_id, qpu.n_qubits, qpu.slots] for qpu in qpus]
    fields = {"qpus": listed, "scripts": scripts, "max_in_flight": max_in_flight}
    return encode({"is": "welcome", "openmpq": VERSION, "server": server, **fields})


def refused(refusal: Refusal) -> bytes:
    return encode({"is": "refused", "kind": refusal.refused_as, "text": str(refusal)})


def result(request: int, done: QuantumResult) -> bytes:
    """The hot path. The result as `to_json` writes it, by a quicker writer: 128 states in 6 us instead of 36."""
    fields = orjson.dumps(done, option=orjson.OPT_SERIALIZE_NUMPY)[1:]
    body = b'{"is":"result","request":%d,"result":{"conqure":%d,"is":"result",%s}' % (request, WIRE_VERSION, fields)
    return _within_limit(request, body, "the counts are larger than 64 MiB. Use fewer shots, or fewer rows at a time.")


def arrays(request: int, returned: dict[str, Any]) -> bytes:
    """What `run_script` returned."""
    body = encode({"is": "arrays", "request": request, **returned})
    return _within_limit(request, body, "the script's arrays are larger than 64 MiB. Return fewer numbers.")


def _within_limit(request: int, body: bytes, otherwise: str) -> bytes:
    return body if len(body) <= MAX_FRAME else failed(request, InvalidTask(otherwise), "limit")


def failed(request: int, error: BaseException, kind: str | None = None) -> bytes:
    if isinstance(error, ConqureError):
        kind, text, transient = kind or error.kind, str(error), error.transient
    else:
        kind, text, transient = kind or "error", f"{type(error).__name__}: {error}", False
    text = text[:10_000].encode(errors="replace").decode()  # a file name may hold what UTF-8 does not
    return encode({"is": "failed", "request": request, "kind": kind, "text": text, "transient": transient})


def check_node(message: dict[str, Any]) -> str:
    """The name of the node that a relay speaks for; `Refusal` if it is not of our version."""
    _check_version(message)
    name = message.get("node")
    if not isinstance(name, str) or not 0 < len(name) <= 256 or not name.isprintable():
        raise Refusal("node must be 1 to 256 printable characters.")
    return name


def check_hello(message: dict[str, Any]) -> str:
    """The client's id; `Refusal` if this is no hello of our version."""
    if message.get("is") != "hello":
        raise Refusal("the first message must be hello, or node.")
    _check_version(message)
    client = message.get("client")
    if not isinstance(client, str) or not _CLIENT.fullmatch(client):
        raise Refusal("client must be 32 hex digits.")
    return client


def language(message: dict[str, Any]) -> str:
    """The language of a program; `InvalidTask` for one that is not plain text."""
    named = message.get("language", LANGUAGES[0])
    if named not in LANGUAGES:
        raise InvalidTask(f"a program's language is one of {', '.join(LANGUAGES)} here, not {str(named)[:40]!r}.")
    return str(named)


def _check_version(message: dict[str, Any]) -> None:
    if message.get("openmpq") != VERSION:
        raise Refusal(
            f"this bridge speaks version {VERSION} of the wire, the program's library {message.get('openmpq')!r}. "
            "Use the same CONQURE release on both sides.",
            "version",
        )


def whole(message: dict[str, Any], name: str, low: int, high: int = 2**53) -> int:
    """A whole number of a message; `Refusal` for anything else."""
    value = message.get(name)
    if type(value) is not int or not low <= value <= high:
        raise Refusal(f"{name} must be a whole number from {low} to {high}, not {str(value)[:40]}.")
    return value


def read_arrays(value: object) -> dict[str, list[float]]:
    """The arrays for a script; `InvalidTask` for anything else."""
    if not isinstance(value, dict) or not all(
        name.isidentifier() and isinstance(numbers, list) and all(type(n) in (int, float) for n in numbers)
        for name, numbers in value.items()
    ):
        raise InvalidTask("arrays must be an object: names (as in Python) to lists of numbers.")
    return value
