"""Draws how far each figure is from its goal."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import matplotlib

from .harness import Measure

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(results: Sequence[Measure], folder: Path) -> Path:
    """Bars of figure / goal (goals of at least: goal / figure), so that left of the line is met; returns the file."""
    with_goal = [result for result in results if result.goal and result.goal[1]]  # of a goal of none there is no share
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.42 * len(with_goal)), layout="constrained")
    for place, result in enumerate(reversed(with_goal)):
        relation, bound = result.goal or ("<=", 1.0)
        values = (result.lower_quartile, result.median, result.upper_quartile)
        low, middle, high = sorted(v / bound if relation == "<=" else bound / v for v in values)
        colour = "#2a7f62" if result.met else "#b5382a"
        axes.barh(place, middle, color=colour, height=0.6)
        axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color="black", lw=1, capsize=2)
    axes.axvline(1, color="black", lw=1, ls="--")
    axes.set_yticks(range(len(with_goal)), [result.name for result in reversed(with_goal)])
    axes.set_xscale("log")
    axes.set_xlabel("share of the goal used up (left of the line: met); bars are medians, whiskers quartiles")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmarks.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    for result in results:
        if result.drawn_by:
            import_module(result.drawn_by).draw(result, folder)
        elif result.series:
            draw_series(result, folder)
    return path


def draw_series(result: Measure, folder: Path) -> Path:
    """The lines that a measure has beside its figure; the file is named after the measure."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, values in (result.series or {}).items():
        axes.plot(range(1, len(values) + 1), values, marker="o", label=name)
    axes.set_xlabel(result.series_axes[0])
    axes.set_ylabel(result.series_axes[1])
    axes.set_ylim(bottom=0)
    axes.set_title(result.name.partition(":")[0])
    axes.legend()
    path = folder / f"{result.name.partition(':')[0].lower().replace(' ', '')}.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
