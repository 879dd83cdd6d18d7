"""The timeline of a run: a lane for each QPU and each classical worker, a bar for each node in its start's colour.

Where jobs of Slurm held the lanes, one also sees when circuits and steps waited, and when a job held a lane and had
nothing to run: the part of the allocation that was not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .jobs import Span, union
from .lanes import Lane, classical_lanes, quantum_lanes
from .result import VQEResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f3c8d",
    "#8c6d31",
    "#555555",
    "#b2df8a",
)
INK, _GREY = "#222222", "#555555"
_WAIT: dict[str, Any] = {"facecolor": "#b4b4b4", "edgecolor": "none"}
_IDLE: dict[str, Any] = {"facecolor": "#fafafa", "edgecolor": "#dedede", "hatch": "////", "lw": 0}
_LABEL: dict[str, Any] = {"ha": "left", "va": "bottom", "fontsize": 6.5, "color": _GREY, "clip_on": True}
_LABEL_SHARE = 0.045  # of the axis, which the label of a job needs


def colour(start: int) -> str:
    return COLOURS[start % len(COLOURS)]


def timeline_size(result: VQEResult) -> tuple[float, float]:
    """Inches."""
    lanes = len(quantum_lanes(result.circuits)) + len(classical_lanes(result.steps, result.wakes))
    return 10.0, 2.2 + 0.44 * min(lanes, 40) if result.jobs else 1.9 + 0.34 * min(lanes, 40)


def draw_timeline(figure: Figure, result: VQEResult) -> None:
    """QPUs above, classical workers below, on one axis of time."""
    qpus, cpus = quantum_lanes(result.circuits), classical_lanes(result.steps, result.wakes)
    clock = _Clock(_sessions(result))
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [len(qpus) + 0.6, len(cpus) + 0.6]}, squeeze=True
    )
    _draw(above, qpus, clock, bool(result.jobs))
    _draw(below, cpus, clock, bool(result.jobs))
    held = f" ({result.qpu_busy_of_held:.1%} of the time held)" if result.qpu_busy_of_held is not None else ""
    above.set_title(
        f"{result.problem.name} on {result.n_qpus} QPU{'s' * (result.n_qpus > 1)}: QPU utilisation "
        f"{result.qpu_utilisation:.1%}{held}, {len(result.circuits)} circuits in {result.wall_s:.2f} s",
        loc="left",
    )
    above.set_ylabel("QPU")
    below.set_ylabel("CPU")
    below.set_xlabel("time (s)")
    steps = f"optimiser steps: CPU utilisation {result.cpu_utilisation:.1%}"
    below.set_title(steps, loc="left", fontsize=10, color=_GREY)
    above.tick_params(bottom=False)
    _legend(figure, below, result)


def _draw(axes: Axes, lanes: Sequence[Lane], clock: _Clock, with_jobs: bool) -> None:
    half = 0.30 if with_jobs else 0.36
    _draw_bars(axes, lanes, clock, half)
    if with_jobs:
        _draw_jobs(axes, lanes, clock, half)
    for pause in clock.pauses:
        axes.axvline(pause, color=INK, lw=1, ls=":")
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes])
    axes.tick_params(left=False)
    axes.set_xlim(0, clock.length)


def _draw_bars(axes: Axes, lanes: Sequence[Lane], clock: _Clock, half: float) -> None:
    # A step of a tenth of a millisecond would be thinner than a pixel: every bar gets a width that can be seen.
    least = clock.length / (800 if any(lane.held for lane in lanes) else 1500)
    # White edges between bars, unless they would be all one sees.
    gap = 0.15 if sum(len(lane.nodes) for lane in lanes) < 3000 else 0.0
    for place, lane in enumerate(lanes):
        bars: dict[int, list[Span]] = {}
        for node in lane.nodes:
            width = max(node.ended_at - node.started_at, least)
            bars.setdefault(node.start, []).append((clock(node.started_at), width))
        for start, spans in bars.items():
            axes.broken_barh(
                spans, (place - half, 2 * half), facecolor=colour(start), edgecolor="white", lw=gap, zorder=3
            )


def _draw_jobs(axes: Axes, lanes: Sequence[Lane], clock: _Clock, half: float) -> None:
    """Behind the bars, what a job held; below them a band where something waited; a job's number where it begins."""
    labelled: set[str] = set()
    for place, lane in enumerate(lanes):
        held = [clock.bar(span) for _, span in lane.held]
        axes.broken_barh(held, (place - half, 2 * half), zorder=1, **_IDLE)
        axes.broken_barh([clock.bar(span) for span in lane.waits], (place + half + 0.03, 0.09), zorder=2, **_WAIT)
        edges = [edge for begin, width in held for edge in (begin, begin + width)]
        axes.vlines(edges, place - half, place + half, color=_GREY, lw=0.7, zorder=2)
        free = 0.0
        for job, span in lane.held:
            begin = clock(span[0])
            if job not in labelled and begin >= free:
                at = min(begin, (1 - _LABEL_SHARE) * clock.length)  # not beyond the right edge
                axes.text(at, place - half - 0.02, f"job {job}", **_LABEL)
                free = at + _LABEL_SHARE * clock.length
            labelled.add(job)


def _legend(figure: Figure, axes: Axes, result: VQEResult) -> None:
    from matplotlib.patches import Patch

    shown = result.starts[:12]
    handles = [Patch(color=colour(start.start), label=f"start {start.start}") for start in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), fontsize=9)
    if result.jobs:
        marks = [
            Patch(label="QPU: circuit, CPU: step, in its start's colour", color=colour(0)),
            Patch(label="waits in the queue", **_WAIT),
            Patch(label="held by a job, idle", **_IDLE),
        ]
        axes.legend(
            handles=marks, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, borderpad=0.3, borderaxespad=0
        )


def _sessions(result: VQEResult) -> list[Span]:
    """(begin, end) of each session of the run; where there were jobs, with the wait for the first of them."""
    spans: dict[int, Span] = {}
    for node in (*result.circuits, *result.steps, *(result.wakes if result.jobs else ())):
        queued_at = node.queued_at if result.jobs else None
        first = node.started_at if queued_at is None else min(queued_at, node.started_at)
        begin, end = spans.get(node.session, (first, node.ended_at))
        spans[node.session] = min(begin, first), max(end, node.ended_at)
    return union(spans.values())


class _Clock:
    """Seconds since the run began, without the pauses between its sessions."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self.length = sum(end - begin for begin, end in spans)
        ends = np.cumsum([end - begin for begin, end in spans])
        self._offsets = [0.0, *ends[:-1].tolist()]
        self.pauses = self._offsets[1:]

    def __call__(self, moment: float) -> float:
        """A moment within a pause is the pause."""
        passed = [offset + min(moment - begin, end - begin) for (begin, end), offset in self._seen(moment)]
        return passed[-1] if passed else 0.0

    def bar(self, span: Span) -> Span:
        """Where a span begins and how long it is."""
        begin = self(span[0])
        return begin, self(span[1]) - begin

    def _seen(self, moment: float) -> list[tuple[Span, float]]:
        return [each for each in zip(self._spans, self._offsets, strict=True) if each[0][0] <= moment]
