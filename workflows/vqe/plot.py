"""Two figures of a run: how each start converged, and what ran where and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qpu_executors import MissingPackage

from .result import Node, VQEResult, sessions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONVERGENCE, TIMELINE = "convergence.png", "timeline.png"
_COLOURS = (
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
_INK, _FAINT = "#222222", "#c8c8c8"
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": _INK,
    "axes.titlesize": 12,
    "legend.frameon": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def plot(result: VQEResult, folder: str | Path) -> list[Path]:
    """Draw ``convergence.png`` and ``timeline.png`` into a folder; returns their paths.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    return [
        _draw(Path(folder) / CONVERGENCE, (8.0, 4.8), lambda figure: _convergence(figure, result)),
        _draw(Path(folder) / TIMELINE, _timeline_size(result), lambda figure: _timeline(figure, result)),
    ]


def colour(start: int) -> str:
    return _COLOURS[start % len(_COLOURS)]


def _draw(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> Path:
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("figures need matplotlib. Install it: pip install 'conqure[vqe]'") from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(path, facecolor="white")
    return path


def _convergence(figure: Figure, result: VQEResult) -> None:
    """Energy against evaluations, one line per start; the final state's energy as a dot with its error bar."""
    axes, best = figure.add_subplot(), result.best
    for start in result.starts:
        x, energy, error = np.array(start.history).T
        hue, is_best = colour(start.start), start is best
        label = f"start {start.start}: {start.energy:.3f} ± {start.error:.3f}"
        axes.fill_between(x[:-1], (energy - error)[:-1], (energy + error)[:-1], color=hue, alpha=0.12, lw=0)
        axes.plot(x[:-1], energy[:-1], color=hue, lw=2.2 if is_best else 1.2, label=label, zorder=4 if is_best else 3)
        axes.errorbar(x[-1], energy[-1], error[-1], color=hue, marker="o", ms=6 if is_best else 4, capsize=2, zorder=5)
    if result.exact is not None:
        label = f"exact minimum: {result.exact:.5g}"
        axes.axhline(result.exact, color=_INK, lw=1, ls=(0, (5, 3)), zorder=2, label=label)
    axes.plot([], [], "o", color="#888888", ms=4, label=f"final state, {result.setting['final_shots']:,} shots")
    setting = result.setting
    axes.set_title(
        f"{result.problem.name}: {len(result.starts)} starts of {setting['optimizer']['name']} on {setting['ansatz']}, "
        f"{setting['shots']} shots",
        loc="left",
    )
    axes.set_xlabel("energies measured per start")
    axes.set_ylabel(f"energy ({result.problem.unit})")
    axes.grid(axis="y", color="#eeeeee")
    axes.legend(fontsize=9, ncols=2 if len(result.starts) > 3 else 1)


def _timeline_size(result: VQEResult) -> tuple[float, float]:
    lanes = len(_lanes(result.circuits, _device)) + len(_lanes(result.steps, _worker))
    return 10.0, 1.9 + 0.34 * min(lanes, 40)


def _timeline(figure: Figure, result: VQEResult) -> None:
    """A lane for each QPU and each classical worker, a bar for each node in the colour of its start."""
    qpus, cpus = _lanes(result.circuits, _device), _lanes(result.steps, _worker)
    clock = _Clock(sessions(result.circuits, result.steps))
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [len(qpus) + 0.6, len(cpus) + 0.6]}, squeeze=True
    )
    names = [f"worker {i}" for i in range(len(cpus))]
    _bars(above, result.circuits, qpus, _device, qpus, clock)
    _bars(below, result.steps, cpus, _worker, names, clock)
    above.set_title(
        f"{result.problem.name} on {result.n_qpus} QPU{'s' * (result.n_qpus > 1)}: "
        f"QPU utilisation {result.qpu_utilisation:.1%}, {len(result.circuits)} circuits in {result.wall_s:.2f} s",
        loc="left",
    )
    above.set_ylabel("QPU")
    below.set_ylabel("CPU")
    below.set_xlabel("time (s)")
    steps = f"optimiser steps: CPU utilisation {result.cpu_utilisation:.1%}"
    below.set_title(steps, loc="left", fontsize=10, color="#555555")
    above.tick_params(bottom=False)
    _legend(figure, result)


def _bars(
    axes: Axes, nodes: Sequence[Any], lanes: list[str], lane_of: Callable[[Any], str], names: list[str], clock: _Clock
) -> None:
    place = {lane: i for i, lane in enumerate(lanes)}
    # A step of a tenth of a millisecond would be thinner than a pixel: every bar gets a width that can be seen.
    least = clock.length / 1500
    spans: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for node in nodes:
        width = max(node.ended_at - node.started_at, least)
        spans.setdefault((place[lane_of(node)], node.start), []).append((clock(node.started_at), width))
    gap = 0.15 if len(nodes) < 3000 else 0.0  # white edges between bars, unless they would be all one sees
    for (lane, start), bars in spans.items():
        axes.broken_barh(bars, (lane - 0.36, 0.72), facecolor=colour(start), edgecolor="white", lw=gap)
    for pause in clock.pauses:
        axes.axvline(pause, color=_INK, lw=1, ls=":")
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(lanes)), names)
    axes.tick_params(left=False)
    axes.set_xlim(0, clock.length)


def _legend(figure: Figure, result: VQEResult) -> None:
    from matplotlib.patches import Patch

    shown = result.starts[:12]
    handles = [Patch(color=colour(start.start), label=f"start {start.start}") for start in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(shown), 6), fontsize=9)


class _Clock:
    """Seconds since the run began, without the pauses between its sessions."""

    def __init__(self, spans: list[tuple[float, float]]) -> None:
        self._spans = spans
        self.length = sum(end - begin for begin, end in spans)
        ends = np.cumsum([end - begin for begin, end in spans])
        self._offsets = [0.0, *ends[:-1].tolist()]
        self.pauses = self._offsets[1:]

    def __call__(self, moment: float) -> float:
        for (begin, end), offset in zip(self._spans, self._offsets, strict=True):
            if begin <= moment <= end:
                return offset + moment - begin
        raise AssertionError("a moment outside all sessions")


def _device(node: Any) -> str:
    return str(node.device_id)


def _worker(node: Any) -> str:
    return str(node.worker)


def _lanes(nodes: Sequence[Node], lane_of: Callable[[Any], str]) -> list[str]:
    return sorted({lane_of(node) for node in nodes})
