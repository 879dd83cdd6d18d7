"""The control protocol of an ARTIQ master: a line of JSON for each call, over TCP (ARTIQ's manual, "pc_rpc").

The master greets with the targets it has; the schedule is ``schedule`` in ARTIQ 8 and later, ``master_schedule``
before. There is no authentication and no encryption: the connection belongs into a lab's own network or a tunnel.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from ..errors import DeviceError, DeviceFault

PORT = 3251
TARGETS = ("schedule", "master_schedule")
MAX_LINE = 16 * 2**20  # bytes; a schedule holds what everybody submitted
_CLASS, _HELLO, _FEATURE = "__jsonclass__", b"ARTIQ pc_rpc\n", "pyon_v2"
_CONTAINERS = {"tuple": tuple, "dict": dict, "OrderedDict": dict, "set": list}


class MasterConnection:
    """An open connection to the schedule of a master.

    Args:
        timeout_s: for connecting, and for each answer.

    Raises:
        DeviceFault: nobody answers there, or not in time, or not as a master does.

    >>> with MasterConnection("lab-master", 3251, 10.0) as master:
    ...     master.call("get_status")
    {}
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._where = f"{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as error:
            raise DeviceFault(
                f"no ARTIQ master answers at {self._where}: {error}. Is artiq_master running there, with its control "
                "port reachable? See 'host' and 'port' of the options."
            ) from None
        self._buffer = b""
        try:
            self.target = self._choose_target()
        except BaseException:
            self._socket.close()
            raise

    def call(self, name: str, *args: Any) -> Any:
        """Call a method of the schedule.

        Raises:
            DeviceError: the master refuses; its words are in the text. DeviceFault: it does not answer.
        """
        request = {"action": "call", "name": name, "args": encode(args), "kwargs": {}}
        answer = self._ask(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        if not isinstance(answer, dict) or answer.get("status") not in ("ok", "failed"):
            raise self._strange(f"answers {str(answer)[:80]!r} to {name}")
        if answer["status"] == "ok":
            return answer.get("ret")
        exception = answer.get("exception")
        said = exception if isinstance(exception, dict) else {}
        kind, message = str(said.get("class", "error"))[:80], str(said.get("message", exception))[:500]
        raise DeviceError(f"the ARTIQ master at {self._where} refuses {name}: {kind}: {message}")

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> MasterConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose_target(self) -> str:
        offer = self._ask(_HELLO)
        targets = offer.get("targets") if isinstance(offer, dict) else None
        if not isinstance(targets, list) or _FEATURE not in offer.get("features", []):
            raise self._strange(f"greets with {str(offer)[:80]!r}, not as ARTIQ 6 and later do")
        target = next((name for name in TARGETS if name in targets), None)
        if target is None:
            raise self._strange(f"has no schedule, but {str(targets)[:200]}. Is 'port' its control port?")
        self._ask(f"{target} {_FEATURE}\n".encode())  # its methods
        return target

    def _ask(self, line: bytes) -> Any:
        try:
            self._socket.sendall(line)
            return decode(json.loads(self._read_line()))
        except OSError as error:
            raise DeviceFault(f"the ARTIQ master at {self._where} does not answer: {error or 'timed out'}.") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise self._strange(f"sends what is no JSON of ARTIQ's: {str(error)[:200]}") from None

    def _read_line(self) -> bytes:
        parts, size = [self._buffer], len(self._buffer)
        while b"\n" not in parts[-1]:
            part = self._socket.recv(65536)
            size += len(part)
            if not part:
                raise ConnectionError("it closed the connection")
            if size > MAX_LINE:
                raise self._strange(f"sends a line of over {MAX_LINE >> 20} MiB")
            parts.append(part)
        line, _, self._buffer = b"".join(parts).partition(b"\n")
        return line

    def _strange(self, what: str) -> DeviceFault:
        return DeviceFault(f"what is at {self._where} {what}. Is it the control port of an ARTIQ master ({PORT})?")


def encode(value: Any) -> Any:
    """A value as ARTIQ writes it in JSON: tuples, and dicts by other keys than text, are marked as such.

    >>> encode((1, {2: "x"}))
    {'__jsonclass__': ['tuple', [[1, {'__jsonclass__': ['dict', [[[2, 'x']]]]}]]]}
    """
    if isinstance(value, tuple):
        return {_CLASS: ["tuple", [[encode(part) for part in value]]]}
    if isinstance(value, list):
        return [encode(part) for part in value]
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        return {_CLASS: ["dict", [[[encode(key), encode(part)] for key, part in value.items()]]]}
    if isinstance(value, dict):
        return {key: encode(part) for key, part in value.items()}
    return value


def decode(value: Any) -> Any:
    """What `encode` wrote; sets come as lists, and what else is marked (arrays, fractions, …) stays as it is.

    Raises:
        ValueError, TypeError: it is marked, but not as ARTIQ marks.
    """
    if isinstance(value, list):
        return [decode(part) for part in value]
    if not isinstance(value, dict):
        return value
    if _CLASS not in value:
        return {key: decode(part) for key, part in value.items()}
    name, arguments = value[_CLASS]
    made = _CONTAINERS.get(name)
    if made is None:
        return value
    (parts,) = arguments
    return made(decode(parts))
