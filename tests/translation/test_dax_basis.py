"""Every gate in terms of the gates that a trapped-ion machine has."""

from collections.abc import Iterable, Sequence

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from qpu_executors import InvalidTask
from qpu_executors.translation.dax import READ
from qpu_executors.translation.dax_basis import BASIS, IONS, check_basis, lower
from qpu_executors.translation.gates import GATES, GateProgram, Op
from qpu_executors.translation.qiskit import to_circuit

BASES = [
    BASIS,
    IONS,
    frozenset({"rphi", "rz", "xx"}),
    frozenset({"rphi", "cz"}),
    frozenset({"rx", "ry", "rxx"}),
    frozenset({"h", "rz", "cnot", "ry"}),
]


def unitary(n_qubits: int, ops: Iterable[tuple[str, Sequence[int], Sequence[float]]]) -> Operator:
    program = GateProgram(
        n_qubits, (), (), tuple(Op(name, tuple(qubits), tuple(angles)) for name, qubits, angles in ops)
    )
    circuit: QuantumCircuit = to_circuit(program)[0]
    return Operator(circuit)


@pytest.mark.parametrize("basis", BASES, ids=lambda basis: "-".join(sorted(basis)[:4]))
def test_every_gate_is_the_same_unitary_in_the_gates_of_the_machine(basis: frozenset[str]) -> None:
    for gate, (n_qubits, n_angles) in GATES.items():
        angles = [0.3 + 0.4 * number for number in range(n_angles)]
        steps = list(lower(gate, range(n_qubits)[::-1], angles, basis))
        assert {name for name, _, _ in steps} <= basis
        made = unitary(n_qubits, [(READ[name][0], places, READ[name][1] or turned) for name, places, turned in steps])
        assert made.equiv(unitary(n_qubits, [(gate, range(n_qubits)[::-1], angles)])), gate


@pytest.mark.parametrize(
    ("gate", "entangling"), [("cx", 1), ("rzz", 1), ("crz", 1), ("cp", 1), ("iswap", 2), ("ccx", 6)]
)
def test_the_way_with_the_fewest_entangling_gates_is_taken(gate: str, entangling: int) -> None:
    n_qubits, n_angles = GATES[gate]
    steps = lower(gate, range(n_qubits), [0.7] * n_angles, frozenset({"rx", "ry", "rz", "rxx"}))
    assert sum(len(places) == 2 for _, places, _ in steps) == entangling


def test_what_a_machine_has_is_used_as_it_is() -> None:
    assert list(lower("cx", (2, 5), (), BASIS)) == [("cnot", (2, 5), ())]
    assert list(lower("sx", (1,), (), BASIS)) == [("sqrt_x", (1,), ())]
    assert list(lower("id", (0,), (), IONS)) == []


@pytest.mark.parametrize(
    "basis",
    [frozenset(), frozenset({"rz", "xx"}), frozenset({"rx", "ry", "rz"})],
    ids=lambda basis: "-".join(sorted(basis)),
)
def test_what_a_machine_cannot_do_is_named(basis: frozenset[str]) -> None:
    with pytest.raises(InvalidTask, match="no way to do gate '.*needs two of rx, ry, rz"):
        list(lower("ccx", (0, 1, 2), (), basis))


def test_names_that_dax_does_not_have_are_no_basis() -> None:
    assert check_basis(["xx", "rphi"]) == {"xx", "rphi"}
    with pytest.raises(InvalidTask, match="DAX has no gate 'ms'. It has: cnot, cz"):
        check_basis(["xx", "ms"])
