"""Braket programs on the pool: ``LocalSimulator("conqure")`` stands where ``LocalSimulator()`` stood.

>>> from braket.devices import LocalSimulator
>>> LocalSimulator("conqure").run(circuit, shots=1000).result().measurement_counts
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from braket.device_schema.simulators import (
    GateModelSimulatorDeviceCapabilities,
    GateModelSimulatorDeviceParameters,
)
from braket.ir.openqasm import Program
from braket.simulator import BraketSimulator
from braket.task_result import AdditionalMetadata, GateModelTaskResult, TaskMetadata

from qpu_executors.errors import InvalidTask
from qpu_executors.records import MAX_SHOTS, Priority, QuantumResult, QuantumTask
from qpu_executors.site import Site
from qpu_executors.translation.braket import BraketProgram, read
from qpu_executors.translation.braket_gates import BUILT_IN

from .door import door

DEVICE_VARIABLE = "CONQURE_DEVICE"
_OBSERVABLES = ["x", "y", "z", "h", "i", "hermitian"]


class ConqureSimulator(BraketSimulator):
    """Runs Braket's OpenQASM programs on a QPU of a site. The SDK loads it as ``LocalSimulator("conqure")``, and then
    the variables CONQURE_SITE and CONQURE_DEVICE say what is meant; else ``LocalSimulator(ConqureSimulator(…))``.

    Args:
        site, engine, pool: as of `conqure.interop.door.Door`.
        device: the name of a QPU, or a selector such as ``"qubits>=7"``; by default CONQURE_DEVICE, or any.
        seed: for simulators.
        priority: HIGH, MEDIUM or LOW.
    """

    DEVICE_ID = "conqure"

    def __init__(
        self,
        site: Site | str | Path | None = None,
        *,
        device: str | None = None,
        engine: str | None = None,
        pool: Executor | None = None,
        seed: int | None = None,
        priority: Priority | str = Priority.MEDIUM,
    ) -> None:
        self.door = door(site, engine=engine, pool=pool)
        device = device or os.environ.get(DEVICE_VARIABLE) or "any"
        self._qpus = self.door.select(device)
        self._fields: dict[str, Any] = {"device_id": device, "seed": seed, "priority": priority}

    def run(self, ir: Program, *args: Any, shots: int = 0, **fields: Any) -> GateModelTaskResult:
        """Run one program and wait for its result.

        Args:
            shots: at least 1.
            fields: of `QuantumTask`, for this program only: ``device_id``, ``seed``, ``priority``.

        Raises:
            InvalidTask: no shots, or the program cannot be run; the text says why.
        """
        return self.run_multiple([ir], shots=shots, **fields)[0]

    def run_multiple(
        self, programs: Sequence[Program], max_parallel: int | None = None, *args: Any, shots: int = 0, **fields: Any
    ) -> list[GateModelTaskResult]:
        """Run programs, which all wait at the same time; the QPUs say how many run, not ``max_parallel``."""
        if not shots:
            raise InvalidTask("shots is 0, but a QPU samples: exact results are not to be had. Give shots=1000 or so.")
        read_all = [_read(program) for program in programs]
        tasks = [self._task(found, shots, fields) for found in read_all]
        submitted: list[Future[QuantumResult]] = [self.door.submit(task) for task in tasks]
        done = [future.result() for future in submitted]
        return [_result(*each) for each in zip(programs, read_all, done, strict=True)]

    def _task(self, found: BraketProgram, shots: int, fields: Mapping[str, Any]) -> QuantumTask:
        made = found.translation
        return QuantumTask(
            made.program, made.language, shots=shots, parameter_values=(made.lifted,), **{**self._fields, **fields}
        )

    @property
    def properties(self) -> GateModelSimulatorDeviceCapabilities:
        most = min(max(qpu.max_shots for qpu in self._qpus), MAX_SHOTS)
        shots = {"minShots": 1, "maxShots": most}
        with_observables = [{"name": n, "observables": _OBSERVABLES, **shots} for n in _NAMES[:-1]]
        return GateModelSimulatorDeviceCapabilities.parse_obj(
            {
                "service": {
                    "executionWindows": [
                        {"executionDay": "Everyday", "windowStartHour": "00:00", "windowEndHour": "23:59:59"}
                    ],
                    "shotsRange": [1, most],
                },
                "action": {
                    "braket.ir.openqasm.program": {
                        "actionType": "braket.ir.openqasm.program",
                        "version": ["1"],
                        "supportedOperations": sorted([*BUILT_IN, "GPhase", "unitary"]),
                        "supportedModifiers": [
                            {"name": "ctrl"},
                            {"name": "negctrl"},
                            {"name": "pow", "exponent_types": ["int", "float"]},
                            {"name": "inv"},
                        ],
                        "supportedPragmas": [
                            "braket_unitary_matrix",
                            *(f"braket_result_type_{name.lower()}" for name in _NAMES),
                        ],
                        "forbiddenPragmas": [],
                        "supportedResultTypes": [*with_observables, {"name": _NAMES[-1], **shots}],
                        "supportPhysicalQubits": False,
                        "supportsPartialVerbatimBox": False,
                        "requiresContiguousQubitIndices": False,
                        "requiresAllQubitsMeasurement": False,
                        "supportsUnassignedMeasurements": True,
                        "disabledQubitRewiringSupported": False,
                    }
                },
                "paradigm": {"qubitCount": max(qpu.n_qubits for qpu in self._qpus)},
                "deviceParameters": GateModelSimulatorDeviceParameters.schema(),
            }
        )


_NAMES = ("Sample", "Expectation", "Variance", "Probability")  # the result types that need no state vector


def _read(program: Any) -> BraketProgram:
    if not isinstance(program, Program):
        raise InvalidTask(f"{type(program).__module__}.{type(program).__name__} is no OpenQASM program of Braket.")
    found = read(program)
    for result in found.results:
        if type(result).__name__ not in _NAMES:
            raise InvalidTask(
                f"result type {type(result).__name__} needs a state vector. With shots: {', '.join(_NAMES)}."
            )
    return found


def _result(program: Program, found: BraketProgram, done: QuantumResult) -> GateModelTaskResult:
    """As Braket's own local simulator: rows of measured bits, from which its SDK computes the values asked for."""
    rows = [[*bits.replace(" ", "")[::-1]] for bits, times in done.counts[0].items() for _ in range(times)]
    return GateModelTaskResult.construct(
        taskMetadata=TaskMetadata(
            id=done.task_id,
            shots=done.shots,
            deviceId=done.device_id,
            createdAt=_time(done.started_at - done.queue_s),
            endedAt=_time(done.ended_at),
        ),
        additionalMetadata=AdditionalMetadata(action=program),
        resultTypes=list(found.results),
        measurements=rows,
        measuredQubits=list(found.measured),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
