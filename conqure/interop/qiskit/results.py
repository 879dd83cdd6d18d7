"""Counts as Qiskit's `Result`, and what is kept of a circuit for that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from qpu_executors.device import Counts

from .circuits import Ready


def header(circuit: QuantumCircuit) -> dict[str, Any]:
    """What a result says about its circuit.

    ``creg_sizes`` is empty where the registers, one after the other, are not the circuit's classical bits: Qiskit
    would cut counts in wrong places.
    """
    in_order = [bit for register in circuit.cregs for bit in register] == list(circuit.clbits)
    cregs = [register for register in circuit.cregs if in_order and register.size]
    return {
        "name": circuit.name,
        "n_qubits": circuit.num_qubits,
        "qreg_sizes": [[register.name, register.size] for register in circuit.qregs],
        "creg_sizes": [[register.name, register.size] for register in cregs],
        "memory_slots": circuit.num_clbits,
        "global_phase": float(circuit.global_phase) if not circuit.parameters else 0.0,
        "metadata": circuit.metadata or {},
    }


def hexadecimal(ready: Ready, counts: Counts) -> dict[str, int]:
    """Counts as Qiskit's results hold them.

    >>> hexadecimal(ready, {"10 1": 7})
    {'0x5': 7}
    """
    found: dict[str, int] = {}
    for key, number in counts.items():
        value = hex(ready.value(key))
        found[value] = found.get(value, 0) + number
    return found


def experiment(
    about: dict[str, Any], counts: dict[str, int], shots: int, *, memory: bool, rng: np.random.Generator
) -> ExperimentResult:
    """One circuit's part of a result.

    QPUs give counts; with ``memory`` the shots are put into a random order, which is what independent shots are in.
    """
    data: dict[str, Any] = {"counts": counts} if about["memory_slots"] else {}
    if memory and data:
        outcomes = np.repeat(np.array(list(counts), dtype=object), list(counts.values()))
        data["memory"] = rng.permutation(outcomes).tolist()
    return ExperimentResult(shots, True, ExperimentResultData(**data), status="DONE", header=about)


def result(
    backend: tuple[str, str], job_id: str, experiments: Sequence[ExperimentResult], ran: Iterable[Any], date: Any
) -> Result:
    """The result of a job.

    Args:
        backend: name and version. ran: the `QuantumResult` of each task, whose times and metadata are kept.
    """
    tasks = [
        {"task_id": r.task_id, "device_id": r.device_id, "queue_s": r.queue_s, "run_s": r.run_s, **r.metadata}
        for r in ran
    ]
    return Result(
        backend_name=backend[0],
        backend_version=backend[1],
        job_id=job_id,
        success=True,
        results=list(experiments),
        date=date,
        status="COMPLETED",
        header={},
        time_taken=sum(task["run_s"] for task in tasks),
        tasks=tasks,
    )
