"""The figures: that they are drawn for every kind of run, and what is written on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from conqure import Engine
from conqure.workflows.vqe import MaxCut, VQEResult, solve
from conqure.workflows.vqe import plot as plotting
from conqure.workflows.vqe.result import Circuit, sessions


@pytest.fixture(scope="module")
def result(engine: Engine) -> VQEResult:
    return solve(MaxCut.read("maxcut7"), qpus=engine.qpus, cpus=engine.cpus, starts=3, seed=1, n_qpus=2, n_cpus=2)


def drawn(draw: Any, result: VQEResult) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    draw(figure, result)
    return figure


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
    above, below = drawn(plotting._timeline, result).axes
    assert [label.get_text() for label in above.get_yticklabels()] == ["sv0", "sv1"]
    assert sum(len(bars.get_paths()) for bars in above.collections) == len(result.circuits)
    assert sum(len(bars.get_paths()) for bars in below.collections) == len(result.steps)
    assert f"QPU utilisation {result.qpu_utilisation:.1%}" in above.get_title(loc="left")
    assert below.get_xlabel() == "time (s)"


def test_the_pause_of_a_resumed_run_is_left_out_and_marked(result: VQEResult) -> None:
    half = len(result.circuits) // 2
    later = [replace(c, started_at=c.started_at + 3600, ended_at=c.ended_at + 3600, session=1) for c in result.circuits]
    resumed = replace(result, circuits=(*result.circuits[:half], *later[half:]), steps=())
    above, _ = drawn(plotting._timeline, resumed).axes
    assert above.get_xlim()[1] < 60
    assert [line.get_linestyle() for line in above.lines] == [":"]


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
