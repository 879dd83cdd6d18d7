"""Which operations of a DAX program go on at the same time: layers of *lanes*, within lasers and mirrors.

A layer is a block ``with parallel``. Each of its lanes is a block ``with sequential`` on qubits that no other lane of
the layer touches, so the circuit is the same in whatever order its lanes are read. A layer is as long as the longest
of the operations that begin it; a lane goes on with further operations as long as they fit into that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .dax_resources import Need, Resources


class Call(NamedTuple):
    """One call of ``self.q``.

    Attributes:
        text: as it is written.
        name: of the operation in DAX; "" for a barrier, which only holds back.
        bits: the classical bits that a measurement writes.
    """

    text: str
    name: str
    qubits: tuple[int, ...]
    bits: tuple[int, ...] = ()


@dataclass
class Lane:
    """Operations one after the other, on their own qubits."""

    calls: list[Call]
    qubits: frozenset[int]
    time: int
    need: Need


def layers(calls: Sequence[Call], resources: Resources) -> Iterator[list[Lane]]:
    """The calls in layers; what depends on each other (a qubit, a classical bit) keeps its order.

    Raises:
        InvalidSite: an operation takes more than the machine has.
    """
    left = list(calls)
    every = frozenset(qubit for call in left for qubit in call.qubits)
    while left:
        lanes, passed = _begin(left, every, resources)
        left = _extend(lanes, left, passed, resources)
        if lanes:
            yield lanes


def _begin(calls: list[Call], every: frozenset[int], resources: Resources) -> tuple[list[Lane], set[int]]:
    """The lanes of a layer with their first calls, and the places of these calls and of the barriers that are over."""
    lanes: list[Lane] = []
    held: set[object] = set()  # qubits and bits of what is before
    passed: set[int] = set()
    lasers, mirrors = resources.lasers, resources.mirrors
    for place, call in enumerate(calls):
        if held.issuperset(every):
            break
        touched = _touched(call)
        if held.isdisjoint(touched) and not call.name:
            passed.add(place)  # nothing before this barrier is left
            continue
        need = resources.need(call.name, len(call.qubits)) if call.name else Need(0, 0)
        if held.isdisjoint(touched) and need.lasers <= lasers and need.mirrors <= mirrors:
            lasers, mirrors = lasers - need.lasers, mirrors - need.mirrors
            time = resources.time(call.name, len(call.qubits))
            lanes.append(Lane([call], frozenset(call.qubits), time, need))
            passed.add(place)
        held |= touched
    return lanes, passed


def _extend(lanes: list[Lane], calls: list[Call], passed: set[int], resources: Resources) -> list[Call]:
    """Let lanes go on as long as the longest takes; returns the calls that are left for later layers."""
    period = max((lane.time for lane in lanes), default=0)
    free = {qubit: lane for lane in lanes for qubit in lane.qubits if lane.calls[-1].name != "m_z"}
    rest: list[Call] = []
    for place, call in enumerate(calls):
        if place in passed:
            continue
        if not free:
            seen = max(passed) + 1
            return (
                rest + [calls[later] for later in range(place, seen) if later not in passed] + calls[max(place, seen) :]
            )
        lane = free.get(call.qubits[0])
        if lane is not None and _fits(lane, call, period, resources) and all(qubit in free for qubit in call.qubits):
            lane.calls.append(call)
            lane.time += resources.time(call.name, len(call.qubits))
            continue
        rest.append(call)
        for qubit in call.qubits:
            free.pop(qubit, None)
    return rest


def _fits(lane: Lane, call: Call, period: int, resources: Resources) -> bool:
    """Whether a lane can go on with this call: its qubits, in time, and with what it holds anyway."""
    if call.name in ("", "m_z") or not lane.qubits.issuperset(call.qubits):
        return False
    need = resources.need(call.name, len(call.qubits))
    enough = need.lasers <= lane.need.lasers and need.mirrors <= lane.need.mirrors
    return enough and lane.time + resources.time(call.name, len(call.qubits)) <= period


def _touched(call: Call) -> set[object]:
    return {*call.qubits, *(("bit", bit) for bit in call.bits)}
