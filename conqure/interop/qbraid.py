"""The pool in qBraid's runtime: a provider of a site's QPUs, which take what any of the frameworks calls a circuit.

>>> device = ConqureProvider("laptop").get_device("sv0")
>>> device.run(circuit, shots=1000).result().data.get_counts()
"""

from __future__ import annotations

from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import Any

from qbraid.programs import QPROGRAM_REGISTRY, ExperimentType, ProgramSpec
from qbraid.runtime import (
    DeviceStatus,
    GateModelResultData,
    JobStateError,
    JobStatus,
    QuantumDevice,
    QuantumJob,
    QuantumProvider,
    Result,
    TargetProfile,
)

from qpu_executors.device import QPU
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.site import Site
from qpu_executors.translation import as_task

from .door import Door, door

_READ = ("qiskit", "qasm3", "qasm2", "cirq", "pytket", "braket")  # as they are; qBraid converts others
_SIMULATORS = {"statevector", "aer", "pennylane", "emulated", "fake"}


class ConqureProvider(QuantumProvider):
    """The QPUs of a site as devices of qBraid.

    Args:
        site, engine, pool: as of `conqure.interop.door.Door`.
    """

    def __init__(
        self, site: Site | str | Path | None = None, *, engine: str | None = None, pool: Executor | None = None
    ) -> None:
        self.door = door(site, engine=engine, pool=pool)

    def get_devices(self, **kwargs: Any) -> list[QuantumDevice]:
        """All QPUs, or those that a selector fits: ``get_devices(selector="qubits>=7")``."""
        return [ConqureDevice(qpu, self.door) for qpu in self.door.select(kwargs.get("selector", "any"))]

    def get_device(self, device_id: str) -> ConqureDevice:
        """One QPU by its name; `UnknownDevice` lists the names."""
        return ConqureDevice(self.door.select(device_id)[0], self.door)

    def __hash__(self) -> int:
        return hash(type(self))


class ConqureDevice(QuantumDevice):
    """A QPU. ``run(circuit, shots=…)`` takes the fields of `QuantumTask` as keyword arguments."""

    def __init__(self, qpu: QPU, way: Door) -> None:
        super().__init__(
            TargetProfile(
                device_id=qpu.device_id,
                simulator=qpu.driver in _SIMULATORS,
                experiment_type=ExperimentType.GATE_MODEL,
                num_qubits=qpu.n_qubits,
                program_spec=[
                    ProgramSpec(QPROGRAM_REGISTRY[alias], alias=alias) for alias in _READ if alias in QPROGRAM_REGISTRY
                ],
                provider_name="CONQURE",
            )
        )
        self.door = way

    def status(self) -> DeviceStatus:
        """Online as long as its site has it: a circuit for a QPU that does not answer waits, or fails and says so."""
        return DeviceStatus.ONLINE

    def submit(self, run_input: Any, *args: Any, **kwargs: Any) -> ConqureJob | list[ConqureJob]:
        """One job for each circuit; all of them wait at the same time."""
        if isinstance(run_input, list):
            tasks = [self._task(each, kwargs) for each in run_input]  # all are read before the first is sent
            return [self._send(task) for task in tasks]
        return self._send(self._task(run_input, kwargs))

    def _task(self, circuit: Any, fields: dict[str, Any]) -> QuantumTask:
        return as_task(circuit, **{**fields, "device_id": self.id})

    def _send(self, task: QuantumTask) -> ConqureJob:
        return ConqureJob(task, self.door.submit(task), self)


class ConqureJob(QuantumJob):
    """A circuit on its way to a QPU and back; its id is that of the task."""

    def __init__(self, task: QuantumTask, future: Future[QuantumResult], device: ConqureDevice) -> None:
        super().__init__(task.task_id, device, shots=task.shots)
        self._future = future

    def status(self) -> JobStatus:
        if self._future.cancelled():
            return JobStatus.CANCELLED
        if not self._future.done():
            return JobStatus.RUNNING if self._future.running() else JobStatus.QUEUED
        return JobStatus.COMPLETED if self._future.exception() is None else JobStatus.FAILED

    def result(self) -> Result[GateModelResultData]:
        """Wait for the counts, in Qiskit's order of the bits; what failed raises its own error."""
        try:
            done = self._future.result()
        except CancelledError as error:
            raise JobStateError(f"job {self.id} was cancelled.") from error
        counts = {bits.replace(" ", ""): times for bits, times in done.counts[0].items()}
        return Result(
            done.device_id,
            done.task_id,
            True,
            GateModelResultData(measurement_counts=counts),
            shots=done.shots,
            metadata=done.metadata,
        )

    def cancel(self) -> None:
        """Take a job back that has not started.

        Raises:
            JobStateError: it has.
        """
        if not self._future.cancel():
            raise JobStateError(f"job {self.id} is {self.status().name} and cannot be taken back.")
