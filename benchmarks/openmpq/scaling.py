"""Six OpenMP threads on six QPUs of 50 ms, against one thread on one: the paper reached 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import openmpq_runtime
from qpu_executors import QPU, QPUThreadPool

from ..harness import Measure, measure
from ..waist.circuit import N_QUBITS
from .program import Program, program

THREADS, OFFLOADS, CALL_S, ROUNDS = 6, 60, 0.05, 3


def emulated(n: int, call_s: float = CALL_S) -> QPUThreadPool:
    """So many emulated ion traps."""
    options = {"driver": "statevector", "job_s": call_s}
    return QPUThreadPool([QPU(f"ion{i}", "emulated", N_QUBITS, options=options) for i in range(n)])


def seconds(offload: Program, threads: int) -> float:
    answer = offload.ask(f"{OFFLOADS // threads} {threads} 0")
    if answer["errors"]:
        raise RuntimeError(f"{answer['errors']} offloads failed")
    taken: float = answer["seconds"]
    return taken


def measures() -> Iterable[Measure]:
    with ExitStack() as stack:
        programs = {}
        for n in (1, THREADS):
            bridge = stack.enter_context(openmpq_runtime.serve(stack.enter_context(emulated(n))))
            programs[n] = stack.enter_context(program("offload.cpp", environment=bridge.environment()))
            programs[n].microseconds(2, n)
        walls = [(seconds(programs[1], 1), seconds(programs[THREADS], THREADS)) for _ in range(ROUNDS)]
    yield measure(
        "six OpenMP threads on six emulated QPUs of 50 ms",
        [one / six for one, six in walls],
        goal=(">=", 5.9),
        compared_with="one thread on one QPU; the paper: 3.1",
        note=f"{OFFLOADS} offloads: " + ", ".join(f"{one:.2f} s and {six:.3f} s" for one, six in walls),
    )
