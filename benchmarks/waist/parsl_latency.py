"""What a task costs on Parsl: ``@quantum_app`` and the QPU executor against bare apps and stock HTEX, in one DFK."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import parsl
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from conqure_parsl import parsl_config, pool, quantum_app
from qpu_executors import QPU, Site, run

from ..harness import Measure, beside, in_turn, measure, ratios
from .circuit import task
from .simulators import aer
from .users import by_hand, circuit_by_hand, nothing, paper_circuit

SITE = Site("bench", (QPU("aer0", "aer", 7),), cpu_workers=1)


def stock_htex() -> HighThroughputExecutor:
    """HTEX as its documentation starts it on one machine, one worker."""
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # it finds its programs there
    provider = LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1)
    return HighThroughputExecutor(label="htex", address="127.0.0.1", max_workers_per_node=1, provider=provider)


def measures() -> Iterable[Measure]:
    config = parsl_config(SITE, qpu_mode="workers", executors=[stock_htex()])
    with parsl.load(config) as dfk, pool(dfk) as qpus:
        on_qpu: dict[str, Any] = {"parsl_resource_specification": {"device_id": "any"}}
        qpu_label = next(label for label, executor in dfk.executors.items() if "QPU" in type(executor).__name__)
        quantum = quantum_app(device="aer0", shots=1024, data_flow_kernel=dfk)(paper_circuit)
        bare = parsl.python_app(executors=[qpu_label], data_flow_kernel=dfk)(by_hand)
        times = in_turn(
            {"@quantum_app": lambda: quantum(0.3).result(), "python_app": lambda: bare(0.3, **on_qpu).result()}, 15, 20
        )
        yield measure(
            "@quantum_app against a bare python_app",
            ratios(times, "@quantum_app", "python_app"),
            goal=("<=", 1.1),
            compared_with="a python_app that builds and runs the same Qiskit circuit on Aer, on the same executor",
            note=beside(times),
        )
        noop = parsl.python_app(executors=[qpu_label], data_flow_kernel=dfk)(nothing)
        htex_noop = parsl.python_app(executors=["htex"], data_flow_kernel=dfk)(nothing)
        times = in_turn({"QPUExecutor": lambda: noop(**on_qpu).result(), "HTEX": lambda: htex_noop().result()}, 15, 40)
        yield measure(
            "no-op round trip on the QPU executor",
            ratios(times, "QPUExecutor", "HTEX"),
            goal=("<=", 0.35),
            compared_with="stock HTEX",
            note=beside(times),
        )
        htex = parsl.python_app(executors=["htex"], data_flow_kernel=dfk)(circuit_by_hand)
        circuit = paper_circuit(0.3)
        calls = {
            "QPUExecutor": lambda: qpus.submit(run, task()).result(),
            "HTEX": lambda: htex(circuit).result(),
            "bare Aer": aer(),
        }
        times = in_turn(calls, 15, 20)
    added = [a - b for a, b in zip(times["QPUExecutor"], times["bare Aer"], strict=True)]
    by_htex = [a - b for a, b in zip(times["HTEX"], times["bare Aer"], strict=True)]
    yield measure(
        "7-qubit Aer circuit on a worker: time added",
        added,
        "ms",
        goal=("<=", 1.5),
        compared_with="the bare Aer call",
        note=beside(times),
    )
    yield measure(
        "the same, as a share of what HTEX adds",
        [a / b for a, b in zip(added, by_htex, strict=True)],
        goal=("<=", 0.25),
        compared_with="stock HTEX, the circuit as an argument of a python_app",
        note=beside({"added": added, "added by HTEX": by_htex}),
    )
