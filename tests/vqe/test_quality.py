"""How often the answer is right, judged by the final state (not by the best bit string ever sampled)."""

import pytest

from conqure import Engine
from conqure.workflows.vqe import MaxCut
from conqure.workflows.vqe.quality import judge, random_graphs, summary


@pytest.mark.slow
def test_best_of_six_starts_solves_random_graphs(engine: Engine) -> None:
    """Four of the fixed set of 50; `python -m benchmarks` does them all."""
    found = summary(judge(random_graphs(4), engine.qpus, engine.cpus))
    assert found["solved"] == 4
    assert found["median_ratio"] > 0.98
    assert found["median_mass"] > 0.9
    assert found["evaluations"] <= 84


@pytest.mark.drill
def test_best_of_six_starts_solves_most_of_twenty_random_graphs_with_and_without_weights(engine: Engine) -> None:
    plain = summary(judge(random_graphs(20), engine.qpus, engine.cpus))
    weighted = summary(judge(random_graphs(20, weighted=True), engine.qpus, engine.cpus))
    assert plain["solved"] >= 19
    assert weighted["solved"] >= 16


def test_the_fixed_set_is_50_connected_graphs_of_seven_vertices() -> None:
    graphs = list(random_graphs())
    assert len({graph.edges for graph in graphs}) == 50
    assert {len(graph.vertices) for graph in graphs} == {7}


def test_a_graph_without_a_known_maximum_cannot_be_judged(engine: Engine) -> None:
    edge = MaxCut.of("edge", [(0, 1)])
    (found,) = judge([edge], engine.qpus, engine.cpus, starts=2, shots=50)
    assert found.solved
    assert found.ratio == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="too large to be judged"):
        list(judge([edge], engine.qpus, engine.cpus, starts=1, shots=5, exact=False))
