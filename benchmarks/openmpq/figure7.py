"""The paper's Figure 7: the Max-Cut VQE on 7 vertices in C++, 1 to 6 runs, serial and one QPU per OpenMP thread."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping

import openmpq_runtime

from ..harness import Measure, measure
from .program import compiled
from .scaling import emulated

RUNS, ROUNDS, CALL_S = range(1, 7), 3, 0.02
EXAMPLE = "../../openmpq_runtime/examples/vqe_maxcut.cpp"


def seconds(environment: Mapping[str, str], runs: int, *options: str) -> float:
    """The wall time of the example's starts, as it prints it; one sweep of Rotosolve, 43 circuits a run."""
    command = [str(compiled(EXAMPLE)), "--starts", str(runs), "--sweeps", "1", *options]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True)
    found = re.search(r"seconds ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


def measures() -> Iterable[Measure]:
    walls: dict[str, dict[int, list[float]]] = {"serial": {}, "OpenMP-Q, parallel": {}}
    with emulated(len(RUNS), CALL_S) as pool, openmpq_runtime.serve(pool) as bridge:
        environment = bridge.environment()
        for number in range(ROUNDS + 1):
            for runs in RUNS:
                taken = seconds(environment, runs), seconds(environment, runs, "--serial") if number else 0.0
                if number:  # one untimed round before, of the parallel ones
                    walls["OpenMP-Q, parallel"].setdefault(runs, []).append(taken[0])
                    walls["serial"].setdefault(runs, []).append(taken[1])
    parallel, serial = walls["OpenMP-Q, parallel"], walls["serial"]
    yield measure(
        "Figure 7: six parallel runs of the Max-Cut VQE in C++, six QPUs of 20 ms",
        [six / one for six, one in zip(parallel[6], parallel[1], strict=True)],
        goal=("<=", 1.1),
        compared_with="one run; the paper: about 1.9",
        series={name: [statistics.median(each[runs]) for runs in RUNS] for name, each in walls.items()},
        series_axes=("runs", "seconds"),
    )
    yield measure(
        "Figure 7: six runs, serial over parallel",
        [one / six for one, six in zip(serial[6], parallel[6], strict=True)],
        compared_with="the paper: 3.1",
    )
