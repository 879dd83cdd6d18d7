"""The main job: six VQE starts on six emulated QPUs of 50 ms a circuit, and how busy they keep two."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import conqure
from conqure.workflows.vqe import MaxCut, Rotosolve, VQEResult, solve
from qpu_executors import QPU, Site

from ..harness import Measure, measure

STARTS, CALL_S, ROUNDS = 6, 0.05, 3
# name -> engine, options, goal of the speed-up
ENGINES: dict[str, tuple[str, dict[str, Any], float]] = {
    "threads": ("threads", {}, 5.8),
    "Parsl, QPUs in process": ("parsl", {"qpu_mode": "threads"}, 5.8),
    "Parsl, QPUs on workers": ("parsl", {"qpu_mode": "workers"}, 5.8),
    "Dask": ("dask", {}, 5.3),
}


def site(n_qpus: int) -> Site:
    options = {"driver": "statevector", "job_s": CALL_S}
    return Site("bench", tuple(QPU(f"ion{i}", "emulated", 7, options=options) for i in range(n_qpus)), cpu_workers=1)


def job(engine: Any, n_qpus: int) -> VQEResult:
    """One sweep of Rotosolve on the 7-vertex graph: 42 circuits a start and the final state's, a task each."""
    problem = MaxCut.read("maxcut7")
    return solve(
        problem, None, Rotosolve(sweeps=1), qpus=engine.qpus, cpus=engine.cpus, starts=STARTS, seed=1, n_qpus=n_qpus
    )


def seconds(engine: Any, n_qpus: int) -> float:
    started = time.perf_counter()
    job(engine, n_qpus)
    return time.perf_counter() - started


def measures() -> Iterable[Measure]:
    walls: dict[str, list[float]] = {name: [] for name in ("serial", *ENGINES)}
    with ExitStack() as stack:
        serial = stack.enter_context(conqure.open_engine("threads", site(1)))
        engines = {
            name: stack.enter_context(conqure.open_engine(engine, site(6), **options))
            for name, (engine, options, _) in ENGINES.items()
        }
        for engine in engines.values():  # an untimed round, as everywhere; what a start costs is the part startup
            job(engine, 6)
        for _ in range(ROUNDS):
            walls["serial"].append(seconds(serial, 1))
            for name, engine in engines.items():
                walls[name].append(seconds(engine, 6))
    note = ", ".join(f"{name} {sorted(values)[len(values) // 2]:.2f} s" for name, values in walls.items())
    for name, (_, _, goal) in ENGINES.items():
        yield measure(
            f"six starts on six QPUs of 50 ms, {name}",
            [one / many for one, many in zip(walls["serial"], walls[name], strict=True)],
            goal=(">=", goal),
            compared_with="the same starts on one QPU that is never idle",
            note=note,
        )
    for name, (kind, options, _) in ENGINES.items():
        with conqure.open_engine(kind, site(2), **options) as engine:
            shares = [100 * job(engine, 2).qpu_utilisation for _ in range(ROUNDS)]
        yield measure(f"QPU utilisation, six starts on two QPUs, {name}", shares, "%", goal=(">=", 95.0))
