"""A worker: one process, which holds one QPU and runs one task after the other on it."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from qpu_executors import QPU, ConqureError, DeviceError
from qpu_executors.running import current_qpu, hold

from . import lifeline, wire
from .packing import pack, pack_error, unpack_attempt, unpack_call

NO_DRIVER = ""  # of what a worker of a `CPUExecutor` holds: nothing
OPENING_PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # between tries to open a device that says its trouble will pass


def work(path: Path, secret: bytes, hello: dict[str, Any], stderr: int, parents_connection: Connection) -> None:
    """The life of a worker: report, hold the QPU that the broker leases to us, run what it sends, until it is gone."""
    parents_connection.close()
    lifeline.die_with_parent()
    _settle(stderr)
    with contextlib.suppress(EOFError, OSError), wire.connect(path, secret) as broker:
        broker.send_bytes(wire.frame(wire.HELLO, json.dumps(hello | {"pid": os.getpid()}).encode()))
        lease = _next_lease(broker)
        while lease is not None:
            lease = _serve(broker, lease)


def _settle(stderr: int) -> None:
    os.dup2(stderr, 2)
    os.close(stderr)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGTERM, _terminated)
    faulthandler.enable()
    os.environ["CONQURE_WORKER"] = "parsl"  # `run` must not open a QPU behind our back


def _terminated(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _next_lease(broker: Connection) -> QPU | None:
    kind, _, body = wire.split(broker.recv_bytes())
    return pickle.loads(body) if kind == wire.LEASE else None


def _serve(broker: Connection, qpu: QPU) -> QPU | None:
    """Hold a QPU and run tasks until the broker leases us another one (returned) or lets us go (``None``)."""
    with contextlib.ExitStack() as stack:
        try:
            _open(stack, broker, qpu)
        except ConqureError as error:
            return _refuse(broker, error.kind, str(error))
        except Exception as error:
            text = f"device {qpu.device_id!r} cannot be opened: {type(error).__name__}: {error}"
            return _refuse(broker, DeviceError.kind, f"{text}\n{traceback.format_exc()}")
        broker.send_bytes(wire.frame(wire.READY))
        while True:
            kind, task_id, body = wire.split(broker.recv_bytes())
            if kind == wire.LEASE:
                return pickle.loads(body)
            broker.send_bytes(wire.frame(wire.RESULT, _result_of(body), task_id))


def _open(stack: contextlib.ExitStack, broker: Connection, qpu: QPU) -> None:
    if qpu.driver == NO_DRIVER:
        return
    for pause in (*OPENING_PAUSES_S, None):
        try:
            stack.enter_context(hold(qpu, process=True))
            return
        except ConqureError as error:
            if pause is None or not error.transient:
                raise
            broker.poll(pause)  # a break of the connection ends the pause, and then us


def _refuse(broker: Connection, kind: str, message: str) -> QPU | None:
    broker.send_bytes(wire.frame(wire.FAILED, json.dumps({"kind": kind, "message": message}).encode()))
    return _next_lease(broker)


def _result_of(body: memoryview) -> bytes:
    attempt, body = unpack_attempt(body)
    if (held := current_qpu()) is not None:  # a circuit that may run for the second time says so in its result
        held.metadata = {"attempts": attempt} if attempt > 1 else {}
    try:
        func, args, kwargs = unpack_call(body)
        return pack(func(*args, **kwargs))
    except Exception as error:
        try:
            return pack_error(error)
        except Exception:  # an error that cannot be serialised is told in words
            return pack_error(DeviceError(f"the task failed, and its error cannot be sent:\n{traceback.format_exc()}"))
