"""A small state vector simulator in NumPy: no SDK, the fastest way to run a small circuit, the oracle of the tests.

At up to about ten qubits the cost of a circuit is the number of array operations, not the arithmetic. So a program is
compiled once into few *steps*, each applied to all rows of a task at once:

* neighbouring one-qubit gates become one `_Local` step: matrices of groups of four qubits, two or three matmuls;
* runs of gates that only permute basis states (x, cx, swap, ccx, …) become one `_Permutation`;
* runs of diagonal gates (rz, cz, cp, rzz, …) become one `_Diagonal`: one matrix product gives all phases;
* what is left is a `_Dense` step of its own.

Real gates stay in real arithmetic. States have shape (n_rows, 2**n_qubits); bit q of the index is qubit q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..device import Counts
from ..errors import InvalidTask
from ..translation.gates import Angle, GateProgram, Op
from .unitaries import MATRICES

Array = NDArray[Any]
MAX_QUBITS = 24  # 256 MiB for one complex state
_BLOCK = 2**22  # amplitudes simulated at a time: many rows of a large circuit go in portions
_GROUP = 4  # qubits per matrix of a local step: 16 x 16 is where BLAS starts to pay
_PERMUTES = {"x", "cx", "swap", "ccx", "cswap", "dcx"}
_DIAGONAL = {"z", "s", "sdg", "t", "tdg", "p", "u1", "rz", "cz", "cs", "csdg", "cp", "cu1", "crz", "rzz", "ccz"}
_REAL = {"id", "x", "z", "h", "ry", "cx", "cz", "ch", "cry", "swap", "dcx", "ccx", "ccz", "cswap"}


class StatevectorDevice:
    """Simulates ideal circuits of the language `gates`, exactly up to sampling.

    Args:
        device_id: its name. n_qubits: the largest circuit, at most 24; meant for up to about 14.

    >>> StatevectorDevice("sv0", 14).execute(device.prepare(program, "gates"), [[0.1]], 100, seed=1)
    [{'0': 99, '1': 1}]
    """

    languages = ("gates",)

    def __init__(self, device_id: str, n_qubits: int) -> None:
        if n_qubits > MAX_QUBITS:
            raise InvalidTask(
                f"device {device_id!r}: the statevector driver simulates at most {MAX_QUBITS} qubits, not {n_qubits}. "
                "Use driver = 'aer' for more."
            )
        self.device_id, self.n_qubits = device_id, n_qubits
        self._rng = np.random.default_rng()

    def prepare(self, program: str | bytes, language: str) -> Plan:
        """Compile a `gates` program into steps."""
        assert isinstance(program, str)
        return Plan.compile(GateProgram.parse(program))

    def execute(
        self, prepared: Plan, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`. Raises `InvalidTask` if the number of columns is wrong."""
        rows = prepared.check(parameter_values)
        rng = self._rng if seed is None else np.random.default_rng(seed)
        if prepared.branches:
            return [prepared.sample_branching(row, shots, rng) for row in rows]
        portion = max(1, _BLOCK >> prepared.n_qubits)
        counts: list[Counts] = []
        for first in range(0, len(rows), portion):
            states = prepared.states(rows[first : first + portion])
            counts += prepared.sample(states, shots, rng)
        return counts

    def statevector(self, program: str, row: Sequence[float] = ()) -> Array:
        """The state before the final measurements, shape (2**n_qubits,); for tests and exact energies."""
        plan = Plan.compile(GateProgram.parse(program))
        if plan.branches:
            raise InvalidTask("a program that measures or resets in the middle has no single final state.")
        return plan.states(plan.check([row]))[0]

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Plan:
    """A compiled program: steps to apply, then which qubits to read into which bits."""

    program: GateProgram
    offsets: Array  # (n_angles,): the constant part of every angle of the program
    scales: Array  # (n_parameters, n_angles): angles = offsets + rows @ scales
    steps: list[_Step]
    reads: list[tuple[int, int]]  # (qubit, classical bit) measured at the end
    branches: bool  # measures or resets in the middle: every shot may take another path
    keys: dict[int, str] = field(default_factory=dict)  # outcome over the read qubits -> counts key

    @property
    def n_qubits(self) -> int:
        return self.program.n_qubits

    @classmethod
    def compile(cls, program: GateProgram) -> Plan:
        compiler = _Compiler(program)
        for number, op in enumerate(program.ops):
            compiler.add(number, op)
        return compiler.plan()

    def check(self, parameter_values: Sequence[Sequence[float]]) -> Array:
        rows = np.asarray(parameter_values, dtype=float)
        wanted = len(self.program.parameters)
        if rows.ndim != 2 or rows.shape[1] != wanted:
            names = ", ".join(self.program.parameters[:8]) + (", …" if wanted > 8 else "")
            raise InvalidTask(
                f"parameter_values has {rows.shape[-1] if rows.ndim else 0} columns, the program has {wanted} "
                f"parameters{': ' + names if names else ''}. Give one value per parameter in each row."
            )
        return rows

    def states(self, rows: Array) -> Array:
        """Final states for rows of parameter values: (n_rows, 2**n_qubits)."""
        angles = self.offsets + rows @ self.scales
        state: Array | None = None
        for step in self.steps:
            state = step.apply(state, angles)
        if state is None:
            state = _zero_state(self.n_qubits)
        return np.broadcast_to(state, (len(rows), state.shape[1]))

    def sample(self, states: Array, shots: int, rng: np.random.Generator) -> list[Counts]:
        """Counts for each row of final states."""
        return [self._counts(drawn) for drawn in _draw(self._probabilities(states), shots, rng)]

    def sample_branching(self, row: Array, shots: int, rng: np.random.Generator) -> Counts:
        """Counts of one row when measurements in the middle split the shots: each branch keeps its share of them."""
        angles = (self.offsets + row @ self.scales)[None]
        counts: Counts = {}
        todo = [(0, _zero_state(self.n_qubits), 0, shots)]  # (next step, state, bits so far, shots on this path)
        while todo:
            position, state, bits, n = todo.pop()
            while position < len(self.steps) and not isinstance(step := self.steps[position], _Collapse):
                state, position = step.apply(state, angles), position + 1
            if position < len(self.steps):
                for branch, outcome, share in self.steps[position].split(state, n, rng):  # type: ignore[attr-defined]
                    todo.append((position + 1, branch, self.steps[position].record(bits, outcome), share))  # type: ignore[attr-defined]
                continue
            outcomes, numbers = _draw(self._probabilities(state), n, rng)[0]
            for outcome, number in zip(outcomes, numbers, strict=True):
                key = self.program.key(self._written(outcome, bits))
                counts[key] = counts.get(key, 0) + number
        return counts

    def _probabilities(self, states: Array) -> Array:
        """(n_rows, 2**n_read): probabilities of the read qubits; bit i of an outcome is the i-th read qubit."""
        squares = states * states if states.dtype == np.float64 else states.real**2 + states.imag**2
        read = self._read_qubits
        if read == list(range(self.n_qubits)):
            return squares
        cube = squares.reshape(-1, *(2,) * self.n_qubits)
        dropped = tuple(self.n_qubits - q for q in range(self.n_qubits) if q not in read)  # axis of qubit q is n - q
        kept = [q for q in reversed(range(self.n_qubits)) if q in read]
        order = [0, *(1 + kept.index(q) for q in reversed(read))]
        return cube.sum(axis=dropped).transpose(order).reshape(len(squares), -1)

    @property
    def _read_qubits(self) -> list[int]:
        return list(dict.fromkeys(qubit for qubit, _ in self.reads))

    def _counts(self, drawn: tuple[list[int], list[int]]) -> Counts:
        keys = self.keys
        try:
            return {keys[outcome]: number for outcome, number in zip(*drawn, strict=True)}
        except KeyError:
            for outcome in drawn[0]:
                keys.setdefault(outcome, self.program.key(self._written(outcome, 0)))
            return self._counts(drawn)

    def _written(self, outcome: int, bits: int) -> int:
        """Classical bits after the final measurements wrote an outcome over the read qubits."""
        place = {qubit: i for i, qubit in enumerate(self._read_qubits)}
        for qubit, bit in self.reads:
            bits = bits & ~(1 << bit) | (outcome >> place[qubit] & 1) << bit
        return bits


class _Step(Protocol):
    def apply(self, state: Array | None, angles: Array) -> Array:
        """Apply to states (n_rows, 2**n); ``None`` is |0…0>. ``angles`` has shape (n_rows, n_angles)."""
        ...


class _Compiler:
    """Collects neighbouring ops of one kind into steps."""

    def __init__(self, program: GateProgram) -> None:
        self._program = program
        self._angles: list[Angle] = []
        self._steps: list[_Step] = []
        self._open: _Local | _Permutation | _Diagonal | None = None
        self._real = all(op.name in _REAL or op.name in ("measure", "barrier", "reset") for op in program.ops)
        self._touched: set[int] = set()
        self._last_use = _last_use(program)
        self._last_write = {bit: number for number, op in enumerate(program.ops) for bit in op.bits}
        self._reads: list[tuple[int, int]] = []
        self._branches = False

    def add(self, number: int, op: Op) -> None:
        if op.name == "barrier" or op.name == "id":
            return
        if op.name == "measure":
            for qubit, bit in zip(op.qubits, op.bits, strict=True):
                self._measure(number, qubit, bit)
        elif op.name == "reset":
            for qubit in op.qubits:
                if qubit in self._touched:  # else it is |0> already
                    self._collapse(_Collapse(qubit, None))
        else:
            self._touched.update(op.qubits)
            self._gate(op)

    def plan(self) -> Plan:
        self._close()
        scales = np.zeros((len(self._program.parameters), len(self._angles)))
        offsets = np.zeros(len(self._angles))
        for column, angle in enumerate(self._angles):
            offset, *terms = angle if isinstance(angle, tuple) else (angle,)
            offsets[column] = offset
            for index, scale in zip(terms[::2], terms[1::2], strict=True):
                scales[int(index), column] += scale
        return Plan(self._program, offsets, scales, self._steps, self._reads, self._branches)

    def _measure(self, number: int, qubit: int, bit: int) -> None:
        if self._last_use.get(qubit, -1) > number:  # also if the bit is overwritten later: it has changed the state
            self._collapse(_Collapse(qubit, bit))
        elif self._last_write[bit] == number:
            self._reads.append((qubit, bit))

    def _collapse(self, collapse: _Collapse) -> None:
        self._close()
        self._steps.append(collapse)
        self._branches = True

    def _gate(self, op: Op) -> None:
        columns = list(range(len(self._angles), len(self._angles) + len(op.angles)))
        self._angles += op.angles
        n_qubits = self._program.n_qubits
        if isinstance(self._open, _Diagonal) and op.name in _DIAGONAL:
            self._open.add(op, columns)
        elif isinstance(self._open, _Permutation) and op.name in _PERMUTES:
            self._open.add(op)
        elif len(op.qubits) == 1:
            if not isinstance(self._open, _Local):
                self._close()
                self._open = _Local(n_qubits, self._real)
            self._open.add(op, columns)
        elif op.name in _PERMUTES:
            self._close()
            self._open = _Permutation(n_qubits)
            self._open.add(op)
        elif op.name in _DIAGONAL:
            self._close()
            self._open = _Diagonal(n_qubits)
            self._open.add(op, columns)
        else:
            self._close()
            self._steps.append(_Dense(n_qubits, op, columns))

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._steps.append(self._open)
            self._open = None


def _last_use(program: GateProgram) -> dict[int, int]:
    """For each qubit the number of the last op that acts on it and is not a measurement."""
    acts = (op.name not in ("measure", "barrier", "id") for op in program.ops)
    return {qubit: i for (i, op), act in zip(enumerate(program.ops), acts, strict=True) if act for qubit in op.qubits}


class _Local:
    """One-qubit gates, at most one matrix per qubit after fusion, applied group by group."""

    def __init__(self, n_qubits: int, real: bool) -> None:
        self.n_qubits, self._dtype = n_qubits, np.float64 if real else np.complex128
        self._gates: list[tuple[str, int, int, list[int]]] = []  # name, qubit, place in the qubit's chain, columns
        self._depth = [0] * n_qubits

    def add(self, op: Op, columns: list[int]) -> None:
        qubit = op.qubits[0]
        self._gates.append((op.name, qubit, self._depth[qubit], columns))
        self._depth[qubit] += 1

    def close(self) -> None:
        """Sort gates by (place in the chain, name), so that all gates of a name are computed in one call."""
        n_layers = max(self._depth)
        self._layers: list[Array] = []  # constant matrices of a layer, (n_qubits, 2, 2)
        self._angled: list[list[tuple[str, list[int], Array]]] = []  # name, qubits, columns (n_angles, n_gates)
        for layer in range(n_layers):
            fixed = np.tile(np.eye(2, dtype=self._dtype), (self.n_qubits, 1, 1))
            named: dict[str, list[tuple[int, list[int]]]] = {}
            for name, qubit, place, columns in self._gates:
                if place == layer and columns:
                    named.setdefault(name, []).append((qubit, columns))
                elif place == layer:
                    fixed[qubit] = MATRICES[name](np.empty(0))
            self._layers.append(fixed)
            self._angled.append(
                [(name, [q for q, _ in gates], np.array([c for _, c in gates]).T) for name, gates in named.items()]
            )
        self._fuse_constants()
        self._groups = [range(low, min(low + _GROUP, self.n_qubits)) for low in range(0, self.n_qubits, _GROUP)]
        active = [any(self._depth[q] for q in group) for group in self._groups]
        self._active = [group for group, is_active in zip(self._groups, active, strict=True) if is_active]

    def _fuse_constants(self) -> None:
        """Multiply neighbouring layers that hold no angles."""
        layers, angled = [self._layers[0]], [self._angled[0]]
        for fixed, gates in zip(self._layers[1:], self._angled[1:], strict=True):
            if gates or angled[-1]:
                layers.append(fixed)
                angled.append(gates)
            else:
                layers[-1] = fixed @ layers[-1]
        self._layers, self._angled = layers, angled

    def apply(self, state: Array | None, angles: Array) -> Array:
        matrices = self._matrices(angles)
        if state is None:
            return _kron_all([matrices[:, q, :, 0] for q in range(self.n_qubits)])
        for group in self._active:
            state = _apply(state, _kron_all([matrices[:, q] for q in group]), group[0])
        return state

    def _matrices(self, angles: Array) -> Array:
        """(n_rows or 1, n_qubits, 2, 2)."""
        total: Array | None = None
        for fixed, gates in zip(self._layers, self._angled, strict=True):
            layer = fixed[None]
            if gates:
                layer = np.repeat(layer, len(angles), axis=0)
            for name, qubits, columns in gates:
                layer[:, qubits] = MATRICES[name](angles.T[columns].swapaxes(1, 2))
            total = layer if total is None else layer @ total
        assert total is not None
        return total


def _kron_all(factors: list[Array]) -> Array:
    """Kronecker product over vectors (rows, d) or matrices (rows, d, d), the first factor least significant."""
    product = factors[0]
    for factor in factors[1:]:
        if factor.ndim == 2:
            product = (factor[:, :, None] * product[:, None, :]).reshape(len(factor), -1)
        else:
            size = factor.shape[-1] * product.shape[-1]
            product = (factor[:, :, None, :, None] * product[:, None, :, None, :]).reshape(-1, size, size)
    return product


def _apply(state: Array, matrices: Array, lowest: int) -> Array:
    """Apply (rows or 1, d, d) to d neighbouring basis levels that start at qubit ``lowest``: states (rows, 2**n)."""
    size = matrices.shape[-1]
    if lowest == 0:
        shaped = state.reshape(len(state), -1, size)
        result = shaped @ matrices.swapaxes(1, 2)
    elif size << lowest == state.shape[1]:
        result = matrices @ state.reshape(len(state), size, -1)
    else:
        result = matrices[:, None] @ state.reshape(len(state), -1, size, 1 << lowest)
    return result.reshape(len(result), -1)


class _Permutation:
    """Gates that map basis states to basis states: one indexed copy."""

    def __init__(self, n_qubits: int) -> None:
        self._source = np.arange(1 << n_qubits)
        self._n_qubits = n_qubits

    def add(self, op: Op) -> None:
        # new[i] = old[source[i]]: follow the inverse gate; dcx is the only one that is not its own inverse
        target = _gate_permutation(op, self._n_qubits)
        inverse = np.empty_like(target)
        inverse[target] = np.arange(len(target))
        self._source = self._source[inverse]

    def close(self) -> None: ...

    def apply(self, state: Array | None, angles: Array) -> Array:
        if state is None:
            state = _zero_state(self._n_qubits)
        return state[:, self._source] if len(state) > 1 else state[0][self._source][None]


def _gate_permutation(op: Op, n_qubits: int) -> Array:
    """target[i]: where a permuting gate sends basis state i."""
    matrix = np.abs(MATRICES[op.name](np.empty(0)))
    image = matrix.argmax(axis=0)  # of the gate's own basis states
    index = np.arange(1 << n_qubits)
    local = sum((index >> q & 1) << i for i, q in enumerate(op.qubits))
    moved = image[local]
    mask = sum(1 << q for q in op.qubits)
    return index & ~mask | sum((moved >> i & 1) << q for i, q in enumerate(op.qubits))


class _Diagonal:
    """Diagonal gates: their angles enter the phase of each basis state linearly."""

    def __init__(self, n_qubits: int) -> None:
        self._n_qubits = n_qubits
        self._constant = np.ones(1 << n_qubits, dtype=complex)
        self._columns: list[int] = []
        self._generators: list[Array] = []  # phase of each basis state per radian of the angle

    def add(self, op: Op, columns: list[int]) -> None:
        index = np.arange(1 << self._n_qubits)
        local = sum((index >> q & 1) << i for i, q in enumerate(op.qubits))
        if columns:
            one_radian = np.diagonal(MATRICES[op.name](np.ones(1)))
            self._generators.append(np.angle(one_radian)[local])
            self._columns += columns
        else:
            self._constant = self._constant * np.diagonal(MATRICES[op.name](np.empty(0)))[local]

    def close(self) -> None:
        self._generator = np.array(self._generators)
        if np.all(self._constant.imag == 0):
            self._constant = self._constant.real

    def apply(self, state: Array | None, angles: Array) -> Array:
        if state is None:
            state = _zero_state(self._n_qubits)
        state = state * self._constant
        if self._columns:
            state = state * np.exp(1j * (angles[:, self._columns] @ self._generator))
        return state


class _Dense:
    """Any other gate, on its own."""

    def __init__(self, n_qubits: int, op: Op, columns: list[int]) -> None:
        self._n_qubits, self._name, self._columns = n_qubits, op.name, columns
        k = len(op.qubits)
        axes = [n_qubits - q for q in reversed(op.qubits)]  # axis 0 counts rows; the gate's highest qubit first
        rest = [axis for axis in range(1, n_qubits + 1) if axis not in axes]
        self._order = [0, *axes, *rest]
        self._back = np.argsort(self._order)
        self._shape = (1 << k, 1 << n_qubits - k)

    def apply(self, state: Array | None, angles: Array) -> Array:
        if state is None:
            state = _zero_state(self._n_qubits)
        matrices = MATRICES[self._name](angles.T[self._columns])
        matrices = matrices.reshape(-1, *matrices.shape[-2:])
        cube = state.reshape(-1, *(2,) * self._n_qubits).transpose(self._order)
        result = matrices @ cube.reshape(len(state), *self._shape)
        return result.reshape(-1, *(2,) * self._n_qubits).transpose(self._back).reshape(len(result), -1)


class _Collapse:
    """A measurement into ``bit``, or a reset (``bit`` None), with gates on the same qubit still to come."""

    def __init__(self, qubit: int, bit: int | None) -> None:
        self._qubit, self._bit = qubit, bit

    def apply(self, state: Array | None, angles: Array) -> Array:
        raise AssertionError("a collapse splits the shots; see Plan.sample_branching")

    def split(self, state: Array, shots: int, rng: np.random.Generator) -> list[tuple[Array, int, int]]:
        """(state after, outcome, shots that saw it) for both outcomes that were seen."""
        pair = state.reshape(-1, 2, 1 << self._qubit)
        weight = (np.abs(pair) ** 2).sum(axis=(0, 2))
        ones = int(rng.binomial(shots, min(1.0, weight[1] / weight.sum())))
        found = []
        for outcome, share in ((0, shots - ones), (1, ones)):
            if share:
                after = np.zeros_like(pair)
                after[:, 0 if self._bit is None else outcome] = pair[:, outcome] / np.sqrt(weight[outcome])
                found.append((after.reshape(1, -1), outcome, share))
        return found

    def record(self, bits: int, outcome: int) -> int:
        return bits if self._bit is None else bits & ~(1 << self._bit) | outcome << self._bit


def _zero_state(n_qubits: int) -> Array:
    state = np.zeros((1, 1 << n_qubits))
    state[0, 0] = 1.0
    return state


def _draw(probabilities: Array, shots: int, rng: np.random.Generator) -> list[tuple[list[int], list[int]]]:
    """For each row of probabilities the outcomes seen and how often; sums to ``shots``."""
    n_outcomes = probabilities.shape[1]
    if n_outcomes > 4 * shots:  # few of many: look each shot up instead of drawing every outcome's number
        found = []
        for row in probabilities.cumsum(axis=1):
            drawn = np.searchsorted(row, rng.random(shots) * row[-1], side="right")
            outcomes, numbers = np.unique(np.minimum(drawn, n_outcomes - 1), return_counts=True)
            found.append((outcomes.tolist(), numbers.tolist()))
        return found
    normal = probabilities / probabilities.sum(axis=1, keepdims=True)
    drawn = rng.multinomial(shots, normal)
    return [(np.flatnonzero(row).tolist(), row[row > 0].tolist()) for row in drawn]
