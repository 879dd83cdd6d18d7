"""Two figures of a run: how each start converged, and what ran where and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qpu_executors import MissingPackage

from .result import VQEResult
from .timeline import INK, colour, draw_timeline, timeline_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONVERGENCE, TIMELINE = "convergence.png", "timeline.png"
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
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
        _draw(Path(folder) / TIMELINE, timeline_size(result), lambda figure: draw_timeline(figure, result)),
    ]


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
        axes.axhline(result.exact, color=INK, lw=1, ls=(0, (5, 3)), zorder=2, label=label)
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
