"""Figure 5: ``get_results`` over shots x qubits, in turn with the paper's stack.

Both keep the same bytes, the measurements of a DAX program as JSON, and give them back as bytes; reading numbers out of
them is outside the measured call on both sides.

* The paper's: requests asks Flask, which connects to MariaDB and selects.
* Ours: `UserClient.get_results` asks ``conqure serve`` with a token, which checks who may see the work, reads the bytes
  and gives them as a file that is an array too.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from ..harness import Measure, figure, measure, milliseconds, ratios
from .create import ROW
from .figures import boxes
from .paper_stack import PaperClient
from .service import Ours, both
from .workloads import Ghz, measurements

POINTS = {  # data points: qubits, shots
    100: (10, 10),
    1_000: (10, 100),
    10_000: (10, 1_000),
    100_000: (100, 1_000),
    1_000_000: (100, 10_000),
}
ROUNDS = int(os.environ.get("CONQURE_BENCH_WORKS", "1000")) // 4
Times = dict[str, dict[int, list[float]]]


def measures() -> Iterable[Measure]:
    with both() as (paper, ours):
        stored = {points: store(paper, ours, *size) for points, size in POINTS.items()}
        times = in_turn(stored, paper.get_results, ours.client.get_results)
    every = {side: [taken for points in POINTS for taken in times[side][points]] for side in times}
    yield measure(
        "Figure 5: get_results, remote client, the same bytes",
        ratios(every, "paper", "ours"),
        goal=(">=", 5.0),
        compared_with="the paper's stack",
        note=", ".join(f"{points:,} data points: {_sides(times, points)}" for points in POINTS)
        + f"; load {os.getloadavg()[0]:.1f}",
        series=boxes({"the paper's stack": times["paper"], "CONQURE": times["ours"]}),
        series_axes=("data points (shots x qubits)", "latency in ms"),
        drawn_by="benchmarks.queue.figures",
    )


def in_turn(stored: dict[int, tuple[str, str]], paper: Callable[[str], Any], ours: Callable[[str], Any]) -> Times:
    """Milliseconds by side and size: a few calls in a row, as `create.in_turn`."""
    times: Times = {"paper": {points: [] for points in POINTS}, "ours": {points: [] for points in POINTS}}
    chance = random.Random(5)
    for number in range(ROUNDS // ROW + 1):
        for points, ids in chance.sample(list(stored.items()), len(stored)):
            for side, call, work_id in chance.sample([("paper", paper, ids[0]), ("ours", ours, ids[1])], 2):
                for _ in range(ROW if number else 1):
                    taken = milliseconds(lambda call=call, work_id=work_id: call(work_id))  # type: ignore[misc]
                    if number:
                        times[side][points].append(taken)
    return times


def store(paper: PaperClient, ours: Ours, qubits: int, shots: int) -> tuple[str, str]:
    """A work that is DONE on both sides, with the same results."""
    results, text = measurements(qubits, shots), Ghz(qubits).dax()
    job_id = paper.create_work(text)
    paper.put_results(job_id, results)
    work_id = ours.done(text, results)
    assert paper.get_results(job_id) == ours.client.get_results(work_id).read() == results
    return job_id, work_id


def _sides(times: Times, points: int) -> str:
    ours, paper = (statistics.median(times[side][points]) for side in ("ours", "paper"))
    return f"{figure(ours)} against {figure(paper)} ms = {figure(paper / ours)}x"
