"""Parametrised circuits, written straight as programs of the language `gates`: no SDK on the way to the QPU.

An angle of a circuit is affine in the parameters: ``offset + Σ scale · parameter``. What the optimisers need to know
about a circuit follows from that: whether the energy is a short Fourier series in each parameter (`harmonics`, for
Rotosolve) and the circuit with one parameter per gate (`per_gate`, for the parameter-shift rule).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import InvalidProblem
from .pauli import Floats, PauliSum

_ROTATE = {"X": (("h",),), "Y": (("sdg",), ("h",)), "Z": (), "I": ()}


@dataclass(frozen=True)
class Op:
    """One gate; ``angle`` is None or (offset, parameter index, scale)."""

    name: str
    qubits: tuple[int, ...]
    angle: tuple[float, int, float] | None = None


@dataclass(frozen=True)
class Ansatz:
    """A circuit family.

    Attributes:
        n_parameters: angles to optimise, radians.
        ops: the gates, without measurements.
        harmonics: per parameter (frequency, order): the energy is a Fourier series of that base frequency and order
            in it. None where the series would be long (QAOA).
        layers: repetitions of the circuit's block, where it has one.
        width: initial parameters are drawn uniformly from ± width.
    """

    name: str
    n_qubits: int
    n_parameters: int
    ops: tuple[Op, ...]
    harmonics: tuple[tuple[float, int], ...] | None
    layers: int = 1
    width: float = np.pi

    def program(self, basis: str) -> str:
        """The `gates` program that ends in a measurement of all qubits, qubit i in basis ``basis[i]``."""
        rotations = [Op(gate[0], (q,)) for q, p in enumerate(basis) for gate in _ROTATE[p]]
        qubits = list(range(self.n_qubits))
        ops = [_written(op) for op in (*self.ops, *rotations)]
        ops.append(["measure", qubits, qubits])
        return json.dumps(
            {
                "gates": 1,
                "qubits": self.n_qubits,
                "registers": [["meas", self.n_qubits]],
                "parameters": [f"a[{i}]" for i in range(self.n_parameters)],
                "ops": ops,
            },
            separators=(",", ":"),
        )

    def initial(self, rng: np.random.Generator) -> Floats:
        """Random parameters to start from, shape (n_parameters,)."""
        return rng.uniform(-self.width, self.width, self.n_parameters)

    def per_gate(self) -> tuple[Ansatz, Floats]:
        """The same circuit with one parameter per rotation, and the matrix that gives them.

        Row g of the matrix, shape (n_gates, n_parameters), holds the scales of gate g:
        ``gate_angles = matrix @ parameters`` (constant offsets stay in the circuit).
        """
        angled = [op for op in self.ops if op.angle is not None]
        matrix = np.zeros((len(angled), self.n_parameters))
        numbers = iter(range(len(angled)))
        ops = []
        for op in self.ops:
            if op.angle is not None:
                offset, index, scale = op.angle
                matrix[gate := next(numbers), index] = scale
                op = replace(op, angle=(offset, gate, 1.0))
            ops.append(op)
        harmonics = ((1.0, 1),) * len(angled)
        return replace(self, n_parameters=len(angled), ops=tuple(ops), harmonics=harmonics), matrix


def listing2(n_qubits: int, layers: int = 1) -> Ansatz:
    """Listing 2 of the paper: H on qubit 0, a layer of RY, then per layer a chain of CX and a layer of RY."""
    angles = iter(range((layers + 1) * n_qubits))
    ops = [Op("h", (0,)), *_ry_layer(n_qubits, angles)]
    for _ in range(layers):
        ops += [Op("cx", (q, q + 1)) for q in range(n_qubits - 1)]
        ops += _ry_layer(n_qubits, angles)
    n_parameters = (layers + 1) * n_qubits
    return Ansatz("listing2", n_qubits, n_parameters, tuple(ops), ((1.0, 1),) * n_parameters, layers)


def qaoa(hamiltonian: PauliSum, layers: int = 1) -> Ansatz:
    """The quantum approximate optimisation ansatz, ``layers`` times exp(-iγH) and exp(-iβΣX), from the state |+…+>.

    Parameters: γ of every layer, then β of every layer. For Hamiltonians of Z and I only (arXiv:1411.4028).
    """
    if not hamiltonian.is_diagonal:
        raise InvalidProblem(
            "QAOA needs a Hamiltonian of Z and I only, such as Max-Cut's. Choose another ansatz: uccsd."
        )
    n = hamiltonian.n_qubits
    ops = [Op("h", (q,)) for q in range(n)]
    for layer in range(layers):
        for string, coefficient in hamiltonian.terms:
            ops += _phase([q for q, p in enumerate(string) if p == "Z"], (0.0, layer, 2.0 * coefficient))
        ops += [Op("rx", (q,), (0.0, layers + layer, 2.0)) for q in range(n)]
    return Ansatz("qaoa", n, 2 * layers, tuple(ops), None, layers, width=np.pi / 4)


def uccsd(n_qubits: int, n_electrons: int) -> Ansatz:
    """The Hartree-Fock state, then every double and single excitation that keeps the spin (arXiv:2106.13839).

    Spin orbitals are numbered as in Jordan-Wigner, spin up even and spin down odd, the lowest ``n_electrons`` filled.
    Each excitation turns its own pair of basis states, so the energy in its angle has the frequencies 1/2 and 1.
    """
    ops = [Op("x", (q,)) for q in range(n_electrons)]
    occupied, empty = range(n_electrons), range(n_electrons, n_qubits)
    doubles = [
        (i, j, a, b)
        for i in occupied
        for j in occupied[i + 1 :]
        for a in empty
        for b in empty
        if a < b and (i % 2 + j % 2) == (a % 2 + b % 2)
    ]
    singles = [(i, a) for i in occupied for a in empty if i % 2 == a % 2]
    for number, (i, j, a, b) in enumerate(doubles):
        ops += _double(i, j, a, b, number)
    for number, (i, a) in enumerate(singles, len(doubles)):
        ops += _single(i, a, number)
    n_parameters = len(doubles) + len(singles)
    return Ansatz("uccsd", n_qubits, n_parameters, tuple(ops), ((0.5, 2),) * n_parameters, width=0.3)


def _ry_layer(n_qubits: int, angles: Any) -> list[Op]:
    return [Op("ry", (q,), (0.0, next(angles), 1.0)) for q in range(n_qubits)]


def _phase(qubits: list[int], angle: tuple[float, int, float]) -> list[Op]:
    """exp(-i angle/2 Z…Z) on some qubits: their parity is computed into the last one, and back."""
    chain = [Op("cx", pair) for pair in pairwise(qubits)]
    return [*chain, Op("rz", (qubits[-1],), angle), *reversed(chain)]


def _single(i: int, a: int, index: int) -> list[Op]:
    """A Givens rotation between |10> and |01> of qubits i and a by parameter ``index`` (SingleExcitation)."""
    half = (0.0, index, -0.5)
    return [
        Op("h", (i,)),
        Op("cx", (i, a)),
        Op("ry", (i,), half),
        Op("ry", (a,), half),
        Op("cx", (i, a)),
        Op("h", (i,)),
    ]


# PennyLane's DoubleExcitation as gates on its four wires (Fig. 8 of arXiv:2104.05695): a sign stands for RY(±angle/8).
_DOUBLE = (
    "cx 2 3, cx 0 2, h 3, h 0, cx 2 3, cx 0 1, + 1, - 0, cx 0 3, h 3, cx 3 1, + 1, - 0, cx 2 1, cx 2 0, - 1, + 0, "
    "cx 3 1, h 3, cx 0 3, - 1, + 0, cx 0 1, cx 2 0, h 0, h 3, cx 0 2, cx 2 3"
)


def _double(i: int, j: int, a: int, b: int, index: int) -> list[Op]:
    """A rotation between |1100> and |0011> of qubits i, j, a, b, by parameter ``index``."""
    wires, ops = (i, j, a, b), []
    for text in _DOUBLE.split(", "):
        name, *numbers = text.split()
        qubits = tuple(wires[int(number)] for number in numbers)
        if name in "+-":
            ops.append(Op("ry", qubits, (0.0, index, 0.125 if name == "+" else -0.125)))
        else:
            ops.append(Op(name, qubits))
    return ops


def _written(op: Op) -> list[Any]:
    return [op.name, list(op.qubits)] if op.angle is None else [op.name, list(op.qubits), [list(op.angle)]]


ANSATZE: dict[str, Callable[..., Ansatz]] = {"listing2": listing2, "qaoa": qaoa, "uccsd": uccsd}
