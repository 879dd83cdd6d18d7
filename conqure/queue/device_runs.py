"""How a device client runs a work: on one of our drivers here, through the lab's own program in `lab_program`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError
from qpu_executors.running import HeldDevice

from .work import WorkRecord
from .workloads import named_after_work, named_as_handed_in, read_tasks, results_payload

TERM_S = 5.0  # between asking a run to end and ending it


class Cancellation:
    """Somebody wants a run to end early; and what it has run until then.

    Attributes:
        reason: what becomes of the work then; None while nobody wants it to end.
        run_s: seconds of the QPU, where the runner knows them better than by a clock around `Runner.run`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._then: Callable[[], object] = lambda: None
        self.reason: ConqureError | None = None
        self.run_s: float | None = None

    def want(self, reason: ConqureError) -> None:
        """End it; the first reason stands."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason, then = reason, self._then
        then()

    def then(self, call: Callable[[], object]) -> None:
        """Call this when it is wanted; at once if it is already."""
        with self._lock:
            self._then, wanted = call, self.reason is not None
        if wanted:
            call()


class Runner(Protocol):
    """What runs works. ``slots`` threads call `run` at a time; `cancel` comes from another one."""

    slots: int

    def configuration(self) -> bytes:
        """What users may know of the device, as JSON."""
        ...

    def run(self, work: WorkRecord, workload: bytes, folder: Path, canceled: Cancellation) -> bytes:
        """The results. ``folder`` is private; when ``canceled`` has a reason, end early: what comes of it is thrown
        away. Whatever it raises is the error of the work."""
        ...

    def close(self) -> None: ...


class DriverRunner:
    """Runs tasks on a QPU that a driver opens; the programs of a loop are prepared once.

    A task that runs is not interrupted; the rest of a list of tasks is, when its owner cancels.

    Raises:
        UnknownDriver, InvalidSite, MissingPackage, DeviceError: the QPU cannot be opened.
    """

    def __init__(self, qpu: QPU) -> None:
        self.slots = qpu.slots
        self._held = HeldDevice(qpu)

    def configuration(self) -> bytes:
        qpu = self._held.qpu
        facts = {"device_id": qpu.device_id, "driver": qpu.driver, "qubits": qpu.n_qubits, "slots": qpu.slots}
        facts |= {"tags": list(qpu.tags), "max_shots": qpu.max_shots, "languages": list(self._held.device.languages)}
        return json.dumps(facts).encode()

    def run(self, work: WorkRecord, workload: bytes, folder: Path, canceled: Cancellation) -> bytes:
        # The queue has chosen this device; what it calls it, and by which tags, is its affair.
        device_id = self._held.qpu.device_id
        tasks = read_tasks(work.format, workload, device_id=device_id, priority=work.priority, work_id=work.work_id)
        results, canceled.run_s = [], 0.0
        for position, task in enumerate(tasks):
            if canceled.reason is not None:
                return b""
            result = self._held.run(named_after_work(task, work.work_id, position))
            results.append(named_as_handed_in(result, task))
            canceled.run_s += results[-1].run_s
        return results_payload(work.format, results, workload)

    def close(self) -> None:
        self._held.close()
