"""What goes on at the same time in a DAX program: within a machine's lasers and mirrors, and the same circuit."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from qpu_executors import QPU, InvalidSite, QuantumTask, as_task
from qpu_executors.running import HeldDevice
from qpu_executors.translation.dax import DaxProgram
from qpu_executors.translation.dax_layers import Call, layers
from qpu_executors.translation.dax_resources import Need, Resources
from qpu_executors.translation.dax_writer import to_dax
from qpu_executors.translation.gates import GateProgram, Op

N = 4
FILE = """
total_lasers = 4
total_mirrors = 6
relative_time = "135,600"
[h]
time = 1
lasers = 1
mirrors = 2
[cx]
time = 1
lasers = 2
mirrors = 2
"""


def body(text: str) -> list[str]:
    """The lines of the loop over the shots, without their common indent."""
    lines = text.split("self.q.prep_0_all()\n")[1].splitlines()
    return [line[16:] for line in lines if line.strip()]


def histories(program: DaxProgram) -> dict[Any, list[Op]]:
    """What happens to each qubit and to each classical bit, in order."""
    found: dict[Any, list[Op]] = {}
    for op in program.program.ops:
        for place in (*op.qubits, *(("bit", bit) for bit in op.bits)):
            found.setdefault(place, []).append(op)
    return found


@st.composite
def programs(draw: st.DrawFn) -> str:
    ops: list[list[Any]] = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["h", "rz", "rx", "cx", "rxx", "measure", "reset", "barrier"]))
        qubits = draw(st.permutations(range(N)))[: 2 if kind in ("cx", "rxx", "barrier") else 1]
        angles = [draw(st.sampled_from([0.25, 0.5]))] if kind in ("rz", "rx", "rxx") else []
        third = [draw(st.integers(0, N - 1))] if kind == "measure" else angles
        ops.append([kind, list(qubits), third] if third else [kind, list(qubits)])
    ops.append(["measure", [0, 1], [0, 1]])
    program = {"gates": 1, "qubits": N, "registers": [["c", N]], "parameters": [], "ops": ops}
    return json.dumps(program)


MACHINES = st.builds(
    Resources,
    lasers=st.integers(2, 6),
    mirrors=st.integers(2, 6),
    one_qubit=st.sampled_from([1, 135]),
    two_qubit=st.sampled_from([1, 600]),
    needs=st.sampled_from([{}, {"h": Need(1, 2), "measure": Need(0, 2)}]),
)


@settings(max_examples=50)
@given(programs(), MACHINES)
def test_every_qubit_and_every_bit_sees_the_same_operations_in_the_same_order(program: str, machine: Resources) -> None:
    together, alone = (DaxProgram.parse(to_dax(program, 10, resources=given)) for given in (machine, None))
    assert histories(together) == histories(alone)
    assert sorted(together.order) == sorted(alone.order)


@settings(max_examples=50)
@given(
    st.lists(st.permutations(range(N)).map(lambda order: order[: 1 + (order[0] < order[1])]), min_size=1, max_size=30),
    MACHINES,
)
def test_no_layer_takes_more_lasers_mirrors_or_time_than_there_are(places: list[list[int]], machine: Resources) -> None:
    calls = [Call(str(number), "rx" if len(q) == 1 else "cnot", tuple(q)) for number, q in enumerate(places)]
    found = list(layers(calls, machine))
    assert sorted(call.text for lanes in found for lane in lanes for call in lane.calls) == sorted(
        c.text for c in calls
    )
    for lanes in found:
        assert sum(lane.need.lasers for lane in lanes) <= machine.lasers
        assert sum(lane.need.mirrors for lane in lanes) <= machine.mirrors
        qubits = [qubit for lane in lanes for qubit in lane.qubits]
        assert len(qubits) == len(set(qubits))
        period = max(machine.time(lane.calls[0].name, len(lane.calls[0].qubits)) for lane in lanes)
        for lane in lanes:
            needs = [machine.need(call.name, len(call.qubits)) for call in lane.calls]
            assert max(need.lasers for need in needs) <= lane.need.lasers
            assert max(need.mirrors for need in needs) <= lane.need.mirrors
            assert sum(machine.time(call.name, len(call.qubits)) for call in lane.calls) <= period


def test_independent_gates_go_on_together_as_far_as_the_mirrors_reach() -> None:
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.measure_all(add_bits=True)
    lines = body(to_dax(as_task(circuit).program, 10, resources=Resources.parse(FILE)))
    beside = ["    with sequential:", "        self.q.h({})"]
    assert lines[:7] == ["with parallel:", *(line.format(qubit) for qubit in range(3) for line in beside)]
    assert lines[7] == "self.q.h(3)"
    assert lines[8] == "with parallel:"
    assert lines[-1] == "self.q.store_measurements([0, 1, 2, 3])"


def test_a_lane_goes_on_with_short_gates_while_a_long_one_takes_its_time() -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.cx(0, 1)
    for _ in range(6):
        circuit.rx(0.5, 2)
    circuit.measure(range(3), range(3))
    lines = body(to_dax(as_task(circuit, lift_angles=False).program, 10, resources=Resources(4, 4)))
    lane = ["        self.q.rx(0.5, 2)"] * 4  # 4 x 135 fit into 600
    first = ["with parallel:", "    with sequential:", "        self.q.cnot(0, 1)", "    with sequential:", *lane]
    assert lines[:8] == first
    assert sum("rx(" in line for line in lines) == 6


def test_a_barrier_holds_back() -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.barrier()
    circuit.h(1)
    circuit.measure_all()
    lines = body(to_dax(as_task(circuit).program, 10, resources=Resources(9, 9)))
    assert lines[:2] == ["self.q.h(0)", "self.q.h(1)"]


def test_the_counts_are_those_of_the_circuit(tmp_path: Path) -> None:
    circuit = QuantumCircuit(4, 4)
    circuit.x([0, 2])
    circuit.cx(0, 1)
    circuit.cx(2, 3)
    circuit.measure([3, 1, 0, 2], [0, 1, 2, 3])
    circuit.x(0)
    circuit.measure(0, 2)
    (tmp_path / "resources.toml").write_text(FILE)
    text = to_dax(as_task(circuit).program, 50, resources=Resources.load(tmp_path / "resources.toml"))
    held = HeldDevice(QPU("sv0", "statevector", 4))
    assert held.run(as_task(text)).counts == held.run(as_task(circuit, shots=50)).counts == ({"1011": 50},)
    assert isinstance(QuantumTask(text, "dax").program, str)


def test_a_long_circuit_is_laid_out_in_a_moment() -> None:
    ops = [Op("rx", (number % 10,), (0.5,)) for number in range(5_000)]
    program = GateProgram(10, (("c", 10),), (), (*ops, Op("measure", tuple(range(10)), bits=tuple(range(10)))))
    text = to_dax(program.dumps(), 10, resources=Resources(10, 10))
    assert sum(line == "with parallel:" for line in body(text)) == 501


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("total_lasers = 4", ""), "total_lasers must be a whole number from 1; it is missing"),
        (("total_mirrors = 6", 'total_mirrors = "6"'), "total_mirrors must be a whole number.*'6'"),
        (('"135,600"', "135"), 'relative_time is "ONE,TWO"'),
        (('"135,600"', '"135,-1"'), "relative_time"),
        (("lasers = 2", "lasers = -2"), r"\[cx\]: lasers must be a whole number from 0"),
        (("[cx]\ntime = 1\n", "[cx]\nsize = 1\n"), r"\[cx\] has 'size'. A gate has time, lasers, mirrors"),
        (("total_lasers = 4", "total_lasers = 4\ncapacity = 5"), r"\[capacity\] must be a table of a gate"),
        (("total_lasers", "total lasers"), "no TOML"),
    ],
    ids=str,
)
def test_a_wrong_resources_file_is_named_with_what_is_wrong(
    change: tuple[str, str], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "resources.toml"
    path.write_text(FILE.replace(*change))
    with pytest.raises(InvalidSite, match=f"resources.toml'.*{sentence}"):
        Resources.load(path)


def test_a_gate_that_takes_more_than_there_is_names_its_table() -> None:
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.measure_all()
    with pytest.raises(InvalidSite, match=r"gate 'cx' takes 2 lasers and 2 mirrors, the resources are 1 and 6.*\[cx\]"):
        to_dax(as_task(circuit).program, 10, resources=Resources(1, 6))
