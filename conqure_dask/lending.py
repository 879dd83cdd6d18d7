"""The worker's side of a lease: a Dask task that lends this worker's QPU to one client.

While it runs it owns the QPU like any other task does. Circuits come over a connection of their own, so the client pays
Dask once per lease and not once per circuit. It ends when the client hangs up, however that comes about.
"""

from __future__ import annotations

import json
from contextlib import closing

from distributed import get_worker

from qpu_executors import ConqureError, DeviceError, HeldDevice, QuantumTask

from .calls import this_qpu
from .channel import FAILED, RESULT, TASK, WANTED, Channel, connect
from .worker import HoldQPU


def lend(lease: str, address: tuple[str, int], secret: bytes) -> int:
    """Lend this worker's QPU to the client that listens at ``address``; returns how many tasks it ran."""
    with this_qpu(lend) as held:
        worker = get_worker()
        plugin: HoldQPU = worker.plugins[HoldQPU.name]
        qpu = {name: getattr(held.qpu, name) for name in ("device_id", "driver", "n_qubits", "slots", "tags")}
        greeting = json.dumps({"lease": lease, "qpu": qpu, "worker": str(worker.name)})
        held.metadata = {}  # a lease that Dask repeats is not a circuit that is repeated
        try:
            channel = connect(tuple(address), secret, greeting.encode(), plugin.tls)  # type: ignore[arg-type]
        except OSError:
            return 0  # the client is gone, or has no use for this lease any more
        with closing(channel), plugin.lending(channel):
            return _serve(channel, held, plugin)


def _serve(channel: Channel, held: HeldDevice, plugin: HoldQPU) -> int:
    n_tasks, told = 0, False
    try:
        while not plugin.closing:
            if plugin.wanted != told:
                told = plugin.wanted
                channel.send(WANTED, b"1" if told else b"")
            if channel.wait(None) == "frame":
                kind, body = channel.receive()
                if kind != TASK:
                    return n_tasks
                channel.send(*answer(held, body))
                n_tasks += 1
    except OSError:
        pass
    return n_tasks


def answer(held: HeldDevice, body: bytes) -> tuple[bytes, bytes]:
    """Run a task that came as JSON: its result, or the error with its kind, as a frame."""
    try:
        return RESULT, held.run(QuantumTask.from_json(body)).to_json().encode()
    except ConqureError as error:
        return _failed(error)
    except Exception as error:  # a mistake in a driver must not end the lease
        return _failed(DeviceError(f"device {held.qpu.device_id!r} failed: {type(error).__name__}: {error}"))


def _failed(error: ConqureError) -> tuple[bytes, bytes]:
    return FAILED, json.dumps({"kind": error.kind, "message": str(error)}).encode()
