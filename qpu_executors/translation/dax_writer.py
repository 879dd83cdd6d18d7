"""Circuits to the text of DAX programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..errors import InvalidTask
from ..records import MAX_SHOTS
from .dax import READ, header
from .gates import GateProgram, Op, bind

_NAMES = {gate: name for name, (gate, fixed) in READ.items() if not fixed} | {"p": "rz", "u1": "rz"}
_INDENT = " " * 16
_TEMPLATE = '''\
"""Program written by CONQURE for a machine with DAX."""
{header}
from dax.program import *


class ConqureProgram(DaxProgram, Experiment):
    def build(self):
        self._num_iterations = {shots}
        self._num_qubits = {n_qubits}
        self.update_kernel_invariants("_num_iterations", "_num_qubits")

    def run(self):
        if self._num_qubits > self.q.num_qubits:
            raise RuntimeError("The circuit needs more qubits than this system has")
        self._run()

    @kernel
    def _run(self):
        t0 = self.core.get_rtio_counter_mu()
        self._circuit()
        self.core.wait_until_mu(now_mu())
        t1 = self.core.get_rtio_counter_mu()
        self.set_dataset("dt", self.core.mu_to_seconds(t1 - t0))

    @kernel
    def _circuit(self):
        with self.data_context:
            for _ in range(self._num_iterations):
                self.core.reset()
                self.q.prep_0_all()
{body}
'''

_QUARTER = math.pi / 2
Simple = tuple[str, tuple[int, ...], tuple[float, ...]]  # gate, which of its qubits, angles

# Gates that DAX lacks, in gates that it has. Equal up to the global phase.
_MADE_OF: dict[str, Callable[..., list[Simple]]] = {
    "t": lambda: [("rz", (0,), (math.pi / 4,))],
    "tdg": lambda: [("rz", (0,), (-math.pi / 4,))],
    "u2": lambda phi, lam: _turn(_QUARTER, phi, lam),
    "u": lambda theta, phi, lam: _turn(theta, phi, lam),
    "u3": lambda theta, phi, lam: _turn(theta, phi, lam),
    "swap": lambda: [("cx", (0, 1), ()), ("cx", (1, 0), ()), ("cx", (0, 1), ())],
    "cy": lambda: [("sdg", (1,), ()), ("cx", (0, 1), ()), ("s", (1,), ())],
    "rzz": lambda theta: [("cx", (0, 1), ()), ("rz", (1,), (theta,)), ("cx", (0, 1), ())],
    "crz": lambda theta: _controlled_phase(theta, 0.0),
    "cp": lambda theta: _controlled_phase(theta, theta / 2),
    "cu1": lambda theta: _controlled_phase(theta, theta / 2),
    "cs": lambda: _controlled_phase(_QUARTER, _QUARTER / 2),
    "csdg": lambda: _controlled_phase(-_QUARTER, -_QUARTER / 2),
}


def to_dax(program: str, shots: int = 1024, row: Sequence[float] = ()) -> str:
    """A `gates` program as the text of a DAX program.

    Args:
        row: a value for each parameter of the program, radians; DAX programs have none.

    Raises:
        InvalidTask: a gate has no counterpart in DAX; the text names it. Nothing is ever left out.

    >>> print(to_dax(as_task(bell).program, shots=30))
    """
    read = GateProgram.parse(program)
    if len(row) != len(read.parameters):
        raise InvalidTask(f"a DAX program has no parameters: give {len(read.parameters)} values, not {len(row)}.")
    if not 1 <= shots <= MAX_SHOTS:
        raise InvalidTask(f"shots must be from 1 to {MAX_SHOTS:,}, not {shots!r}.")
    together = sum(op.name == "measure" for op in read.ops) == 1
    lines = [line for op in read.ops for line in _lines(op, row, together)]
    order = [bit for op in read.ops for bit in op.bits]
    return _TEMPLATE.format(
        header=header(order, read.registers),
        shots=shots,
        n_qubits=read.n_qubits,
        body="\n".join(_INDENT + line for line in lines),
    )


def _lines(op: Op, row: Sequence[float], together: bool) -> list[str]:
    if op.name == "measure":
        return _measure(op.qubits, together)
    if op.name == "barrier":  # it holds back a compiler that moves gates; DAX keeps their order as it is
        return [f"# barrier {', '.join(map(str, op.qubits))}"]
    if op.name == "reset":
        return [f"self.q.prep_0({qubit})" for qubit in op.qubits]
    angles = [bind(angle, row) for angle in op.angles]
    if op.name in _NAMES:
        return [_call(_NAMES[op.name], angles, op.qubits)]
    if op.name not in _MADE_OF:
        basis = "['id', 'x', 'y', 'z', 'h', 'rx', 'ry', 'rz', 'rxx', 'cx', 'cz']"
        raise InvalidTask(
            f"DAX has no gate {op.name!r}. Take the circuit apart first: qiskit.transpile(circuit, basis_gates={basis})"
        )
    simple = _MADE_OF[op.name](*angles)
    return [_call(_NAMES[name], turned, [op.qubits[place] for place in places]) for name, places, turned in simple]


def _measure(qubits: Sequence[int], together: bool) -> list[str]:
    """All calls of ``store_measurements`` of a program must store the same number of values."""
    groups = [list(qubits)] if together else [[qubit] for qubit in qubits]
    stores = [f"self.q.store_measurements({group})" for group in groups]
    return [*(f"self.q.m_z({qubit})" for qubit in qubits), *stores]


def _call(name: str, angles: Sequence[float], qubits: Sequence[int]) -> str:
    return f"self.q.{name}({', '.join([*map(repr, angles), *map(str, qubits)])})"


def _turn(theta: float, phi: float, lam: float) -> list[Simple]:
    return [("rz", (0,), (lam,)), ("ry", (0,), (theta,)), ("rz", (0,), (phi,))]


def _controlled_phase(theta: float, kick: float) -> list[Simple]:
    """A controlled RZ; with ``kick`` = theta / 2 on the control, a controlled phase."""
    kicks: list[Simple] = [("rz", (0,), (kick,))] if kick else []
    halves: list[Simple] = [("rz", (1,), (theta / 2,)), ("cx", (0, 1), ()), ("rz", (1,), (-theta / 2,))]
    return [*kicks, *halves, ("cx", (0, 1), ())]
