"""Draws the paper's Figures 4 and 5: latencies as boxes, over the size of the workload or of the results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from ..harness import Measure

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Told apart also by those who see no red or green, and in grey.
COLOURS = ("#d55e00", "#0072b2", "#56b4e9")
_AT, _BOX, _WIDTH = "at", ("whislo", "q1", "med", "q3", "whishi"), 0.26


def boxes(times: Mapping[str, Mapping[int, Sequence[float]]]) -> dict[str, list[float]]:
    """For `Measure.series`: the sizes, and of each side at each size the five numbers of a box.

    Whiskers are the 1st and the 99th percentile.
    """
    series: dict[str, list[float]] = {_AT: [float(size) for size in next(iter(times.values()))]}
    for side, by_size in times.items():
        series[side] = [number for values in by_size.values() for number in _five(values)]
    return series


def _five(values: Sequence[float]) -> tuple[float, ...]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return tuple(cuts[percent - 1] for percent in (1, 25, 50, 75, 99))


def draw(result: Measure, folder: Path) -> Path:
    """``queue-figure4.png`` from the measure ``Figure 4: …``."""
    series = dict(result.series or {})
    sizes = series.pop(_AT)
    figure, axes = plt.subplots(figsize=(7.2, 4.0), layout="constrained")
    for place, (side, numbers) in enumerate(series.items()):
        shift = (place - (len(series) - 1) / 2) * (_WIDTH + 0.03)
        _draw_side(axes, side, numbers, [at + shift for at in range(len(sizes))], COLOURS[place])
    axes.set_xticks(range(len(sizes)), [f"{size:,.0f}" for size in sizes])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.grid(axis="y", lw=0.4, alpha=0.6)
    axes.set_xlabel(f"{result.series_axes[0]}; boxes: quartiles, whiskers: 1st and 99th percentile")
    axes.set_ylabel(f"{result.series_axes[1]}, logarithmic")
    axes.set_title(result.name.partition(": ")[2], fontsize=11)
    figure.legend(loc="outside lower center", ncols=len(series), fontsize=9, frameon=False)
    path = folder / f"queue-{result.name.partition(':')[0].lower().replace(' ', '')}.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _draw_side(axes: plt.Axes, side: str, numbers: Sequence[float], places: Sequence[float], colour: str) -> None:
    stats = [dict(zip(_BOX, numbers[at : at + len(_BOX)], strict=True)) for at in range(0, len(numbers), len(_BOX))]
    drawn = axes.bxp(
        stats,
        positions=list(places),
        widths=_WIDTH,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "edgecolor": "black", "linewidth": 0.6},
        medianprops={"color": "black", "linewidth": 1.4},
        whiskerprops={"color": colour},
        capprops={"color": colour},
    )
    drawn["boxes"][0].set_label(side)
