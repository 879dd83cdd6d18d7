"""How many jobs of each kind there should be: pure functions of what waits and what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from .jobs import Kind
from .resources import Resources, suits

Wants = Counter[tuple[tuple[str, float], ...]]  # tasks by what they ask for

MOST_LOOKED_AT = 512  # tasks of one worker: more say nothing new


def waiting(scheduler: Any) -> Wants:
    """Tasks that no worker can run at the moment."""
    return _by_wants(islice(scheduler.unrunnable, 20 * MOST_LOOKED_AT))


def assigned(scheduler: Any) -> Wants:
    """Tasks that are with workers, running or next in line."""
    return _by_wants(task for each in scheduler.workers.values() for task in islice(each.processing, MOST_LOOKED_AT))


def _by_wants(tasks: Iterable[Any]) -> Wants:
    return Counter(tuple(sorted((task.resource_restrictions or {}).items())) for task in tasks)


def jobs_needed(
    wants: Wants,
    kinds: Sequence[Kind],
    have: Mapping[str, int],
    most: Mapping[str, int],
    local: Sequence[Resources] = (),
) -> dict[str, int]:
    """Jobs of each kind that would have something to do now, at most ``most``.

    A task that several kinds fit counts for one of them: first for a worker of this machine, then for a job that is
    there already.

    Args:
        have: jobs that exist. local: what the workers that need no job offer.

    >>> ion = Kind(Group("quantum"), QPU("ion0", "emulated", 11, group="quantum"))
    >>> jobs_needed(Counter({(("QPU", 1),): 5}), [ion], {}, {"ion0": 1})
    {'ion0': 1}
    """
    needed = {kind.name: 0 for kind in kinds}
    room = {kind.name: 0 for kind in kinds}
    free = [[offer, 1] for offer in local]
    for want, number in sorted(wants.items(), key=lambda item: _choices(item[0], kinds)):
        asked = dict(want)
        for place in free:
            if number and place[1] and suits(place[0], asked):  # type: ignore[arg-type]
                place[1], number = 0, number - 1
        fitting = [kind for kind in kinds if suits(kind.offer, asked)]
        fitting.sort(key=lambda kind: have.get(kind.name, 0) == 0)
        for kind in fitting:
            taken = min(number, room[kind.name])
            room[kind.name] -= taken
            number -= taken
        while number > 0 and (open_ := [kind for kind in fitting if needed[kind.name] < most[kind.name]]):
            kind = min(open_, key=lambda kind: (needed[kind.name] >= have.get(kind.name, 0), needed[kind.name]))
            needed[kind.name] += 1
            taken = min(number, kind.capacity)
            room[kind.name] += kind.capacity - taken
            number -= taken
    return needed


def _choices(want: tuple[tuple[str, float], ...], kinds: Sequence[Kind]) -> int:
    return sum(suits(kind.offer, dict(want)) for kind in kinds)


def waiting_for(wants: Wants, kinds: Sequence[Kind]) -> dict[str, int]:
    """How many tasks wait for each QPU or group; one that may go to several waits for all of them.

    >>> waiting_for(Counter({(("CPU", 0),): 7}), [Kind(Group("cpu"))])
    {'cpu': 7}
    """
    return {kind.name: sum(n for want, n in wants.items() if suits(kind.offer, dict(want))) for kind in kinds}
