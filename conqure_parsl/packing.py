"""Calls and values as bytes.

The hot path, ``run(QuantumTask)``, is a plain pickle of the task: no function travels. Everything else is pickled
where that is safe (2-5 µs) and goes through Parsl's own serializer where it is not: functions, and whatever
is defined in the user's script (Parsl's dill needs 100 µs for an empty tuple of arguments and more for objects).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

import dill
from parsl.serialize import deserialize, serialize

from qpu_executors.records import QuantumTask
from qpu_executors.running import run

_RUN, _CALL = b"R", b"C"
_PICKLE, _DILL = b"p", b"d"


def is_run(func: Callable[..., Any]) -> bool:
    """Whether this is `run`, bare or in Parsl's error wrapper."""
    return func is run or getattr(func, "__wrapped__", None) is run


def dump_call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """A call as bytes; what cannot be serialised raises what the serializer raises."""
    if is_run(func) and not kwargs and len(args) == 1 and type(args[0]) is QuantumTask:
        return _RUN + pickle.dumps(args[0], pickle.HIGHEST_PROTOCOL)
    function = serialize(func, buffer_threshold=2**30)  # cached by Parsl per function object
    return _CALL + len(function).to_bytes(8, "big") + function + dump_value((args, kwargs))


def load_call(data: memoryview) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    if data[:1] == _RUN:
        return run, (pickle.loads(data[1:]),), {}
    end = 9 + int.from_bytes(data[1:9], "big")
    args, kwargs = load_value(data[end:])
    return deserialize(bytes(data[9:end])), args, kwargs


def dump_value(value: Any) -> bytes:
    """Any value as bytes, by pickle if all its classes and functions can be imported elsewhere, else by dill."""
    file = io.BytesIO()
    try:
        _ImportablePickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # pickle reports what it cannot do in many ways; dill has the last word
        return _DILL + dill.dumps(value)
    return _PICKLE + file.getbuffer()


def load_value(data: memoryview) -> Any:
    return pickle.loads(data[1:]) if data[:1] == _PICKLE else dill.loads(data[1:])


class _ImportablePickler(pickle.Pickler):
    """Refuses what lives in ``__main__``: that is another module on the other side."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and obj.__module__ == "__main__":
            raise pickle.PicklingError(f"{obj.__qualname__} is defined in the script itself")
        return NotImplemented
