"""32 clients at once, each handing in one work after the other, every one of them on disk before its answer."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from ..harness import Measure, figure, measure
from .load import Load, load
from .service import DEVICE, both
from .workloads import Ghz, number

CLIENTS, ROUNDS, SECONDS, QUBITS = 32, 5, 4.0, 20


def measures() -> Iterable[Measure]:
    text = Ghz(QUBITS).dax_text
    with both() as (paper, ours):
        sides = {
            "paper": (paper.url, request(paper.url, "/create_work", {"workload": text})),
            "ours": (ours.url, request(ours.url, "/v1/works", {"format": "dax", "workload": text}, ours.token)),
        }
        before = ours.works()
        came: dict[str, list[Load]] = {name: [] for name in sides}
        for turn in range(ROUNDS + 1):
            for name, (url, make) in sides.items():
                found = load(url, make, CLIENTS, SECONDS if turn else 0.5)
                if turn:
                    came[name].append(found)
                elif name == "ours":
                    before = ours.works()
        kept = ours.works() - before
    answered = sum(len(found.milliseconds) for found in came["ours"])
    if kept != answered:
        raise AssertionError(f"{answered} works were accepted and {kept} are on disk")
    yield from _measures(came)


def _measures(came: dict[str, list[Load]]) -> Iterable[Measure]:
    errors = {name: sum(found.errors for found in loads) for name, loads in came.items()}
    core = {name: statistics.median(found.core for found in loads) for name, loads in came.items()}
    rates = {name: statistics.median(found.per_second for found in loads) for name, loads in came.items()}
    yield measure(
        f"{CLIENTS} clients at once, durable create_work, works per second",
        [ours.per_second / paper.per_second for ours, paper in zip(came["ours"], came["paper"], strict=True)],
        goal=(">=", 6.0),
        compared_with="the paper's stack",
        note=f"{figure(rates['ours'])} against {figure(rates['paper'])} works/s; errors {errors['ours']} and "
        f"{errors['paper']}; the generator of the load took {core['ours']:.0%} and {core['paper']:.0%} of a core",
    )
    yield measure(f"{CLIENTS} clients at once: errors", [float(errors["ours"])], "", goal=("<=", 0.0))
    tails = {name: [percentile_99(found.milliseconds) for found in loads] for name, loads in came.items()}
    yield measure(
        f"{CLIENTS} clients at once: the slowest 1 % of the creates",
        [ours / paper for ours, paper in zip(tails["ours"], tails["paper"], strict=True)],
        goal=("<=", 1 / 3),
        compared_with="the paper's stack",
        note=f"99th percentile {figure(statistics.median(tails['ours']))} ms against "
        f"{figure(statistics.median(tails['paper']))} ms",
    )


def percentile_99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def request(url: str, path: str, values: dict[str, str], token: str = "") -> Callable[[], bytes]:
    """Makes requests that differ in the number at the end of their workload."""
    body = json.dumps({"device_id": DEVICE, "priority": "LOW"} | values, separators=(",", ":"))
    assert body.endswith('"}')  # of the workload, which ends where the number goes
    body = body[:-2]
    head = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Content-Type: application/json"]
    head += [f"Authorization: Bearer {token}"] if token else []
    length = len(body) + len(number()) + 2
    start = ("\r\n".join([*head, f"Content-Length: {length}", "", ""]) + body).encode()
    return lambda: b"".join((start, number().encode(), b'"}'))
