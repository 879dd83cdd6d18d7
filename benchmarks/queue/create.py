"""Figure 4: ``create_work`` until the work is on disk, GHZ circuits of 2 to 100 qubits, in turn with the paper's stack.

What is inside a measured call:

* The paper's: requests sends the DAX text to Flask as JSON, which connects to MariaDB, inserts, commits (flushed to the
  disk), starts a process, and answers with the id. The process is a Python that imports nothing; beside it figures with
  ``/bin/true`` and with none. We wait for it to end before the next call, so that it disturbs nobody.
* Ours: `UserClient.create_work` finds out what it was given and sends it to ``conqure serve`` as JSON with a token. The
  service checks token, body and device, hashes the workload, commits record and workload to SQLite (flushed to the
  disk), and answers with the record.

Both get the same DAX text. Ours is also given the circuit as a `QuantumTask`, which the service checks, and as a
`QuantumCircuit`, which the client translates first. No two workloads are alike. The device is not there, so the works
wait; at last the same with a dispatcher, which runs them at once. Both log a line for each request, to a file.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..harness import Measure, figure, measure, milliseconds, ratios
from .figures import boxes
from .service import DEVICE, SITE_DEVICE, both
from .workloads import SHOTS, Ghz, number

QUBITS = (2, 5, 10, 20, 40, 60, 80, 100)
ROW = 20  # calls in a row, as one hands in circuits; else each would find the processor's caches full of the other's
WORKS = int(os.environ.get("CONQURE_BENCH_WORKS", "1000"))  # of each size, as in the paper
Calls = Mapping[str, Callable[[Ghz], Callable[[], Any]]]
Times = dict[str, dict[int, list[float]]]
_PAPER, _TRUE, _NONE = "paper", "paper, its process /bin/true", "paper, without its process"
_DAX, _TASK, _CIRCUIT = "DAX text", "task", "QuantumCircuit"


def measures() -> Iterable[Measure]:
    with both() as (paper, ours):
        create = ours.client.create_work
        calls: Calls = {
            _PAPER: lambda ghz: _call(paper.create_work, ghz.dax()),
            _TRUE: lambda ghz: _call(paper.create_work, ghz.dax(), job="true"),
            _NONE: lambda ghz: _call(paper.create_work, ghz.dax(), job="none"),
            _DAX: lambda ghz: _call(create, ghz.dax(), DEVICE),
            _TASK: lambda ghz: _call(create, ghz.task(), DEVICE),
            _CIRCUIT: lambda ghz: _call(create, ghz.circuit(), DEVICE, shots=SHOTS, seed=int(number())),
        }
        before = ours.works()
        times = in_turn(calls, WORKS, paper.rest)
        kept = ours.works() - before
    if kept != 3 * (WORKS + 1) * len(QUBITS):
        raise AssertionError(f"{kept} works are on disk of {3 * (WORKS + 1) * len(QUBITS)} that were accepted")
    yield _figure4(times)
    yield _against(times, _PAPER, _TASK, (">=", 5.0))
    yield _against(times, _PAPER, _CIRCUIT)
    yield _against(times, _TRUE, _DAX)
    yield _against(times, _NONE, _DAX)
    yield from with_dispatcher()


def with_dispatcher() -> Iterable[Measure]:
    """The same while the service also runs what it is given, on a device that answers at once."""
    with both(dispatcher=True) as (paper, ours):
        calls: Calls = {
            _PAPER: lambda ghz: _call(paper.create_work, ghz.dax()),
            _TASK: lambda ghz: _call(ours.client.create_work, ghz.task(), SITE_DEVICE),
        }
        times = in_turn(calls, max(ROW, WORKS // 5), paper.rest)
    yield _against(times, _PAPER, _TASK, name=" while a dispatcher runs the works")


def in_turn(calls: Calls, works: int, rest: Callable[[], None]) -> Times:
    """Milliseconds by call and size. In each round every size by every call, a few in a row, in an order of chance."""
    times: Times = {name: {n: [] for n in QUBITS} for name in calls}
    circuits, chance = [Ghz(n) for n in QUBITS], random.Random(4)
    for number_ in range(works // ROW + 1):
        for ghz in chance.sample(circuits, len(circuits)):
            for name in chance.sample(list(calls), len(calls)):
                for _ in range(ROW if number_ else 1):
                    taken = milliseconds(calls[name](ghz))
                    rest()
                    if number_:
                        times[name][ghz.n_qubits].append(taken)
    return times


def _call(create: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    """The workload is made before the clock starts."""
    return lambda: create(*arguments, **options)


def _figure4(times: Times) -> Measure:
    found = _against(times, _PAPER, _DAX, (">=", 5.0))
    shown = {"the paper's stack": times[_PAPER], "CONQURE, the same text": times[_DAX], "CONQURE, a task": times[_TASK]}
    return replace(
        found,
        name="Figure 4: create_work, remote client, to the durable record",
        series=boxes(shown),
        series_axes=("qubits of the GHZ circuit", "latency in ms"),
        drawn_by="benchmarks.queue.figures",
    )


def _against(times: Times, paper: str, ours: str, goal: Any = None, name: str = "") -> Measure:
    every = {side: [taken for n in QUBITS for taken in times[side][n]] for side in (paper, ours)}
    medians = {side: figure(statistics.median(every[side])) for side in every}
    by_size = [statistics.median(times[paper][n]) / statistics.median(times[ours][n]) for n in QUBITS]
    return measure(
        f"create_work of a {ours}, remote client{name}",
        ratios(every, paper, ours),
        goal=goal,
        compared_with="the paper's stack" + paper.removeprefix("paper"),
        note=f"{medians[ours]} ms against {medians[paper]} ms; by size "
        + ", ".join(f"{n}: {figure(ratio)}x" for n, ratio in zip(QUBITS, by_size, strict=True))
        + f"; load {os.getloadavg()[0]:.1f}",
    )
