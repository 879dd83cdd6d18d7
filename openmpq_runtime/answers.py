"""What became of a request: as an answer to the program, and as observers see it."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import Any

from qpu_executors.errors import ConqureError
from qpu_executors.records import QuantumResult, QuantumTask

from . import wire

log = logging.getLogger("openmpq_runtime")


class Cancelled(ConqureError):
    """It was taken back before it ran."""

    kind = "cancelled"


def outcome_of(done: Future[Any]) -> Any:
    """What a future gave, or the error it ended with."""
    if done.cancelled():
        return Cancelled()
    error = done.exception()
    return done.result() if error is None else error


def answer_to(number: int, outcome: Any) -> bytes:
    """The message for the program. There is always one, since the program waits for it."""
    if isinstance(outcome, BaseException):
        return wire.failed(number, outcome)
    try:
        if isinstance(outcome, QuantumResult):
            return wire.result(number, outcome)
        return wire.arrays(number, outcome)
    except Exception as error:  # a driver may have put into its metadata what JSON does not have
        log.exception("the outcome of request %d cannot be sent", number)
        return wire.failed(number, error)


def as_observed(task: QuantumTask, outcome: Any) -> QuantumResult | BaseException:
    """Observers get results and errors; of a script its time on the QPU, and no counts."""
    if isinstance(outcome, (QuantumResult, BaseException)):
        return outcome
    ended = time.time()
    run_s = outcome["run_s"]
    queue_s = max(0.0, ended - run_s - task.created_at)
    return QuantumResult(task.task_id, outcome["device_id"], (), task.shots, queue_s, run_s, ended - run_s, ended)
