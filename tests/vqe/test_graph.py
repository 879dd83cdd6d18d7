"""The task graph on real pools: any pools, any order of events, failures."""

import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import qpu_executors
from conqure import (
    DeviceLost,
    Engine,
    InvalidTask,
    QPUThreadPool,
    QuantumResult,
    QuantumTask,
    UnknownDevice,
    open_engine,
)
from conqure.workflows.vqe import InvalidProblem, MaxCut, Molecule, PauliSum, VQEResult, listing2, solve
from conqure.workflows.vqe.optimizers import OPTIMIZERS
from conqure.workflows.vqe.progress import Lines, Silent

from .conftest import emulated_site

GRAPH = MaxCut.read("maxcut7")


def same(one: VQEResult, other: VQEResult) -> bool:
    return all(
        a.history == b.history and np.array_equal(a.parameters, b.parameters) and a.counts == b.counts
        for a, b in zip(one.starts, other.starts, strict=True)
    )


@pytest.fixture(scope="module")
def reference(engine: Engine) -> VQEResult:
    return solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=5)


def test_six_starts_find_the_maximum_cut_of_the_shipped_graph(engine: Engine) -> None:
    result = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, seed=1)
    assert len(result.starts) == 6
    assert result.exact == -9
    assert result.problem.describe(result.best.bitstring or "") == "cut 9: 0 2 4 5 | 1 3 6"
    assert result.best.mass is not None
    assert result.best.mass > 0.9
    assert result.best.share is not None
    assert 0.45 < result.best.share <= 1
    assert all(start.evaluations == 84 for start in result.starts)
    assert len(result.circuits) == 6 * 85
    assert len(result.steps) == 6 * 29


@pytest.mark.slow
def test_measured_energies_lie_within_their_errors_of_the_noiseless_ones(engine: Engine) -> None:
    """Twelve starts: no final energy is further than four standard errors from the computed one."""
    result = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=12, seed=8)
    scores = [(s.energy - (s.noiseless or 0)) / s.error for s in result.starts]
    assert max(map(abs, scores)) < 4
    assert 0.3 < np.std(scores) < 2


def test_the_same_seed_gives_the_same_run_on_other_pools(engine: Engine, reference: VQEResult) -> None:
    """One QPU instead of two, the standard library's pools instead of ours: another order of events, one result."""
    with QPUThreadPool([qpu_executors.QPU("only", "statevector", 7)]) as qpus, ThreadPoolExecutor(3) as cpus:
        assert same(solve(GRAPH, qpus=qpus, cpus=cpus, starts=3, seed=5), reference)


@pytest.mark.slow
def test_steps_run_in_other_processes(engine: Engine, reference: VQEResult) -> None:
    import multiprocessing

    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as cpus:
        assert same(solve(GRAPH, qpus=engine.qpus, cpus=cpus, starts=3, seed=5), reference)


def test_another_seed_gives_another_run(engine: Engine, reference: VQEResult) -> None:
    other = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=6)
    assert not same(other, reference)


def test_a_seed_is_drawn_and_kept_when_none_is_given(engine: Engine) -> None:
    small = MaxCut.of("edge", [(0, 1)])
    first, second = (solve(small, qpus=engine.qpus, cpus=engine.cpus, starts=1) for _ in range(2))
    assert first.setting["seed"] != second.setting["seed"]
    again = solve(small, qpus=engine.qpus, cpus=engine.cpus, starts=1, seed=first.setting["seed"])
    assert same(again, first)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_runs_through_the_graph(name: str, engine: Engine) -> None:
    triangle = MaxCut.of("triangle", [(0, 1), (1, 2), (0, 2)])
    result = solve(triangle, optimizer=name, qpus=engine.qpus, cpus=engine.cpus, starts=2, seed=3)
    assert result.best.energy < -1.6
    assert result.setting["optimizer"]["name"] == name


def test_batched_points_are_rows_of_one_task(engine: Engine) -> None:
    result = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=2, seed=1, batched=True)
    assert len(result.circuits) == 2 * 29
    assert len(result.steps) == 2 * 29
    assert result.best.energy < -7


def test_groups_are_measured_by_a_circuit_each(engine: Engine) -> None:
    toy = Molecule("toy", 1.0, 1, PauliSum(2, (("ZZ", 1.0), ("XX", 0.5), ("YY", 0.3)), 0.1))
    result = solve(toy, "listing2", "rotosolve", qpus=engine.qpus, cpus=engine.cpus, starts=2, shots=400, seed=1)
    assert len(result.circuits) == 2 * 3 * 25
    assert result.exact is not None
    assert abs(result.best.energy - result.exact) < 0.15


@pytest.mark.slow
def test_starts_share_the_qpus_and_steps_hide_behind_circuits() -> None:
    """Six starts on two QPUs of 5 ms: some start's circuits are always queued, so the QPUs hardly pause."""
    with open_engine("threads", emulated_site(2, 5)) as engine:
        result = solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, seed=1)
    assert result.qpu_utilisation > 0.9
    assert {circuit.device_id for circuit in result.circuits} == {"ion0", "ion1"}


def test_faults_that_pass_are_tried_again_and_change_nothing(reference: VQEResult, capsys: Any) -> None:
    """A tenth of all calls fails. The circuit is submitted again with its own seed, so the run is the same."""
    site = emulated_site(3, 0, failure_rate=0.1, failure_seed=1)
    with open_engine("threads", site) as engine:
        alone: Any = engine.qpus  # without other QPUs that stand in for one that fails
        result = solve(GRAPH, qpus=alone.pool, cpus=engine.cpus, starts=3, seed=5, progress=Lines())
    assert same(result, reference)
    assert result.retries > 5
    assert "trying again after DeviceFault: device 'ion" in capsys.readouterr().err


def test_a_device_that_always_fails_ends_the_run_with_its_error() -> None:
    site = emulated_site(2, 0, failure_rate=1.0)
    with open_engine("threads", site) as engine, pytest.raises(qpu_executors.DeviceFault, match="emulated fault"):
        solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, starts=1, seed=5)


class BrokenPool(Executor):
    """Breaks some calls of a real pool in the way a test says."""

    def __init__(self, inner: Executor, breaks: dict[int, BaseException]) -> None:
        self._inner, self._breaks, self._calls, self._lock = inner, breaks, 0, threading.Lock()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            self._calls += 1
            error = self._breaks.get(self._calls)
        if error is None:
            return self._inner.submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


class WorkerLost(Exception):
    """Named like Parsl's, which knows nothing of ``transient``."""


@pytest.mark.parametrize("error", [DeviceLost("gone"), WorkerLost("gone")])
def test_a_lost_worker_of_either_kind_is_replaced(error: Exception, engine: Engine, reference: VQEResult) -> None:
    qpus, cpus = BrokenPool(engine.qpus, {4: error}), BrokenPool(engine.cpus, {2: error, 10: error})
    result = solve(GRAPH, qpus=qpus, cpus=cpus, starts=3, seed=5)
    assert same(result, reference)
    assert result.retries == 2


def test_an_error_that_stays_ends_the_run_at_once(engine: Engine) -> None:
    qpus = BrokenPool(engine.qpus, {7: InvalidTask("no such gate.")})
    with pytest.raises(InvalidTask, match="no such gate"):
        solve(GRAPH, qpus=qpus, cpus=engine.cpus, starts=3, seed=5)


def test_an_unknown_device_fails_before_anything_runs(engine: Engine) -> None:
    with pytest.raises(UnknownDevice, match="ion7"):
        solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, device_id="ion7")
    with pytest.raises(UnknownDevice, match="20"):
        solve(MaxCut.read("weighted20"), qpus=engine.qpus, cpus=engine.cpus)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": 0}, "starts must be at least 1, not 0"),
        ({"shots": 0}, "shots must be at least 1, not 0"),
        ({"ansatz": listing2(5)}, "ansatz listing2 has 5 qubits, maxcut7 needs 7"),
        ({"ansatz": "qaoa", "optimizer": "rotosolve"}, "rotosolve needs an energy that is a short Fourier series"),
        ({"optimizer": "sgd"}, "no optimizer 'sgd'"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments: dict[str, Any], message: str, engine: Engine) -> None:
    with pytest.raises(InvalidProblem, match=message):
        solve(GRAPH, qpus=engine.qpus, cpus=engine.cpus, **arguments)


def test_the_client_follows_an_engine_that_reports_steps_before_their_circuits(engine: Engine) -> None:
    """On Dask a step's end can reach the client before the news of its circuits; none may be lost or counted twice."""

    class Late(Executor):
        def submit(self, fn: Any, /, task: QuantumTask, *args: Any) -> Future[Any]:  # type: ignore[override]
            outcome: Future[QuantumResult] = _LateNews()
            engine.qpus.submit(fn, task).add_done_callback(lambda done: outcome.set_result(done.result()))
            return outcome

    result = solve(GRAPH, qpus=Late(), cpus=engine.cpus, starts=3, seed=5, progress=Silent())
    assert len(result.circuits) == 3 * 85
    assert len({(c.start, c.link, c.task) for c in result.circuits}) == 3 * 85


class _LateNews(Future[Any]):
    """Tells the first who asked (the client) 20 ms after everybody else."""

    def add_done_callback(self, fn: Any) -> None:
        if not self._done_callbacks:  # type: ignore[attr-defined]
            super().add_done_callback(lambda done: threading.Timer(0.02, fn, [done]).start())
        else:
            super().add_done_callback(fn)
