"""Who watches what passes the bridge: the summary of a run."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.observing import Observer as Observer
from qpu_executors.observing import Outcome
from qpu_executors.records import QuantumResult, QuantumTask


class Tally:
    """Counts what passes: circuits (rows), shots, failures, seconds on each QPU.

    >>> tally = Tally(pool.qpus)
    >>> with serve(pool, observers=[tally]) as bridge: ...
    >>> print(tally.summary())
    """

    def __init__(self, qpus: Iterable[QPU] = ()) -> None:
        self._slots = {qpu.device_id: qpu.slots for qpu in qpus}
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._circuits: dict[str, int] = defaultdict(int)
        self._busy_s: dict[str, float] = defaultdict(float)
        self.tasks = self.shots = self.failures = 0

    def submitted(self, task: QuantumTask) -> None:
        with self._lock:
            self.tasks += 1

    def finished(self, task: QuantumTask, outcome: Outcome) -> None:
        with self._lock:
            if isinstance(outcome, QuantumResult):
                self._circuits[outcome.device_id] += len(outcome.counts)  # none of a script
                self._busy_s[outcome.device_id] += outcome.run_s
                self.shots += len(outcome.counts) * task.shots
            else:
                self.failures += 1

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._started

    def figures(self) -> dict[str, Any]:
        """Plain JSON values; ``utilisation`` is the share of the time a QPU's slots were busy."""
        with self._lock:
            names = [*self._slots, *(name for name in self._circuits if name not in self._slots)]
            wall_s = self.wall_s
            return {
                "circuits": sum(self._circuits.values()),
                "tasks": self.tasks,
                "shots": self.shots,
                "failures": self.failures,
                "wall_s": wall_s,
                "qpu_s": sum(self._busy_s.values()),
                "qpus": {
                    name: {
                        "circuits": self._circuits.get(name, 0),
                        "qpu_s": self._busy_s.get(name, 0.0),
                        "utilisation": self._busy_s.get(name, 0.0) / (wall_s * self._slots.get(name, 1)),
                    }
                    for name in names
                },
            }

    def summary(self) -> str:
        """A few lines for people."""
        figures = self.figures()
        failed = f", {figures['failures']:,} failed" if figures["failures"] else ""
        lines = [
            f"{figures['circuits']:,} circuits in {figures['tasks']:,} tasks, {figures['shots']:,} shots{failed}; "
            f"{figures['qpu_s']:.2f} s on QPUs in {figures['wall_s']:.2f} s"
        ]
        width = max(map(len, figures["qpus"]), default=0)
        for name, qpu in figures["qpus"].items():
            line = f"  {name.ljust(width)} {qpu['circuits']:>10,} circuits {qpu['qpu_s']:>10.2f} s"
            lines.append(f"{line} {qpu['utilisation']:>7.1%} busy")
        return "\n".join(lines)
