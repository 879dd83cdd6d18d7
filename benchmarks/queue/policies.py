"""The policies compared: an emulated trapped-ion machine on a virtual clock, and a mixed day of users.

One QPU of 7 ions with one slot. Its times are those that the emulated driver reports: 0.5 s a call, 5 ms a shot, and
20 s to reload the trap where a circuit has another number of qubits than the one before. Users come in three kinds:
some send bursts of circuits, some send one now and then, and some run VQE loops, whose next iteration is submitted when
the one before is back and which say how close to convergence they are. Everything follows from the seed.

``python -m benchmarks.queue.policies`` prints the table; with ``--write`` it becomes docs/queue-policies.md.
"""

from __future__ import annotations

import heapq
import itertools
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random

from conqure.queue.history import History
from conqure.queue.policies import Policy, policy_named
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus
from qpu_executors import QPU, Priority, QuantumTask
from qpu_executors.running import HeldDevice
from qpu_executors.testing import gates

from ..harness import Measure, measure

JOB_S, SHOT_S, RELOAD_S = 0.5, 0.005, 20.0
OPTIONS = {"driver": "fake", "job_s": JOB_S, "shot_s": SHOT_S, "reload_s": RELOAD_S, "clock": "virtual"}
ION = QPU("ion0", "emulated", 7, options=OPTIONS)
POLICIES = ("fifo", "fair_share", "same_qubits", "near_convergence", "same_qubits+near_convergence")
PATIENCE_S = 1800.0
SEEDS = range(9)
ITERATIONS, THINK_S = 25, 0.5
CAPTION = (
    "An emulated trapped-ion machine (0.5 s a call, 5 ms a shot, 20 s to reload where the number of qubits changes) on "
    f"a virtual clock. 473 works of 11 users, among them 8 VQE runs of {ITERATIONS} iterations; means over "
    f"{len(SEEDS)} seeded days, `patience_s = {PATIENCE_S:g}`. *Busy* is running circuits, without reloading."
)
_COLUMNS = (
    "makespan",
    "mean wait",
    "longest wait",
    "QPU busy",
    "reloads",
    "a VQE run takes",
    "a light user waits",
)


@dataclass(frozen=True)
class Outcome:
    """What a policy made of the day. Times are seconds.

    Attributes:
        busy: the share of the makespan in which circuits ran; reloading is not among it.
        loop_s: from the first iteration of a VQE run until its last result, on average.
        light_wait_s: the mean wait of the users who send one circuit now and then.
    """

    makespan_s: float
    wait_s: float
    longest_wait_s: float
    busy: float
    reloads: int
    loop_s: float
    light_wait_s: float


def measures() -> Iterator[Measure]:
    """Each policy on the same days, one for each seed."""
    fifo = days("fifo")
    for name in POLICIES:
        of = days(name)
        note = f"reloads {statistics.mean(day.reloads for day in of):.0f}, busy {_mean(of, 'busy'):.0%}"
        for field, what in (("makespan_s", "makespan"), ("wait_s", "mean wait"), ("loop_s", "time of a VQE run")):
            shares = [getattr(day, field) / getattr(first, field) for day, first in zip(of, fifo, strict=True)]
            absolute = f"{_mean(of, field):,.0f} s; {note}"
            yield measure(f"{what} with {name}", shares, "x", note=absolute, compared_with="fifo")


@cache
def days(policy: str) -> list[Outcome]:
    return [day(policy_named(policy, patience_s=PATIENCE_S), seed) for seed in SEEDS]


def day(policy: Policy, seed: int) -> Outcome:
    """Run the day of this seed under a policy, event by event."""
    held, history = HeldDevice(ION), History()
    arriving, numbers = list(arrivals(Random(seed))), itertools.count(10**6)
    heapq.heapify(arriving)
    waiting: list[WorkRecord] = []
    done: list[WorkRecord] = []
    now = circuits_s = 0.0
    while arriving or waiting:
        if not waiting:
            now = max(now, arriving[0][0])
        while arriving and arriving[0][0] <= now:
            waiting.append(heapq.heappop(arriving)[2])
        work = policy.order(heads(waiting, policy), ION, now, history)[0]
        waiting.remove(work)
        charged_s = history.start(work.owner, ION.device_id, work.n_qubits, now)
        run_s = held.run(task_of(work)).run_s
        history.end(work.owner, charged_s, run_s, now)
        done.append(work.replace(started_at=now, ended_at=now + run_s))
        circuits_s += JOB_S + work.shots * SHOT_S
        now += run_s
        if following := next_iteration(work, now, next(numbers)):
            heapq.heappush(arriving, following)
    held.close()
    return summary(done, circuits_s)


def heads(waiting: list[WorkRecord], policy: Policy) -> list[WorkRecord]:
    """What a store shows to a policy: the first of each priority."""
    ordered = sorted(waiting, key=lambda work: (work.ready_at, work.work_id))
    return [
        work
        for priority in Priority
        for work in itertools.islice((w for w in ordered if w.priority is priority), policy.window)
    ]


def arrivals(random: Random) -> Iterator[tuple[float, int, WorkRecord]]:
    """The works that come by themselves: (when, number, work)."""
    for number, work in enumerate(itertools.chain(_bursts(random), _singles(random), _loops(random))):
        yield work.created_at, number, work.replace(work_id=_uuid(number))


def _bursts(random: Random) -> Iterator[WorkRecord]:
    for user in ("burst-a", "burst-b", "burst-c"):
        for _ in range(3):
            at = random.uniform(0, 1800)
            priority = random.choice([Priority.LOW, Priority.LOW, Priority.MEDIUM])
            for _ in range(25):
                yield _work(random, user, at, priority=priority)


def _singles(random: Random) -> Iterator[WorkRecord]:
    for user in ("single-a", "single-b", "single-c", "single-d"):
        for _ in range(12):
            yield _work(random, user, random.uniform(0, 2400), priority=Priority.MEDIUM)


def _loops(random: Random) -> Iterator[WorkRecord]:
    for number in range(8):
        first = _work(random, f"vqe-{number % 4}", random.uniform(0, 900), priority=Priority.MEDIUM)
        yield first.replace(loop=f"run-{number}", convergence=0.0, shots=200)


def _work(random: Random, owner: str, at: float, priority: Priority) -> WorkRecord:
    n_qubits, shots = random.choice([3, 4, 5, 7]), random.choice([100, 200, 500])
    return _record(0, owner, at, priority).replace(n_qubits=n_qubits, shots=shots)


def _record(number: int, owner: str, at: float, priority: Priority) -> WorkRecord:
    return WorkRecord(
        _uuid(number), owner, "ion0", priority, WorkStatus.READY, WorkloadFormat.TASK, created_at=at, ready_at=at
    )


def next_iteration(work: WorkRecord, now: float, number: int) -> tuple[float, int, WorkRecord] | None:
    iteration = work.metadata.get("iteration", 1)
    if not work.loop or iteration == ITERATIONS:
        return None
    at = now + THINK_S
    following = replace(work, work_id=_uuid(number), created_at=at, ready_at=at, metadata={"iteration": iteration + 1})
    return at, number, following.replace(convergence=iteration / ITERATIONS)


def summary(done: list[WorkRecord], circuits_s: float) -> Outcome:
    loops: dict[str, list[WorkRecord]] = {}
    for work in done:
        if work.loop:
            loops.setdefault(work.loop, []).append(work)
    light = [_waited_s(work) for work in done if work.owner.startswith("single")]
    makespan_s = max(work.ended_at or 0.0 for work in done)
    qubits = [work.n_qubits for work in done]
    return Outcome(
        makespan_s,
        statistics.mean(map(_waited_s, done)),
        max(map(_waited_s, done)),
        circuits_s / makespan_s,
        1 + sum(one != other for one, other in itertools.pairwise(qubits)),
        statistics.mean(max(w.ended_at or 0.0 for w in of) - min(w.created_at for w in of) for of in loops.values()),
        statistics.mean(light),
    )


def table() -> str:
    """Means over the seeds, as Markdown."""
    lines = [f"| policy | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for name in POLICIES:
        of = days(name)
        mean = partial(_mean, of)
        figures = [f"{mean(field):,.0f} s" for field in ("makespan_s", "wait_s", "longest_wait_s")]
        figures += [
            f"{mean('busy'):.0%}",
            f"{mean('reloads'):.0f}",
            f"{mean('loop_s'):,.0f} s",
            f"{mean('light_wait_s'):,.0f} s",
        ]
        lines.append(f"| `{name}` | {' | '.join(figures)} |")
    return "\n".join([*lines, ""])


def _mean(of: list[Outcome], field: str) -> float:
    return statistics.mean(getattr(day, field) for day in of)


def _waited_s(work: WorkRecord) -> float:
    return (work.started_at or 0.0) - (work.ready_at or 0.0)


def _uuid(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


@cache
def _program(n_qubits: int) -> str:
    return gates(n_qubits, ["h", [0]])


def task_of(work: WorkRecord) -> QuantumTask:
    return QuantumTask(_program(work.n_qubits), "gates", "ion0", work.shots)


if __name__ == "__main__":
    print(table())
    if "--write" in sys.argv:
        (Path(__file__).parents[2] / "docs" / "queue-policies.md").write_text(f"{CAPTION}\n\n{table()}")
