"""The same program, handed the pools of every engine."""

import numpy as np
import pytest

from conqure import open_engine
from conqure.engines import ENGINE_NAMES
from conqure.workflows.vqe import MaxCut, VQEResult, solve

from .conftest import emulated_site

GRAPH = MaxCut.read("maxcut7")


def trajectories(result: VQEResult) -> list[tuple[object, ...]]:
    return [(start.history, start.parameters.tolist(), start.counts) for start in result.starts]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ENGINE_NAMES if name != "threads"])
def test_another_engine_gives_the_same_run(name: str) -> None:
    """Seeds hang on a circuit's place in the run, so engines, processes and the order of events change nothing."""
    found = {}
    for engine_name in ("threads", name):
        with open_engine(engine_name, emulated_site(2, 2)) as engine:
            found[engine_name] = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=9, optimizer="spsa")
    assert trajectories(found[name]) == trajectories(found["threads"])
    assert {circuit.device_id for circuit in found[name].circuits} == {"ion0", "ion1"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ENGINE_NAMES if name != "threads"])
def test_scipy_walks_on_workers_that_change(name: str) -> None:
    """COBYLA's steps run on whatever classical worker is free; the run is that of one thread."""
    found = []
    for engine_name, workers in (("threads", 1), (name, 2)):
        with open_engine(engine_name, emulated_site(2, 2)) as engine:
            result = solve(GRAPH, optimizer="cobyla", qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=9)
        found.append([start.parameters for start in result.starts])
        assert workers
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
