"""The probabilities that quantum mechanics gives a program, from Qiskit's gate matrices and nothing of ours."""

from collections import defaultdict

import numpy as np
from hypothesis import strategies as st
from qiskit.circuit.library import get_standard_gate_name_mapping

from qpu_executors.testing import gates
from qpu_executors.translation.gates import GATES, GateProgram, bind

QISKIT_GATES = {name: gate.base_class for name, gate in get_standard_gate_name_mapping().items() if name in GATES}
ROW = (0.83, -1.94, 2.61)  # values of the three parameters that random programs refer to


def probabilities(program, row=()):
    """Counts key -> probability. Every measurement and reset splits the state in two."""
    program = GateProgram.parse(program)
    start = np.zeros(2**program.n_qubits, dtype=complex)
    start[0] = 1
    branches = [(0, start)]
    for op in program.ops:
        if op.name == "measure":
            for qubit, bit in zip(op.qubits, op.bits, strict=True):
                branches = [
                    (bits & ~(1 << bit) | outcome << bit, state)
                    for bits, before in branches
                    for outcome, state in _split(before, qubit)
                ]
        elif op.name == "reset":
            for qubit in op.qubits:
                branches = [
                    (bits, _apply(state, np.array([[0, 1], [1, 0]]), [qubit]) if outcome else state)
                    for bits, before in branches
                    for outcome, state in _split(before, qubit)
                ]
        elif op.name != "barrier":
            matrix = QISKIT_GATES[op.name](*(bind(angle, row) for angle in op.angles)).to_matrix()
            branches = [(bits, _apply(state, matrix, op.qubits)) for bits, state in branches]
    found = defaultdict(float)
    for bits, state in branches:
        found[program.key(bits)] += float(np.vdot(state, state).real)
    return dict(found)


def _split(state, qubit):
    ones = (np.arange(len(state)) >> qubit & 1).astype(bool)
    parts = ((0, np.where(ones, 0, state)), (1, np.where(ones, state, 0)))
    return [(outcome, part) for outcome, part in parts if np.vdot(part, part).real > 1e-12]


def _apply(state, matrix, qubits):
    index = np.arange(len(state))
    local = sum((index >> qubit & 1) << place for place, qubit in enumerate(qubits))
    rest = index & ~sum(1 << qubit for qubit in qubits)
    result = np.zeros_like(state)
    for out in range(len(matrix)):
        target = rest | sum((out >> place & 1) << qubit for place, qubit in enumerate(qubits))
        np.add.at(result, target, matrix[out, local] * state)
    return result


def distance(counts, expected):
    """Total variation between counts and probabilities."""
    shots = sum(counts.values())
    keys = {*counts, *expected}
    return sum(abs(counts.get(key, 0) / shots - expected.get(key, 0.0)) for key in keys) / 2


def bound(expected, shots):
    """What the distance of a fair sample exceeds less than once in 10^9: its mean plus McDiarmid's tail."""
    return 0.5 * np.sqrt(len(expected) / shots) + np.sqrt(np.log(1e9) / (2 * shots))


@st.composite
def programs(draw, max_qubits=4, max_ops=14, midway=True):
    """Random programs: gates of the whole table, affine angles, two registers, measurements and resets anywhere."""
    n_qubits = draw(st.integers(1, max_qubits))
    names = [name for name, (k, _) in GATES.items() if k <= n_qubits]
    number = st.floats(-7, 7).map(lambda x: round(x, 3))
    affine = st.tuples(number, st.integers(0, 2), number, st.integers(0, 2), number).map(list)
    registers = [["a", 1], ["b", n_qubits]]
    ops, splits = [], 0
    for _ in range(draw(st.integers(0, max_ops))):
        kind = draw(st.sampled_from(["gate"] * 6 + ["measure", "reset", "barrier"] * midway))
        if kind == "gate":
            name = draw(st.sampled_from(names))
            qubits = list(draw(st.permutations(range(n_qubits)))[: GATES[name][0]])
            angles = [draw(st.one_of(number, affine)) for _ in range(GATES[name][1])]
            ops.append([name, qubits, angles] if angles else [name, qubits])
        elif kind == "barrier":
            ops.append(["barrier", list(range(n_qubits))])
        elif splits < 5:
            splits += 1
            qubit = draw(st.integers(0, n_qubits - 1))
            ops.append(
                ["reset", [qubit]] if kind == "reset" else ["measure", [qubit], [draw(st.integers(0, n_qubits))]]
            )
    read = list(draw(st.permutations(range(n_qubits))))
    bits = list(draw(st.permutations(range(n_qubits + 1)))[:n_qubits])
    return gates(n_qubits, *ops, ["measure", read, bits], parameters=["alpha", "beta", "gamma"], registers=registers)
