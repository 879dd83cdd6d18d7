"""What a run leaves behind as it goes: every node that ended, in memory and in the log of the run's folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from qpu_executors import QuantumResult

from .chain import Chain
from .nodes import Place, Stepped
from .ran import Circuit, Step
from .record import RunFolder


class Trace:
    """The nodes of a run that ended.

    Attributes:
        circuits, steps: in the order they were seen, those of the log first.
        wakes: the calls that woke the classical workers, each with the start for which it was made.
    """

    def __init__(self, folder: RunFolder | None) -> None:
        self.circuits: list[Circuit] = []
        self.steps: list[Step] = []
        self.wakes: list[Step] = []
        self._folder, self._session = folder, 0

    def replay(self) -> Iterator[tuple[Circuit | Step, dict[str, Any]]]:
        """Take in the log: each circuit and step with its line. Then a new session of the run begins."""
        if self._folder is None:
            return
        for line in self._folder.records():
            if line["kind"] == "session":
                self._session = line["session"] + 1
            elif line["kind"] == "wake":
                self.wakes.append(Step.from_dict(line))
            elif line["kind"] == "circuit":
                self.circuits.append(Circuit.from_dict(line))
                yield self.circuits[-1], line
            elif line["kind"] == "step":
                self.steps.append(Step.from_dict(line))
                yield self.steps[-1], line
        self._folder.append({"kind": "session", "session": self._session, "at": time.time()})

    def circuit(self, chain: Chain, link: int, number: int, attempt: int, result: QuantumResult) -> Circuit:
        """A circuit of a link has ended; ``attempt`` counts our submissions of it, from 1."""
        done = Circuit(
            chain.start,
            link,
            result.started_at,
            result.ended_at,
            self._session,
            number,
            result.device_id,
            queued_at=result.started_at - result.queue_s,
            job=str(result.metadata.get("slurm_job_id", "")),
            attempts=attempt - 1 + int(result.metadata.get("attempts", 1)),
        )
        self.circuits.append(done)
        self._log("circuit", done, shots=result.shots, counts=result.counts)
        return done

    def step(self, chain: Chain, stepped: Stepped) -> None:
        """The step of a chain's present link has ended."""
        ready_at = max(chain.submitted_at, *(result.ended_at for result in chain.results()))
        self.steps.append(self._classical(chain, ready_at, stepped.place))
        measured = {"points": chain.points, "energies": stepped.energies, "errors": stepped.errors}
        self._log("step", self.steps[-1], **{name: array.tolist() for name, array in measured.items()})

    def wake(self, chain: Chain, submitted_at: float, place: Place) -> None:
        """A classical worker has answered."""
        self.wakes.append(self._classical(chain, submitted_at, place))
        self._log("wake", self.wakes[-1])

    def _classical(self, chain: Chain, ready_at: float, place: Place) -> Step:
        queued_at = min(ready_at, place.started_at)  # two machines' clocks may differ
        return Step(chain.start, chain.number, session=self._session, queued_at=queued_at, **asdict(place))

    def _log(self, kind: str, node: Circuit | Step, **more: Any) -> None:
        if self._folder is not None:
            self._folder.append({"kind": kind, **node.to_dict(), **more})
