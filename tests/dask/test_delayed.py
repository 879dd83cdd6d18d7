"""The lazy form: the QPU annotation of a node survives every way through Dask's optimisation."""

from collections.abc import Callable
from typing import Any

import dask
import pytest
from dask.delayed import Delayed
from distributed import Client

from conqure_dask import quantum_app

from . import functions as f

# Each runs some nodes and gives their values back.
WAYS: dict[str, Callable[..., Any]] = {
    "compute": lambda client, *nodes: dask.compute(*nodes),
    "compute, not optimised": lambda client, *nodes: dask.compute(*nodes, optimize_graph=False),
    "persist": lambda client, *nodes: dask.compute(*dask.persist(*nodes)),
    "persist, not optimised": lambda client, *nodes: dask.compute(*dask.persist(*nodes, optimize_graph=False)),
    "client.compute": lambda client, *nodes: client.gather(client.compute(list(nodes))),
    "client.compute, not optimised": lambda client, *nodes: client.gather(
        client.compute(list(nodes), optimize_graph=False)
    ),
    "client.persist": lambda client, *nodes: dask.compute(*client.persist(list(nodes))),
    "dask.optimize before": lambda client, *nodes: dask.compute(*dask.optimize(*nodes)),
}

on_ion = quantum_app(device="tag:ion", shots=10)(f.adaptive)
on_sv = quantum_app(device="sv0", shots=10)(f.bell)


@pytest.fixture(params=WAYS)
def compute(request: pytest.FixtureRequest, client: Client) -> Callable[..., Any]:
    return lambda *nodes: WAYS[request.param](client, *nodes)


def test_single_nodes(compute: Callable[..., Any]) -> None:
    values = compute(*[on_ion.delayed(rounds=1) for _ in range(4)])
    assert {worker for worker, _ in values} <= {"ion0", "ion1"}


def test_a_chain_of_classical_and_quantum_nodes(compute: Callable[..., Any]) -> None:
    def chain() -> Delayed:
        rounds = dask.delayed(lambda: 2, pure=False)()
        quantum = on_ion.delayed(rounds=rounds)
        classical = dask.delayed(lambda found: [*found, f.where()])(quantum)
        again = on_sv.delayed()
        return dask.delayed(lambda found, result: [*found, result.device_id, f.where()])(classical, again)

    for first, shots, second, third, fourth in compute(*[chain() for _ in range(3)]):
        assert first in ("ion0", "ion1")
        assert shots == 20
        assert second.startswith("cpu")
        assert third == "sv0"
        assert fourth.startswith("cpu")


def test_nodes_nested_in_lists_and_dicts(compute: Callable[..., Any]) -> None:
    nested = dask.delayed({"a": [on_ion.delayed(rounds=1), {"b": on_ion.delayed(rounds=2)}], "c": on_sv.delayed()})
    (value,) = compute(dask.delayed(lambda found: found)(nested))
    assert value["a"][0][0].startswith("ion")
    assert value["a"][1]["b"][1] == 20
    assert value["c"].device_id == "sv0"


def test_a_quantum_node_that_takes_a_list_of_nodes(compute: Callable[..., Any]) -> None:
    app = quantum_app(device="ion1", shots=5)(lambda qpu, parts: (f.where(), sum(parts), f.shots_of(qpu.run(f.bell()))))
    node = app.delayed(parts=[dask.delayed(lambda: 1)(), dask.delayed(lambda: 2)(), 3])
    assert compute(node) == (("ion1", 6, 5),) or compute(node) == [("ion1", 6, 5)]


def test_a_wide_graph_that_is_reduced(compute: Callable[..., Any]) -> None:
    parts = [on_ion.delayed(rounds=1) for _ in range(6)]
    (value,) = compute(dask.delayed(lambda found: {worker for worker, _ in found} | {f.where()})(parts))
    assert value - {"ion0", "ion1"} <= {"cpu0", "cpu1"}
    assert len(value) == 3


def test_nodes_made_by_equal_calls_are_separate_samples(client: Client) -> None:
    app = quantum_app(device="sv0")(f.rotation)
    results = dask.compute(*[app.delayed([0.3] * 4) for _ in range(4)])
    assert len({str(result.counts) for result in results}) > 1


def test_a_loop_of_twenty_steps_alternates_between_qpu_and_cpu(client: Client) -> None:
    angles: Any = [0.1] * 4
    step = quantum_app(device="sv0")(f.rotation)
    for _ in range(20):
        angles = dask.delayed(f.angles_from)(step.delayed(angles))
    assert angles.compute() == [0.64] * 4


def test_other_annotations_around_are_kept(client: Client) -> None:
    with dask.annotate(priority=7):
        node = on_ion.delayed(rounds=1)
        classical = dask.delayed(f.where)(node)
    assert dask.compute(classical)[0].startswith("cpu")
