"""A QPU that behaves in time like a real machine: wraps another driver and takes as long as hardware would.

One task at a time, a fixed overhead per call, a time per row and per shot, and faults if asked for. In real time it
sleeps until the stated time is over; on a virtual clock it returns at once and only reports that time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..device import QPU, Counts
from ..errors import DeviceBusy, DeviceFault, InvalidSite
from ..records import QuantumTask
from ..registry import open_device
from ..translation.gates import GateProgram


@dataclass
class Emulated:
    """What the wrapped driver made of a program, and its number of qubits; 0 if only that driver can tell."""

    inner: Any
    n_qubits: int


class EmulatedDevice:
    """Wraps the device of another driver.

    Args:
        driver, options: what computes the counts.
        shot_s, row_s, job_s: seconds per shot, per row of parameter values, and per call.
        reload_s: seconds to reload a trap, in a call whose circuit has another number of qubits than the one before.
        failure_rate: probability that a call ends in a (transient) `DeviceFault`; ``failure_seed`` makes it repeatable.
        clock: ``real`` sleeps, ``virtual`` only reports the time (as ``run_s`` of the result).
    """

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        driver: str = "statevector",
        options: Mapping[str, Any] | None = None,
        shot_s: float = 0.0,
        row_s: float = 0.0,
        job_s: float = 0.0,
        reload_s: float = 0.0,
        failure_rate: float = 0.0,
        failure_seed: int | None = None,
        clock: Literal["real", "virtual"] = "real",
    ) -> None:
        seconds = {"shot_s": shot_s, "row_s": row_s, "job_s": job_s, "reload_s": reload_s}
        _check(device_id, clock, **seconds, failure_rate=failure_rate)
        self.device_id, self.n_qubits = device_id, n_qubits
        self._inner = open_device(QPU(device_id, driver, n_qubits, options=dict(options or {})))
        self.languages = self._inner.languages
        self.metadata: dict[str, Any] = {}
        self._shot_s, self._row_s, self._job_s, self._clock = shot_s, row_s, job_s, clock
        self._reload_s, self._loaded = reload_s, 0  # qubits; it begins empty
        self._failure_rate, self._faults = failure_rate, np.random.default_rng(failure_seed)
        self._busy = threading.Lock()

    def prepare(self, program: str | bytes, language: str) -> Emulated:
        """See `Device.prepare`; the wrapped driver does it."""
        n_qubits = GateProgram.parse(program).n_qubits if language == "gates" and isinstance(program, str) else 0
        return Emulated(self._inner.prepare(program, language), n_qubits)

    def execute(
        self, prepared: Emulated, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> Sequence[Counts]:
        """See `Device.execute`. Raises `DeviceBusy` if it is running something, `DeviceFault` as configured."""
        if not self._busy.acquire(blocking=False):
            raise DeviceBusy(f"device {self.device_id!r} runs one task at a time and was given two.")
        try:
            started = time.perf_counter()
            counts = self._inner.execute(prepared.inner, parameter_values, shots, seed)
            spent = self.spent(prepared, len(parameter_values), shots)
            self._spend(started, sum(spent.values()))
            self.metadata |= self.facts(prepared, spent)
            if self._failure_rate and self._faults.random() < self._failure_rate:
                raise DeviceFault(f"device {self.device_id!r} had an emulated fault. Submit the task again.")
            return counts
        finally:
            self._busy.release()

    def estimate(self, task: QuantumTask) -> float:
        """Seconds that a task takes here; what a reload of the trap takes is not among them."""
        return self._job_s + task.n_rows * (self._row_s + task.shots * self._shot_s)

    def close(self) -> None:
        self._inner.close()

    def spent(self, prepared: Emulated, n_rows: int, shots: int) -> dict[str, float]:
        """Seconds that a call takes, by what it takes them for; ``prepared`` is what `prepare` made."""
        return {
            "job": self._job_s,
            "reload": self._load(prepared.n_qubits),
            "rows": n_rows * self._row_s,
            "shots": n_rows * shots * self._shot_s,
        }

    def facts(self, prepared: Emulated, spent: Mapping[str, float]) -> dict[str, Any]:
        """What the result's metadata say beside the times."""
        return {}

    def _load(self, n_qubits: int) -> float:
        """Have as many ions as the circuit has qubits; how long that takes."""
        if n_qubits in (0, self._loaded):
            return 0.0
        self._loaded = n_qubits
        return self._reload_s

    def _spend(self, started: float, seconds: float) -> None:
        self.metadata = dict(getattr(self._inner, "metadata", None) or {})
        if self._clock == "virtual":
            self.metadata["run_s"] = seconds
        else:
            time.sleep(max(0.0, started + seconds - time.perf_counter()))


def _check(device_id: str, clock: str, **numbers: float) -> None:
    where = f"[qpu.{device_id}.options]"
    if clock not in ("real", "virtual"):
        raise InvalidSite(f"{where} clock must be 'real' or 'virtual', not {clock!r}.")
    for name, value in numbers.items():
        if not isinstance(value, (int, float)) or not value >= 0:
            raise InvalidSite(f"{where} {name} must be a number from 0 (seconds, or a rate up to 1), not {value!r}.")
    if numbers["failure_rate"] > 1:
        raise InvalidSite(f"{where} failure_rate is a probability, at most 1, not {numbers['failure_rate']!r}.")
