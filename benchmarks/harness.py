"""What all benchmarks share: a `Measure` with its goal, and timing of several things in turn.

Absolute milliseconds belong to the machine; the ratios are what counts. So the things that are compared run in turn,
round after round (A B C A B C …), and a ratio is taken inside each round: a slow moment of the machine hits both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Goal = tuple[Literal["<=", ">="], float]


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        name: what was measured. unit: of the figures (``x`` for a ratio).
        median, lower_quartile, upper_quartile: over the rounds.
        goal: e.g. ``<= 1.1``; ``None`` if the figure is only reported.
        compared_with: the other side of a ratio, or what stands beside a figure.
        note: absolute figures, or the reason where a goal is missed.
        series: lines of a picture to draw besides, name to values at 1, 2, …; series_axes: what the axes show.
        drawn_by: the module whose ``draw(measure, folder)`` draws the series, where lines will not do.
    """

    name: str
    unit: str
    median: float
    lower_quartile: float
    upper_quartile: float
    goal: Goal | None = None
    compared_with: str = ""
    note: str = ""
    series: Mapping[str, Sequence[float]] | None = None
    series_axes: tuple[str, str] = ("", "")
    drawn_by: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        relation, bound = self.goal
        return self.median <= bound if relation == "<=" else self.median >= bound

    def as_json(self) -> dict[str, Any]:
        goal = f"{self.goal[0]} {self.goal[1]:g}" if self.goal else None
        return {**asdict(self), "goal": goal, "met": self.met}


def measure(name: str, values: Sequence[float], unit: str = "x", **fields: Any) -> Measure:
    """A `Measure` from the values of the rounds."""
    if len(values) == 1:
        low = middle = high = values[0]
    else:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Measure(name, unit, middle, low, high, **fields)


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int, repeat: int = 1) -> dict[str, list[float]]:
    """Milliseconds per call of each thing: per round the median of ``repeat`` calls, one untimed round before."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            taken = statistics.median(milliseconds(call) for _ in range(repeat))
            if number:
                times[name].append(taken)
    return times


def milliseconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def ratios(times: Mapping[str, Sequence[float]], one: str, other: str) -> list[float]:
    """one / other, round by round."""
    return [a / b for a, b in zip(times[one], times[other], strict=True)]


def beside(times: Mapping[str, Sequence[float]]) -> str:
    """The medians in milliseconds, for a note."""
    return ", ".join(f"{name} {figure(statistics.median(values))} ms" for name, values in times.items())


def figure(value: float) -> str:
    """Three digits that count, and no exponents."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
