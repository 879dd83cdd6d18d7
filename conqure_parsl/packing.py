"""Calls, values and errors as bytes.

The hot path, ``run(QuantumTask)``, is a plain pickle of the task: no function travels. Everything else is pickled
where that is safe (2-5 µs) and goes through Parsl's own serializer where it is not: functions, and whatever
is defined in the user's script (Parsl's dill needs 100 µs for an empty tuple of arguments and more for objects).

A worker reads what Parsl's default serializers wrote without importing Parsl, which would take half a second of its
start; it imports Parsl for what a user's own serializers wrote.
"""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

import dill
from tblib import Traceback

from qpu_executors.records import QuantumTask
from qpu_executors.running import run

_RUN, _CALL, _AGAIN = b"R", b"C", b"A"
_PICKLE, _PARSL, _ERROR = b"p", b"s", b"e"
_PARSLS_OWN = (b"C2\n", b"02\n")  # its identifiers for what is a plain `dill.dumps`


class Failure:
    """What `unpack` gives for an error that a call raised; ``error`` has its traceback and its causes."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def is_run(func: Callable[..., Any]) -> bool:
    """Whether this is `run`, bare or in Parsl's error wrapper."""
    return func is run or getattr(func, "__wrapped__", None) is run


def pack_call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """A call as bytes; what cannot be serialised raises what the serializer raises."""
    if is_run(func) and not kwargs and len(args) == 1 and type(args[0]) is QuantumTask:
        return _RUN + pickle.dumps(args[0], pickle.HIGHEST_PROTOCOL)
    function = _parsls_dump(func)  # cached by Parsl per function object
    return _CALL + len(function).to_bytes(8, "big") + function + pack((args, kwargs))


def pack_attempt(attempt: int, call: bytes) -> bytes:
    """A packed call that is not made for the first time."""
    return _AGAIN + min(attempt, 255).to_bytes(1, "big") + call


def unpack_attempt(data: memoryview) -> tuple[int, memoryview]:
    """Which attempt a call is, and the call."""
    return (data[1], data[2:]) if data[:1] == _AGAIN else (1, data)


def unpack_call(data: memoryview) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    if data[:1] == _RUN:
        return run, (pickle.loads(data[1:]),), {}
    end = 9 + int.from_bytes(data[1:9], "big")
    args, kwargs = unpack(data[end:])
    return _load_function(bytes(data[9:end])), args, kwargs


def pack(value: Any) -> bytes:
    """Any value as bytes, by pickle if all its classes and functions can be imported elsewhere, else as Parsl does."""
    file = io.BytesIO()
    try:
        _ImportablePickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # pickle reports what it cannot do in many ways; Parsl's serializer has the last word
        return _PARSL + _parsls_dump(value)
    return _PICKLE + file.getbuffer()


def pack_error(error: BaseException) -> bytes:
    """An error with its traceback and its causes."""
    chain: list[tuple[BaseException, dict[str, Any] | None]] = []
    link: BaseException | None = error
    while link is not None and len(chain) < 20:
        chain.append((link, Traceback(link.__traceback__).to_dict() if link.__traceback__ else None))
        link = link.__cause__
    return _ERROR + pack(chain)


def unpack(data: memoryview) -> Any:
    if data[:1] == _PICKLE:
        return pickle.loads(data[1:])
    if data[:1] == _PARSL:
        return _parsls_load(bytes(data[1:]))
    chain = unpack(data[1:])
    for (error, traceback), (cause, _) in zip(chain, [*chain[1:], (None, None)], strict=True):
        error.__cause__ = cause
        if traceback is not None:
            error.__traceback__ = Traceback.from_dict(traceback).as_traceback()
    return Failure(chain[0][0])


class _ImportablePickler(pickle.Pickler):
    """Refuses what lives in ``__main__``: that is another module on the other side."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and obj.__module__ == "__main__":
            raise pickle.PicklingError(f"{obj.__qualname__} is defined in the script itself")
        return NotImplemented


def _parsls_dump(value: Any) -> bytes:
    from parsl.serialize import serialize

    return serialize(value, buffer_threshold=2**30)


def _parsls_load(data: bytes) -> Any:
    if data.startswith(_PARSLS_OWN):
        return dill.loads(data[3:])
    from parsl.serialize import deserialize

    return deserialize(data)


@functools.lru_cache(maxsize=256)
def _load_function(data: bytes) -> Callable[..., Any]:
    """Functions are taken for immutable, as Parsl does: one copy per worker."""
    function: Callable[..., Any] = _parsls_load(data)
    return function
