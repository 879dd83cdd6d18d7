"""QPUs as Dask resources: what a worker offers, and what a selector asks for.

A worker that holds a QPU offers ``QPU: 1``, ``QPU:<name>: 1``, ``tag:<tag>: 1`` for each tag and ``qubits: <number>``.
Dask gives a task to a worker that has *all* it asks for, so each selector, ``qubits>=5`` included, is a few resources,
and workers that join later are found too. ``QPU: 1`` is what makes a QPU exclusive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from qpu_executors import QPU, Selector

Resources = dict[str, float]

# Classical tasks ask for a share of nothing: it only keeps them away from workers without the label. A share of 1
# would block a task that starts others and waits for them, since Dask frees its thread meanwhile but not its resources.
CLASSICAL: Resources = {"CPU": 0}


def offered(qpu: QPU) -> Resources:
    """What a worker that holds this QPU offers.

    >>> offered(QPU("ion0", "emulated", 11, tags=("ion",)))
    {'QPU': 1, 'QPU:ion0': 1, 'tag:ion': 1, 'qubits': 11}
    """
    tags = {f"tag:{tag}": 1.0 for tag in qpu.tags}
    return {"QPU": 1, f"QPU:{qpu.device_id}": 1, **tags, "qubits": qpu.n_qubits}


def wanted(device_id: str) -> Resources:
    """What a task for this name or selector asks of a worker.

    >>> wanted("tag:ion,qubits>=5")
    {'QPU': 1, 'tag:ion': 1.0, 'qubits': 5}
    """
    selector = Selector.parse(device_id)
    asked: Resources = {"QPU": 1}
    if selector.name:
        asked[f"QPU:{selector.name}"] = 1
    asked |= {f"tag:{tag}": 1.0 for tag in selector.tags}
    if selector.n_qubits:
        asked["qubits"] = selector.n_qubits
    return asked


def suits(offer: Mapping[str, float], asked: Mapping[str, float]) -> bool:
    """Whether a worker that offers this can run a task that asks for that.

    >>> suits({"CPU": 4}, {"CPU": 0}), suits({"QPU": 1, "qubits": 5}, {"QPU": 1, "qubits": 7})
    (True, False)
    """
    return all(offer.get(resource, -1) >= amount for resource, amount in asked.items())


def qpus_of(offers: Iterable[Mapping[str, float]]) -> list[QPU]:
    """The QPUs behind the resources of some workers; workers that hold the same QPU are its slots."""
    found: dict[str, QPU] = {}
    slots: Counter[str] = Counter()
    for offer in offers:
        for name in (resource[4:] for resource in offer if resource.startswith("QPU:")):
            slots[name] += 1
            tags = tuple(resource[4:] for resource in offer if resource.startswith("tag:"))
            found[name] = QPU(name, "dask", int(offer.get("qubits", 0)), slots[name], tags)
    return [found[name] for name in sorted(found)]


def qpus_of_client(client: Any) -> list[QPU]:
    """The QPUs a cluster has: those of the site it was made for, else those its workers hold now."""
    site = getattr(client.cluster, "site", None)
    if site is not None:
        return list(site.qpus)
    return qpus_of(worker["resources"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
