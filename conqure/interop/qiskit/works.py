"""Jobs as works of the cloud queue: what another process must know to make a Qiskit `Result` of them.

A work keeps its tasks and their results, and of a task the result has the ``task_id``. So what Qiskit wants to know
about the circuits stands there, as JSON behind the id proper: names, registers, metadata. It has 256 characters; what
does not fit is left out, names of registers last; the process that made the work knows all of it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qpu_executors.errors import InvalidTask
from qpu_executors.records import QuantumResult, QuantumTask

from .circuits import Ready

LONGEST = 256  # characters of a task_id
_ID = re.compile(r"[0-9a-f]{16} (\{.*\})")


@dataclass(frozen=True)
class About:
    """A circuit in a job: what it was translated to, and its header in Qiskit's results."""

    ready: Ready
    header: dict[str, Any]


def named(task: QuantumTask, circuits: Sequence[About], *, memory: bool) -> QuantumTask:
    """The task with a task_id that tells about its circuits, one for each row.

    Raises:
        InvalidTask: even what is needed to read the counts is too long.
    """
    first = circuits[0]
    needed: dict[str, Any] = {"q": first.ready.n_qubits, "c": len(first.ready.places)}
    if not first.ready.is_plain:
        needed["b"] = first.ready.places
    if memory:
        needed["y"] = 1
    more = {
        "r": first.header["creg_sizes"],
        "n": _once([about.header["name"] for about in circuits]),
        "m": _once([about.header["metadata"] for about in circuits]),
    }
    if more["m"] == {}:
        del more["m"]
    start = os.urandom(8).hex()
    for n_kept in range(len(more), -1, -1):
        text = _json({**needed, **dict(list(more.items())[:n_kept])})
        if text and len(text) < LONGEST - len(start):
            return task.replace(task_id=f"{start} {text}")
    raise InvalidTask(
        f"circuit {first.header['name']!r} has its classical bits in registers in an order that does not fit into a "
        "work. Give each register neighbouring bits, or run it over a pool: provider(site)."
    )


def read(result: QuantumResult) -> tuple[list[About], bool]:
    """The circuits of a result's rows, and whether the order of shots was asked for.

    A work that was handed in otherwise gives what its counts show: the sizes of registers.
    """
    found = _ID.fullmatch(result.task_id)
    known = json.loads(found[1]) if found else {}
    sizes = [len(word) for word in reversed(next(iter(result.counts[0]), "").split())]
    n_bits = int(known.get("c", sum(sizes)))
    places = tuple(known.get("b", range(n_bits)))
    ready = Ready("", "gates", (), (), int(known.get("q", 0)), places)
    cregs = known.get("r", [[f"c{number}", size] for number, size in enumerate(sizes)] if ready.is_plain else [])
    names, metadata = known.get("n", "circuit"), known.get("m", {})
    abouts = []
    for row in range(len(result.counts)):
        header = {
            "name": names[row] if isinstance(names, list) else names,
            "n_qubits": ready.n_qubits,
            "creg_sizes": cregs,
            "memory_slots": n_bits,
            "metadata": metadata[row] if isinstance(metadata, list) else metadata,
        }
        abouts.append(About(ready, header))
    return abouts, bool(known.get("y"))


def _once(values: list[Any]) -> Any:
    """One value if all are the same."""
    return values[0] if all(value == values[0] for value in values) else values


def _json(values: dict[str, Any]) -> str:
    try:
        return json.dumps(values, separators=(",", ":"))
    except (TypeError, ValueError):  # metadata may hold anything
        return ""
