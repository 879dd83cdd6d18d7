"""The figures: that they are drawn for every kind of run, and what is written on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from conqure import Engine
from conqure.workflows.vqe import MaxCut, VQEResult, solve
from conqure.workflows.vqe import plot as plotting
from conqure.workflows.vqe.lanes import classical_lanes
from conqure.workflows.vqe.ran import Circuit, Step
from conqure.workflows.vqe.result import sessions
from conqure.workflows.vqe.tables import facts
from conqure.workflows.vqe.timeline import draw_timeline


@pytest.fixture(scope="module")
def result(engine: Engine) -> VQEResult:
    return solve(MaxCut.read("maxcut7"), qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=1, n_qpus=2, n_cpus=2)


def drawn(draw: Any, result: VQEResult) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    draw(figure, result)
    return figure


@pytest.mark.slow
def test_both_figures_are_written(result: VQEResult, tmp_path: Path) -> None:
    for path in plotting.plot(result, tmp_path):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 20_000


def test_convergence_has_a_line_per_start_and_the_exact_minimum(result: VQEResult) -> None:
    (axes,) = drawn(plotting._convergence, result).axes
    assert axes.get_xlabel() == "energies measured per start"
    assert axes.get_ylabel() == "energy (cut weight)"
    assert axes.get_title(loc="left") == "maxcut7: 3 starts of rotosolve on listing2, 100 shots"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [label.partition(":")[0] for label in labels[:3]] == ["start 0", "start 1", "start 2"]
    assert labels[3:] == ["exact minimum: -9", "final state, 1,024 shots"]


def test_the_timeline_has_a_lane_per_qpu_and_per_worker_and_a_bar_per_node(result: VQEResult) -> None:
    above, below = drawn(draw_timeline, result).axes
    assert [label.get_text() for label in above.get_yticklabels()] == ["sv0", "sv1"]
    assert sum(len(bars.get_paths()) for bars in above.collections) == len(result.circuits)
    assert sum(len(bars.get_paths()) for bars in below.collections) == len(result.steps)
    assert f"QPU utilisation {result.qpu_utilisation:.1%}" in above.get_title(loc="left")
    assert below.get_xlabel() == "time (s)"


def test_the_pause_of_a_resumed_run_is_left_out_and_marked(result: VQEResult) -> None:
    half = len(result.circuits) // 2
    later = [replace(c, started_at=c.started_at + 3600, ended_at=c.ended_at + 3600, session=1) for c in result.circuits]
    resumed = replace(result, circuits=(*result.circuits[:half], *later[half:]), steps=())
    above, _ = drawn(draw_timeline, resumed).axes
    assert above.get_xlim()[1] < 60
    assert [line.get_linestyle() for line in above.lines] == [":"]


def circuit(began: float, ended: float, job: str, **more: Any) -> Circuit:
    return Circuit(0, 0, began, ended, 0, 0, "ion0", queued_at=began - 1, job=job, **more)


def step(began: float, ended: float, worker: str, job: str) -> Step:
    return Step(0, 0, began, ended, 0, worker, group="cpu", queued_at=began - 0.5, job=job)


@pytest.fixture
def on_slurm(result: VQEResult) -> VQEResult:
    """A run of 20 s: two jobs after each other held the QPU, and two jobs with two workers each the classical side."""
    circuits = (circuit(2, 4, "11"), circuit(6, 7, "11"), circuit(12, 14, "15", attempts=2))
    steps = (step(4, 5, "c1/1", "10"), step(7, 9, "c1/2", "10"), step(14, 19, "c2/3", "16"), step(15, 20, "c2/4", "16"))
    wakes = (step(1, 1.1, "c1/1", "10"),)
    return replace(result, circuits=circuits, steps=steps, wakes=wakes, n_qpus=1, n_cpus=2)


def test_a_job_is_held_from_its_first_node_to_its_last(on_slurm: VQEResult) -> None:
    assert [(use.job, use.name, use.started_at, use.ended_at, use.nodes, use.busy_s) for use in on_slurm.jobs] == [
        ("10", "cpu", 1, 9, 3, pytest.approx(3.1)),
        ("11", "ion0", 2, 7, 2, 3),
        ("15", "ion0", 12, 14, 1, 2),
        ("16", "cpu", 14, 20, 2, 6),
    ]
    assert on_slurm.qpu_held_s == 7
    assert on_slurm.qpu_busy_of_held == pytest.approx(5 / 7)
    assert on_slurm.queue_s == (3, 1)


def test_a_worker_of_a_later_job_takes_the_lane_of_one_that_is_over(on_slurm: VQEResult) -> None:
    lanes = classical_lanes(on_slurm.steps, on_slurm.wakes)
    assert [(lane.name, [job for job, _ in lane.held]) for lane in lanes] == [
        ("cpu 0", ["10", "16"]),
        ("cpu 1", ["10", "16"]),
    ]
    assert lanes[0].held[0] == ("10", (1, 9))
    assert lanes[0].waits == [(0.5, 1), (3.5, 4), (13.5, 14)]
    assert [len(lane.nodes) for lane in lanes] == [2, 2]


def test_the_timeline_shows_jobs_waits_and_what_was_held_for_nothing(on_slurm: VQEResult) -> None:
    figure = drawn(draw_timeline, on_slurm)
    above, below = figure.axes
    assert [text.get_text() for text in above.texts] == ["job 11", "job 15"]
    assert [text.get_text() for text in below.texts] == ["job 10", "job 16"]
    assert [text.get_text() for text in below.get_legend().get_texts()][1:] == [
        "waits in the queue",
        "held by a job, idle",
    ]
    assert "(71.4% of the time held)" in above.get_title(loc="left")
    assert above.get_xlim() == (0, 19.5)  # from the first wait to the last step


def test_without_slurm_the_timeline_shows_nothing_of_it(result: VQEResult) -> None:
    above, below = drawn(draw_timeline, result).axes
    assert not above.texts
    assert below.get_legend() is None
    assert not [label for label, _ in facts(result) if label in ("queue wait", "QPUs held", "Slurm jobs")]


def test_the_summary_says_what_the_jobs_cost(on_slurm: VQEResult) -> None:
    told = dict(facts(on_slurm))
    assert told["queue wait"] == "3.0 s of all circuits together, median 1.00 s"
    assert told["QPUs held"] == "7.0 s, 71.4% of it busy"
    assert told["ran again"] == "1 circuit whose job or worker was lost"
    assert told["Slurm jobs"] == "cpu: 10, 16; ion0: 11, 15"


def test_utilisation_is_busy_time_over_all_lanes_without_pauses() -> None:
    nodes = [
        Circuit(0, 0, 0.0, 4.0, 0, 0, "a"),
        Circuit(0, 0, 2.0, 4.0, 0, 1, "b"),
        Circuit(0, 1, 100.0, 101.0, 1, 0, "a"),
    ]
    graph = MaxCut.of("edge", [(0, 1)])
    result = VQEResult(graph, {}, (), None, tuple(nodes), (), n_qpus=2, n_cpus=1, retries=0)
    assert sessions(nodes) == [(0.0, 4.0), (100.0, 101.0)]
    assert result.qpu_utilisation == pytest.approx(7 / 10)
    assert result.wall_s == 5.0
