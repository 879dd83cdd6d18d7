"""One offload, against the paper's way: a generated script, a new interpreter, Qiskit, Aer, JSON over a pipe."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable

import openmpq_runtime
from qpu_executors import QPU, QPUThreadPool

from ..harness import Measure, beside, measure, ratios
from ..waist.circuit import N_QUBITS
from .program import program

ROUNDS, OFFLOADS = 5, 200


def measures() -> Iterable[Measure]:
    pool = QPUThreadPool([QPU("sv0", "statevector", N_QUBITS)])
    with (
        pool,
        tempfile.TemporaryDirectory() as folder,
        openmpq_runtime.serve(pool) as bridge,
        program("offload.cpp", environment=bridge.environment()) as ours,
        program("paper_way.cpp", sys.executable, f"{folder}/circuit.py") as paper,
    ):
        ours.microseconds(OFFLOADS)
        paper.ask("")  # its first run compiles bytecode that is not there yet
        times: dict[str, list[float]] = {"paper's way": [], "OpenMP-Q": []}
        for _ in range(ROUNDS):
            times["paper's way"].append(paper.ask("") / 1e3)
            times["OpenMP-Q"].append(statistics.median(ours.microseconds(OFFLOADS)) / 1e3)
    yield measure(
        "one offload, 7 qubits, 1024 shots, end to end",
        ratios(times, "paper's way", "OpenMP-Q"),
        goal=(">=", 300.0),
        compared_with="the paper's way in C++: write Listing 6, start Python, Qiskit and Aer, read JSON from a pipe",
        note=beside(times) + "; thread pool and statevector; packages byte-compiled",
    )
