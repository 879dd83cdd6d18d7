"""Milliseconds that each front end adds to ``pool.submit(run, task)``, for the paper's seven-qubit circuit.

Every call has angles of its own, as in a variational loop. The pool's QPU is the small state vector, so that little
hides what is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from qpu_executors import QPU, QPUThreadPool, run

from ..harness import Measure, beside, in_turn, measure
from ..waist.circuit import N_QUBITS, ROW, task
from . import circuits

BATCH, ROUNDS, REPEAT = 20, 15, 3
COUNTED = "Qiskit SamplerV2 and get_counts"
FRONT_ENDS = {
    "Qiskit SamplerV2": (circuits.qiskit, ("<=", 2.0)),
    "Cirq": (circuits.cirq, None),
    "pytket": (circuits.pytket, None),
    "Braket": (circuits.braket, None),
}


def measures() -> Iterable[Measure]:
    rng = np.random.default_rng(1)

    def row() -> list[float]:
        return (np.array(ROW) + rng.normal(size=len(ROW))).tolist()

    def tapes() -> list[Any]:
        return list(map(circuits.tape, rows()))

    def rows() -> list[list[float]]:
        return [row() for _ in range(BATCH)]

    with QPUThreadPool([QPU("sv0", "statevector", N_QUBITS)]) as pool:
        opened = {name: front_end(pool) for name, (front_end, _) in FRONT_ENDS.items()}
        calls = {name: lambda call=call: call(row()) for name, call in opened.items()}
        bits = circuits.qiskit(pool)
        calls[COUNTED] = lambda: bits(row()).get_counts()
        calls["pool call"] = lambda: pool.submit(run, task(parameter_values=row())).result()
        times = in_turn(calls, rounds=ROUNDS, repeat=REPEAT)
        execute = circuits.pennylane(pool)
        fresh = iter([tapes() for _ in range((ROUNDS + 1) * REPEAT)])  # PennyLane keeps on a tape what it found out
        batches = {
            "PennyLane": lambda: execute(next(fresh)),
            "pool call": lambda: pool.submit(run, task(parameter_values=rows())).result(),
            "pool calls one by one": lambda: [
                future.result() for future in [pool.submit(run, task(parameter_values=row())) for _ in range(BATCH)]
            ],
        }
        batch_times = in_turn(batches, rounds=ROUNDS, repeat=REPEAT)
    for name, (_, goal) in FRONT_ENDS.items():
        yield measure(
            f"added to a pool call per circuit, {name}",
            _added(times, name, "pool call", 1),
            "ms",
            goal=goal,  # type: ignore[arg-type]
            note=beside({which: times[which] for which in _shown(name)}),
        )
    yield measure(
        f"added per tape in a batch of {BATCH}, PennyLane",
        _added(batch_times, "PennyLane", "pool call", BATCH),
        "ms",
        goal=("<=", 2.0),
        compared_with=f"one pool call with {BATCH} rows",
        note=f"per tape: {beside({name: [ms / BATCH for ms in values] for name, values in batch_times.items()})}",
    )


def _shown(name: str) -> tuple[str, ...]:
    """What to show beside; Qiskit makes counts of its bits in Python, shot by shot, whatever backend gave them."""
    return (name, *([COUNTED] if COUNTED.startswith(name) else []), "pool call")


def _with_new_angles(call: circuits.Run, row: Callable[[], circuits.Row]) -> Callable[[], Any]:
    return lambda: call(row())


def _added(times: dict[str, list[float]], one: str, other: str, n_circuits: int) -> list[float]:
    """Milliseconds per circuit, round by round."""
    return [(a - b) / n_circuits for a, b in zip(times[one], times[other], strict=True)]
