"""Graphs from files of every kind, and their maximum cuts."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from conqure.workflows.vqe import InvalidProblem, MaxCut, shipped_graphs
from conqure.workflows.vqe.pauli import read_counts


def cut_of_networkx(graph: nx.Graph) -> float:
    """The maximum cut by networkx's own cut function over all partitions."""
    nodes = list(graph)
    parts = ([v for i, v in enumerate(nodes) if number >> i & 1] for number in range(1 << (len(nodes) - 1)))
    return max(nx.cut_size(graph, part, weight="weight") for part in parts)


def weighted_graph() -> nx.Graph:
    graph = nx.gnp_random_graph(6, 0.6, seed=4)
    nx.set_edge_attributes(graph, {edge: 0.5 + i for i, edge in enumerate(graph.edges)}, "weight")
    return graph


@pytest.mark.parametrize(
    ("name", "vertices", "edges", "cut"),
    [("maxcut7", 7, 11, 9), ("petersen", 10, 15, 12), ("weighted10", 10, 15, 8.87), ("weighted14", 14, 21, 11.4)],
)
def test_a_shipped_graph_is_read_by_name(name: str, vertices: int, edges: int, cut: float) -> None:
    graph = MaxCut.read(name)
    assert (len(graph.vertices), len(graph.edges)) == (vertices, edges)
    assert graph.exact_cut() == pytest.approx(cut)
    assert name in shipped_graphs()


def test_the_papers_size_has_one_maximum_cut_only() -> None:
    graph = MaxCut.read("maxcut7")
    every = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(np.uint8)
    optimal = graph.is_maximum(every)
    assert optimal is not None
    assert optimal.sum() == 2  # a partition and its mirror image


def test_the_exact_cut_is_networkxs() -> None:
    graph = weighted_graph()
    assert MaxCut.of("g", graph.edges(data=True)).exact_cut() == pytest.approx(cut_of_networkx(graph))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, -2.0, 3.0)])
def test_the_hamiltonian_is_minus_the_cut_for_every_partition(weights: tuple[float, ...]) -> None:
    graph = MaxCut.of("path", [(i, i + 1, w) for i, w in enumerate(weights)])
    for number in range(16):
        state, bits = np.zeros(16), np.array([[number >> q & 1 for q in range(4)]], dtype=np.uint8)
        state[number] = 1
        assert graph.hamiltonian.expectation(state) == pytest.approx(-graph.cut(bits)[0])


@pytest.mark.parametrize("write", ["edgelist", "weighted", "data", "node_link", "old_node_link", "adjacency"])
def test_every_way_networkx_writes_a_graph_is_read(write: str, tmp_path: Path) -> None:
    graph, path = weighted_graph(), tmp_path / "graph"
    match write:
        case "edgelist":
            nx.set_edge_attributes(graph, 1.0, "weight")
            nx.write_edgelist(graph, path, data=False)
        case "weighted":
            nx.write_weighted_edgelist(graph, path)
        case "data":
            nx.write_edgelist(graph, path)
        case "node_link":
            path.write_text(json.dumps(nx.node_link_data(graph, edges="edges")))
        case "old_node_link":
            path.write_text(json.dumps(nx.node_link_data(graph, edges="links")))
        case "adjacency":
            path.write_text(json.dumps(nx.adjacency_data(graph)))
    assert MaxCut.read(path).exact_cut() == pytest.approx(cut_of_networkx(graph))


def test_an_edge_list_may_have_comments_commas_and_names(tmp_path: Path) -> None:
    path = tmp_path / "named.edges"
    path.write_text("# towns\nberlin, paris, 2\n\nparis rome   # no weight\n")
    graph = MaxCut.read(path)
    assert graph.vertices == ("berlin", "paris", "rome")
    assert graph.edges == ((0, 1, 2.0), (1, 2, 1.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\n", "line 1: '0' is no edge. Write: u v"),
        ("0 1\n1 1\n", "edge 1-1 joins a vertex to itself"),
        ("0 1\n1 0\n", "edge 1-0 is there twice"),
        ("0 1 heavy\n", "has the weight 'heavy'; it must be a finite number"),
        ("0 1 nan\n", "has the weight 'nan'"),
        ("0 1 {broken\n", "has the weight '{broken'"),
        ("", "0 vertices and 0 edges; it needs at least one edge"),
        ('{"nodes": [], ', "is not JSON"),
        ('{"nodes": [{"id": 0}]}', "is not networkx's node-link or adjacency JSON"),
        ('{"directed": true, "nodes": []}', "is a directed graph"),
    ],
)
def test_a_broken_file_says_what_is_wrong_with_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(InvalidProblem, match=message):
        MaxCut.read(path)


def test_a_file_that_is_not_there_names_the_shipped_graphs() -> None:
    with pytest.raises(InvalidProblem, match="no graph file 'maxcut8', and no shipped graph of that name: maxcut7, "):
        MaxCut.read("maxcut8")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InvalidProblem, match="is not text"):
        MaxCut.read(tmp_path / "noise")


def test_mass_and_description_of_a_measured_state() -> None:
    graph = MaxCut.of("path", [("a", "b"), ("b", "c")])
    assert graph.mass_on_optimum({"010": 60, "101": 15, "000": 25}) == 0.75
    assert graph.describe("010", -2.0) == "cut 2 of at most 2: a c | b"
    assert graph.describe("001") == "cut 1: b c | a"


def test_a_graph_too_large_to_enumerate_has_no_exact_cut() -> None:
    ring = MaxCut.of("ring", [(i, (i + 1) % 30) for i in range(30)])
    assert ring.exact_cut() is None
    assert ring.exact_energy() is None
    assert ring.mass_on_optimum({"0" * 30: 1}) is None


def test_random_graphs_are_connected_and_the_same_every_time() -> None:
    graph = MaxCut.random(1003, weighted=True)
    assert graph == MaxCut.random(1003, weighted=True)
    assert nx.is_connected(nx.Graph([(i, j) for i, j, _ in graph.edges]))
    assert all(0.1 <= weight <= 1 for _, _, weight in graph.edges)


def test_a_graph_survives_its_json() -> None:
    graph = MaxCut.read("weighted10")
    again = MaxCut.from_dict(json.loads(json.dumps(graph.to_dict())))
    assert again == graph


def test_vertices_without_edges_keep_their_qubits() -> None:
    graph = MaxCut.of("sparse", [(2, 0)], vertices=range(4))
    assert graph.vertices == ("0", "1", "2", "3")
    assert read_counts({"0100": 1})[0][0].tolist() == [0, 0, 1, 0]
    assert graph.describe("0100") == "cut 1: 0 1 3 | 2"
