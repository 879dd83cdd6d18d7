"""The counts of one row as a bar chart: pure functions from numbers to SVG text.

Places are in percent and text is in pixels, so the same drawing fills a phone and a wide window and stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .svg import Svg, element

TOP = 16
_LINE, _BAR = 26, 18  # pixels from bar to bar, and of a bar
_END = 78.0  # percent: where the longest bar ends
_LONGEST = 15  # characters that fit beside a bar on a phone


class Bar(NamedTuple):
    """One line of the chart; ``bits`` is a bit string, or says what was put together."""

    bits: str
    seen: int
    share: float
    is_rest: bool = False


def bars(counts: Mapping[str, int], top: int = TOP) -> list[Bar]:
    """The ``top`` most frequent states, and the rest in one.

    >>> [bar.bits for bar in bars({"00": 6, "11": 3, "01": 1}, top=1)]
    ['00', '2 more states']
    """
    total = sum(counts.values()) or 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == top + 1:
        top += 1  # one state needs no "rest" to stand for it
    shown = [Bar(bits, count, count / total) for bits, count in ordered[:top]]
    rest = sum(count for _, count in ordered[top:])
    if len(ordered) > top:
        shown.append(Bar(f"{len(ordered) - top:,} more states", rest, rest / total, is_rest=True))
    return shown


def draw(counts: Mapping[str, int], top: int = TOP) -> Svg:
    """A horizontal bar for each of `bars`, with its count and its share as text beside it."""
    found = bars(counts, top)
    longest = max((bar.share for bar in found), default=0) or 1
    left = 4 + 2 * max((len(_cut(bar.bits)) for bar in found), default=0)  # percent; enough on a phone
    lines = [_line(bar, _LINE * number + 4, left, (_END - left) / longest) for number, bar in enumerate(found)]
    label = "Bar chart of counts: " + ", ".join(f"{bar.bits} {bar.seen}" for bar in found[:4])
    height = _LINE * len(found) + 4
    return element(
        "svg",
        element("line", x1=f"{left}%", x2=f"{left}%", y1=0, y2=height, class_="axis"),
        *lines,
        class_="chart",
        width="100%",
        height=height,
        role="img",
        aria_label=label,
    )


def _line(bar: Bar, y: int, left: float, scale: float) -> Svg:
    width = scale * bar.share
    middle = {"y": y + _BAR / 2, "dy": "0.35em"}
    kind = "bar rest" if bar.is_rest else "bar"
    share = element("tspan", f" · {bar.share:.1%}", class_="share")  # left out where there is no room
    return element(
        "g",
        element("title", f"{bar.bits}: {bar.seen:,} ({bar.share:.2%})"),
        element("text", _cut(bar.bits), x=f"{left - 1.2}%", text_anchor="end", class_="bits", **middle),
        element("rect", x=f"{left}%", y=y, width=f"{width:.3f}%", height=_BAR, rx=2, class_=kind),
        element("text", f"{bar.seen:,}", share, x=f"{left + width + 1.2:.3f}%", class_="count", **middle),
    )


def _cut(bits: str) -> str:
    half = _LONGEST // 2
    return bits if len(bits) <= _LONGEST else f"{bits[:half]}…{bits[-half:]}"
