"""How a run shows that it is alive: bars on a terminal, a line now and then in a pipe, nothing for a program."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from .nodes import Plan
from .ran import Circuit


class Progress(Protocol):
    """Is told what happens, in the thread that called `solve`."""

    def begin(self, plan: Plan) -> None: ...
    def ran(self, circuit: Circuit) -> None: ...
    def advanced(self, start: int, evaluations: int, energy: float, error: float, done: bool) -> None: ...
    def retried(self, start: int, error: BaseException) -> None: ...
    def waiting(self, reasons: Sequence[str]) -> None:
        """No node has ended for some seconds, and this is why, in sentences."""
        ...

    def end(self) -> None:
        """The run is over, or given up."""
        ...


class Silent:
    """Shows nothing."""

    def begin(self, plan: Plan) -> None: ...
    def ran(self, circuit: Circuit) -> None: ...
    def advanced(self, start: int, evaluations: int, energy: float, error: float, done: bool) -> None: ...
    def retried(self, start: int, error: BaseException) -> None: ...
    def waiting(self, reasons: Sequence[str]) -> None: ...
    def end(self) -> None: ...


class Lines(Silent):
    """A line when a start ends, and one now and then in between: after ``interval_s`` seconds, later less often."""

    def __init__(self, stream: TextIO | None = None, interval_s: float = 2.0) -> None:
        self._stream, self._interval_s = stream or sys.stderr, interval_s

    def begin(self, plan: Plan) -> None:
        self._total, self._energies = plan.evaluations, dict[int, float]()
        self._done = [0] * plan.starts
        self._next = time.monotonic() + self._interval_s

    def advanced(self, start: int, evaluations: int, energy: float, error: float, done: bool) -> None:
        self._done[start], self._energies[start] = evaluations, energy
        if done:
            self._print(f"start {start} done after {evaluations - 1} evaluations: energy {energy:.4f} ± {error:.4f}")
        elif time.monotonic() > self._next:
            self._interval_s = min(1.3 * self._interval_s, 60.0)
            self._next = time.monotonic() + self._interval_s
            low = min(self._energies, key=self._energies.__getitem__)
            total = self._total * len(self._done)
            self._print(
                f"{sum(self._done)} of {total} evaluations, lowest energy {self._energies[low]:.4f} (start {low})"
            )

    def retried(self, start: int, error: BaseException) -> None:
        self._print(f"start {start}: trying again after {type(error).__name__}: {error}")

    def waiting(self, reasons: Sequence[str]) -> None:
        for reason in reasons:
            self._print(f"waiting: {reason}")

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bars(Silent):
    """One bar per start, redrawn four times a second."""

    def begin(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns: list[Any] = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("[bold]{task.fields[energy]}", justify="right"),
            TimeElapsedColumn(),
        ]
        self._bars = Progress(*columns, console=Console(stderr=True), refresh_per_second=4, expand=True)
        self._rows = [
            self._bars.add_task(f"start {start}", total=plan.evaluations, energy="…") for start in range(plan.starts)
        ]
        self._bars.start()

    def advanced(self, start: int, evaluations: int, energy: float, error: float, done: bool) -> None:
        self._bars.update(self._rows[start], completed=evaluations, energy=f"{energy:.3f} ± {error:.3f}")
        if done:  # an optimiser may stop before its limit: then the bar is as long as what was needed
            self._bars.update(self._rows[start], total=evaluations)
            self._bars.stop_task(self._rows[start])

    def retried(self, start: int, error: BaseException) -> None:
        self._bars.console.print(f"start {start}: trying again after {type(error).__name__}: {error}", markup=False)

    def waiting(self, reasons: Sequence[str]) -> None:
        for reason in reasons:
            self._bars.console.print(f"waiting: {reason}", markup=False, highlight=False)

    def end(self) -> None:
        self._bars.stop()


def show_progress(wanted: bool | None = None) -> Progress:
    """Bars on a terminal, lines in a pipe; nothing if not wanted."""
    if wanted is False:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
