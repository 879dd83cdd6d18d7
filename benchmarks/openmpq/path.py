"""The whole path C++ -> Python -> C++ on the Unix socket, with neither executor nor simulation behind it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any

import openmpq_runtime
from qpu_executors import QPU, QuantumResult, QuantumTask

from ..harness import Measure, measure
from ..waist.circuit import N_QUBITS, SHOTS
from .program import program

ROUNDS, OFFLOADS = 20, 300
COUNTS = {format(state, f"0{N_QUBITS}b"): SHOTS >> N_QUBITS for state in range(1 << N_QUBITS)}  # all states seen


class NullPool(Executor):
    """Answers in the calling thread with a result of the usual size, made up: what is left is the path."""

    qpus = (QPU("null0", "fake", N_QUBITS),)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        task: QuantumTask = args[0]
        now = time.time()
        future: Future[QuantumResult] = Future()
        future.set_result(QuantumResult(task.task_id, "null0", (COUNTS,), task.shots, 0.0, 0.0, now, now))
        return future


def measures() -> Iterable[Measure]:
    for where, address in (("Unix socket", None), ("TCP on the loopback", "tcp:127.0.0.1:0")):
        with (
            openmpq_runtime.serve(NullPool(), address) as bridge,
            program("offload.cpp", environment=bridge.environment()) as offload,
        ):
            offload.microseconds(OFFLOADS)
            rounds = [statistics.median(offload.microseconds(OFFLOADS)) for _ in range(ROUNDS)]
        yield measure(
            f"whole path C++ to Python to C++, {where}, no executor, no simulation",
            rounds,
            "us",
            goal=("<=", 100.0) if address is None else None,
            compared_with="a prototype: 65 us, 70 to 81 on TCP",
            note="the paper's Listing 2 on 7 qubits: record, send, parse, all 128 states back, frequencies",
        )
