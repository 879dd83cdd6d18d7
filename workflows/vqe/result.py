"""What a run gives back: each start with its history, and what ran where and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from statistics import median
from typing import Any

from .jobs import JobUse, job_uses
from .pauli import Floats
from .problems import Problem
from .ran import Circuit, Node, Step


@dataclass(frozen=True)
class Start:
    """One start and where it ended.

    Attributes:
        history: (evaluations so far, energy, standard error), a measured energy near the parameters of each link;
            the last is that of the final state, measured afresh.
        parameters: the final ones, radians.
        energy, error: of the final state, from ``final_shots`` per circuit.
        bitstring, share: the final state's most frequent outcome in the Z basis (qubit 0 rightmost) and its share of
            the shots; None if no circuit measures all qubits in Z.
        mass: share of the shots that are solutions; None where that has no meaning or no solution is known.
        noiseless: the energy of an ideal circuit with the final parameters, computed, not measured; None if not wanted.
    """

    start: int
    history: tuple[tuple[int, float, float], ...]
    parameters: Floats
    energy: float
    error: float
    bitstring: str | None
    share: float | None
    counts: Mapping[str, int]
    mass: float | None = None
    noiseless: float | None = None

    @property
    def evaluations(self) -> int:
        """Energies measured for the optimiser, without that of the final state."""
        return self.history[-1][0] - 1


@dataclass(frozen=True)
class VQEResult:
    """A finished run.

    Attributes:
        starts: in order; `best` is the one with the lowest measured final energy.
        exact: the lowest energy there is, where it can be computed.
        circuits, steps: every quantum and classical node, in the order they were seen.
        n_qpus, n_cpus: what the utilisation is a share of: slots of the QPUs and classical workers.
        retries: circuits and steps that were submitted again after a transient failure.
        wakes: the calls that woke the classical workers before the first circuit.
    """

    problem: Problem
    setting: Mapping[str, Any]
    starts: tuple[Start, ...]
    exact: float | None
    circuits: tuple[Circuit, ...]
    steps: tuple[Step, ...]
    n_qpus: int
    n_cpus: int
    retries: int
    wakes: tuple[Step, ...] = ()

    @property
    def best(self) -> Start:
        return min(self.starts, key=lambda start: start.energy)

    @property
    def solution(self) -> str:
        """What the best start's most frequent bit string says, in one line."""
        return self.problem.describe(self.best.bitstring, self.exact) if self.best.bitstring else ""

    @property
    def wall_s(self) -> float:
        """Seconds from the first circuit's start to the end of the last node, without the pauses of a resumed run."""
        return sum(end - begin for begin, end in sessions(self.circuits, self.steps))

    @property
    def qpu_utilisation(self) -> float:
        """Share of the QPUs' time between first and last circuit in which they ran one."""
        return _utilisation(self.circuits, self.n_qpus, sessions(self.circuits))

    @property
    def cpu_utilisation(self) -> float:
        """Share of the classical workers' time in the same interval in which they ran a step."""
        return _utilisation(self.steps, self.n_cpus, sessions(self.circuits))

    @cached_property
    def jobs(self) -> list[JobUse]:
        """The jobs of Slurm that the nodes ran in, in the order they began; none where there was no Slurm."""
        return job_uses([*self.circuits, *self.wakes, *self.steps])

    @property
    def qpu_held_s(self) -> float:
        """Seconds for which jobs held QPUs, each from its first circuit to its last."""
        return sum(job.held_s for job in self.jobs if job.device_id)

    @property
    def qpu_busy_of_held(self) -> float | None:
        """Share of these seconds in which a circuit ran; None without jobs."""
        held = self.qpu_held_s
        return sum(job.busy_s for job in self.jobs if job.device_id) / held if held else None

    @property
    def queue_s(self) -> tuple[float, float]:
        """Seconds that circuits waited from their submission until they ran: of all together, and the median."""
        waits = [circuit.queue_s for circuit in self.circuits]
        return sum(waits), median(waits) if waits else 0.0

    def to_dict(self) -> dict[str, Any]:
        """What ``result.json`` holds."""
        queue_s, median_s = self.queue_s
        best = self.best
        return {
            **self.setting,
            "exact_energy": self.exact,
            "best": {"start": best.start, "energy": best.energy, "error": best.error, "bitstring": best.bitstring}
            | ({"solution": self.solution} if best.bitstring else {}),
            "starts": [_start_values(start) for start in self.starts],
            "circuits": len(self.circuits),
            "steps": len(self.steps),
            "retries": self.retries,
            "wall_s": self.wall_s,
            "qpus": self.n_qpus,
            "qpu_utilisation": self.qpu_utilisation,
            "cpus": self.n_cpus,
            "cpu_utilisation": self.cpu_utilisation,
            "circuit_queue_s": {"total": queue_s, "median": median_s},
            "qpu_held_s": self.qpu_held_s,
            "qpu_busy_of_held": self.qpu_busy_of_held,
            "slurm_jobs": [job.to_dict() for job in self.jobs],
        }


def sessions(*nodes: Sequence[Node]) -> list[tuple[float, float]]:
    """(first start, last end) of each session of a run, seconds since the epoch."""
    spans: dict[int, tuple[float, float]] = {}
    for node in (node for group in nodes for node in group):
        begin, end = spans.get(node.session, (node.started_at, node.ended_at))
        spans[node.session] = min(begin, node.started_at), max(end, node.ended_at)
    return [spans[session] for session in sorted(spans)]


def _utilisation(nodes: Iterable[Node], lanes: int, spans: list[tuple[float, float]]) -> float:
    busy = sum(node.ended_at - node.started_at for node in nodes)
    whole = lanes * sum(end - begin for begin, end in spans)
    return busy / whole if whole else 0.0


def _start_values(start: Start) -> dict[str, Any]:
    values = {f.name: getattr(start, f.name) for f in fields(start)}
    return values | {"evaluations": start.evaluations, "parameters": start.parameters.tolist()}
