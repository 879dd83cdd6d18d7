"""What our layer adds to a Dask task: the decorated call against a bare ``client.submit`` of the same work."""

from __future__ import annotations

from collections.abc import Iterable

from distributed import Client

from conqure_dask import cluster, quantum_app
from qpu_executors import QPU, Site

from ..harness import Measure, beside, in_turn, measure, ratios
from .users import by_hand, paper_circuit


def measures() -> Iterable[Measure]:
    site = Site("bench", (QPU("aer0", "aer", 7),), cpu_workers=1)
    with cluster(site) as dask_cluster, Client(dask_cluster) as client:
        ours = quantum_app(device="aer0", shots=1024)(paper_circuit)
        calls = {
            "@quantum_app": lambda: ours(0.3).result(),
            "client.submit": lambda: client.submit(by_hand, 0.3, pure=False, resources={"QPU": 1}).result(),
        }
        times = in_turn(calls, rounds=15, repeat=20)
    yield measure(
        "conqure_dask call against a bare client.submit",
        ratios(times, "@quantum_app", "client.submit"),
        goal=("<=", 1.1),
        compared_with="client.submit of a function that builds and runs the same Qiskit circuit on Aer",
        note=beside(times),
    )
