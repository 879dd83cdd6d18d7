"""The loop: angles are asked for their configurations, the solver says how good those are, SPSA moves the angles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from conqure import QuantumTask

from .solver import Configurations, Floats, Ising, ground_state

KEPT_WEIGHT = 1e-6  # configurations with less in the eigenvector are let go


@dataclass(frozen=True)
class State:
    """Where a start is: plain values, so that it can wait in a file while its circuits run.

    Attributes:
        angles: radians. kept: the configurations that matter, so far.
        energies: the lowest energy known after each iteration.
    """

    n_qubits: int
    field: float
    layers: int
    shots: int
    seed: int
    angles: tuple[float, ...]
    kept: tuple[int, ...] = ()
    energies: tuple[float, ...] = ()

    @classmethod
    def begin(cls, n_qubits: int, field: float, layers: int, shots: int, seed: int) -> State:
        angles = np.random.default_rng(seed).uniform(-0.5, 0.5, n_qubits * layers)
        return cls(n_qubits, field, layers, shots, seed, tuple(map(float, angles)))

    @classmethod
    def read(cls, path: str | Path) -> State:
        values = json.loads(Path(path).read_text())
        lists = {name: tuple(values[name]) for name in ("angles", "kept", "energies")}
        return cls(**{**values, **lists})

    def write(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(asdict(self)))

    @property
    def iteration(self) -> int:
        return len(self.energies)

    @property
    def direction(self) -> Floats:
        """SPSA's direction in this iteration: every angle a little up or down."""
        signs = np.random.default_rng([self.seed, self.iteration]).choice([-1.0, 1.0], len(self.angles))
        return 0.3 / (self.iteration + 1) ** 0.101 * signs

    def ask(self, row: int) -> QuantumTask:
        """One of the two circuits of this iteration: the angles moved forward (row 0) or back (row 1)."""
        angles = np.array(self.angles) + (1 - 2 * row) * self.direction
        seed = 2 * (1000 * self.seed + self.iteration) + row
        return QuantumTask(program(self.n_qubits, self.layers), shots=self.shots, parameter_values=angles, seed=seed)

    def tell(self, comm: Any, *counts: Mapping[str, int]) -> State:
        """What follows from the counts of both circuits; called by all ranks, with the same counts."""
        model = Ising(self.n_qubits, self.field)
        seen = [configurations(each) for each in counts]
        forward, back = (ground_state(comm, model, each)[0] for each in seen)
        together = np.unique(np.concatenate([np.array(self.kept, dtype=np.int64), *seen]))
        energy, vector = ground_state(comm, model, together)
        slope = (forward - back) / (2 * self.direction)
        angles = np.array(self.angles) - 0.1 / (self.iteration + 5) ** 0.602 * slope
        kept = together[vector**2 > KEPT_WEIGHT]
        return replace(
            self,
            angles=tuple(map(float, angles)),
            kept=tuple(map(int, kept)),
            energies=(*self.energies, energy),
        )


def configurations(counts: Mapping[str, int]) -> Configurations:
    return np.unique(np.array([int(bits, 2) for bits in counts], dtype=np.int64))


def program(n_qubits: int, layers: int) -> str:
    """H on qubit 0, then layers of a CX chain and RY on each qubit, as `gates`; a GHZ state if all angles are 0."""
    angles = iter(range(n_qubits * layers))
    ops: list[Any] = [["h", [0]]]
    for _ in range(layers):
        ops += [["cx", [q, q + 1]] for q in range(n_qubits - 1)]
        ops += [["ry", [q], [[0.0, next(angles), 1.0]]] for q in range(n_qubits)]
    ops.append(["measure", list(range(n_qubits)), list(range(n_qubits))])
    names = [f"a[{i}]" for i in range(n_qubits * layers)]
    registers = [["meas", n_qubits]]
    return json.dumps({"gates": 1, "qubits": n_qubits, "registers": registers, "parameters": names, "ops": ops})
