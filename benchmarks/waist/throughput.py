"""2,000 seven-qubit evaluations in one batch: one row a task, and 20 rows a task, against bare driver calls."""

from __future__ import annotations

from collections.abc import Iterable

from qpu_executors import QPU, QPUThreadPool, run

from ..harness import Measure, in_turn, measure, ratios
from .circuit import N_QUBITS, ROW, task
from .simulators import statevector

N_ROWS, ROWS_PER_TASK = 2000, 20


def measures() -> Iterable[Measure]:
    bare = statevector()
    qpus = [QPU("sv0", "statevector", N_QUBITS)]
    with QPUThreadPool(qpus) as pool:

        def submit(rows_per_task: int) -> None:
            values = [ROW] * rows_per_task
            futures = [pool.submit(run, task(parameter_values=values)) for _ in range(N_ROWS // rows_per_task)]
            for future in futures:
                future.result()

        calls = {
            "one row a task": lambda: submit(1),
            "20 rows a task": lambda: submit(ROWS_PER_TASK),
            "bare driver": lambda: [bare() for _ in range(N_ROWS)],
        }
        times = in_turn(calls, rounds=7)
    per_second = {name: [1000 * N_ROWS / ms for ms in values] for name, values in times.items()}
    for name, goal in (("one row a task", None), ("20 rows a task", ("<=", 1.2))):
        yield measure(
            f"2,000 circuits in one batch, {name}",
            ratios(times, name, "bare driver"),
            goal=goal,  # type: ignore[arg-type]
            compared_with="2,000 bare driver calls",
            note=", ".join(f"{n} {sorted(v)[len(v) // 2]:,.0f}/s" for n, v in per_second.items()),
        )
