"""What the tests send to workers; importable there, as a user's own module is."""

import os
from typing import Any

from distributed import Event, Worker, get_worker

from qpu_executors import QPUHandle, QuantumResult, QuantumTask, run
from qpu_executors.testing import BELL, vqe_program


def where(*_: Any) -> str:
    """The name of the worker this runs on."""
    return str(get_worker().name)


def bell() -> str:
    return BELL


def bells(n: int) -> list[str]:
    return [BELL] * n


def shots_of(result: QuantumResult) -> int:
    return sum(result.counts[0].values())


def total_shots(results: list[QuantumResult], more: int = 0) -> int:
    return sum(map(shots_of, results)) + more


def rotation(angles: list[float]) -> QuantumTask:
    """Takes what an earlier task has computed."""
    return QuantumTask(vqe_program(2), parameter_values=angles, shots=64)


def angles_from(result: QuantumResult) -> list[float]:
    return [shots_of(result) / 100] * 4


def adaptive(qpu: QPUHandle, rounds: int) -> tuple[str, int]:
    """Style 2: as many circuits as it likes, and the worker it ran on."""
    return where(), sum(shots_of(qpu.run(BELL)) for _ in range(rounds))


def own_shots(shots: int) -> QuantumTask:
    """Has a parameter that is also one of ours."""
    return QuantumTask(BELL, shots=2 * shots)


def named_like_dasks_own(key: int, workers: int, resources: int, pure: int, qpu: QPUHandle | None = None) -> Any:
    return key, workers, resources, pure


def wait_for(qpu: QPUHandle, event: str) -> None:
    """Occupies a QPU until somebody sets the event."""
    Event(event).wait(timeout=30)


def n_waiting(dask_worker: Worker) -> int:
    """How many tasks wait for the QPU of a worker (`client.run` gives it the worker)."""
    return len(dask_worker.state.constrained)


def pid() -> int:
    return os.getpid()


def bare() -> QuantumResult:
    """What a user of bare Dask submits."""
    return run(QuantumTask(BELL, shots=10))
