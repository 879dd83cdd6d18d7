"""The emulated trapped-ion machine: its native gates, its errors, its times."""

import functools
import math
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from qpu_executors import QPU, InvalidSite, QuantumTask
from qpu_executors.device import Device
from qpu_executors.drivers.trapped_ion import TYPICAL, TrappedIonDevice
from qpu_executors.running import HeldDevice
from qpu_executors.testing import BELL, DeviceContract, gates, vqe_program
from qpu_executors.translation.gates import GATES, GateProgram, Op
from qpu_executors.translation.ion_trap import NATIVE, expanded, to_native

from .reference import QISKIT_GATES, ROW, _apply, bound, distance, probabilities, programs

VIRTUAL = {"clock": "virtual"}
SHOTS = 2000


class TestAPerfectIonTrap(DeviceContract):
    qpu = QPU("ion0", "trapped_ion", 7, options=VIRTUAL)


class TestANoisyIonTrap(DeviceContract):
    qpu = QPU("ion1", "trapped_ion", 7, options={**VIRTUAL, "noise": "typical"})
    error_rate = 0.1


@functools.cache
def held(name="perfect"):
    options = {"perfect": {}, "stand-in": {"stand_in": True}}[name]
    return HeldDevice(QPU("ion", "trapped_ion", 6, options={**VIRTUAL, **options}))


def device(**options):
    """A machine with times that are easy to add up."""
    times = dict.fromkeys(("prepare_s", "measure_s", "job_s", "reload_s", "gate_1q_s", "gate_2q_s"), 0.0)
    return TrappedIonDevice("ion0", 7, **{**times, "clock": "virtual", **options})


def run(ion, program, shots=1, rows=((),), seed=1):
    return ion.execute(ion.prepare(program, "gates"), rows, shots, seed)


def unitary(ops, n_qubits):
    columns = []
    for state in np.eye(2**n_qubits, dtype=complex):
        for op in ops:
            state = _apply(state, QISKIT_GATES[op.name](*op.angles).to_matrix(), op.qubits)
        columns.append(state)
    return np.array(columns).T


def native(program, **options):
    read = to_native(GateProgram.parse(program), **options)
    assert all(op.name in (*NATIVE, "measure", "reset", "barrier") for op in read.ops), read.ops
    return read


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_its_native_gates_up_to_a_global_phase(name):
    n_qubits, n_angles = GATES[name]
    op = Op(name, tuple(range(n_qubits)), (0.4, 1.3, -0.8, 0.6)[:n_angles])
    made = expanded(op, NATIVE)
    assert {part.name for part in made} <= set(NATIVE)
    overlap = np.trace(unitary([op], n_qubits).conj().T @ unitary(made, n_qubits)) / 2**n_qubits
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "entangling"), [("cx", 1), ("cp", 1), ("ecr", 1), ("dcx", 2), ("iswap", 2), ("ccx", 5)]
)
def test_gates_take_no_more_entangling_operations_than_known_circuits(name, entangling):
    n_qubits, n_angles = GATES[name]
    made = expanded(Op(name, tuple(range(n_qubits)), (0.3,) * n_angles), NATIVE)
    assert sum(op.name == "rxx" for op in made) == entangling


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(max_ops=10))
def test_a_compiled_program_has_the_distribution_of_the_original(program):
    expected = probabilities(program, ROW)
    for merge in (True, False):
        found = probabilities(native(program, merge=merge).dumps(), ROW)
        assert {**dict.fromkeys(found, 0.0), **expected} == pytest.approx(
            {**dict.fromkeys(expected, 0.0), **found}, abs=1e-9
        )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(max_ops=10))
def test_the_machine_agrees_with_quantum_mechanics(program):
    expected = probabilities(program, ROW)
    task = QuantumTask(program, parameter_values=[ROW], shots=SHOTS, seed=zlib.crc32(program.encode()))
    (counts,) = held().run(task).counts
    assert distance(counts, expected) < bound(expected, SHOTS), (counts, expected)


def test_merging_saves_pulses_and_keeps_parameters():
    program = gates(1, *[["h", [0]], ["t", [0]]] * 5, ["rx", [0], [[0, 0, 1.0]]], ["h", [0]], parameters=["theta"])
    pulses = [op.name for op in native(program).ops if op.name in ("rx", "ry")]
    assert pulses == ["ry", "rx", "ry"]
    assert sum(op.name in ("rx", "ry") for op in native(program, merge=False).ops) == 7


def test_a_swap_renames_two_ions_and_costs_nothing():
    program = gates(3, ["x", [0]], ["swap", [0, 2]], ["cx", [2, 1]])
    ion = device(gate_2q_s=1.0)
    assert run(ion, program, shots=10) == [{"110": 10}]
    assert ion.metadata["native_gates"]["rxx"] == 1


def test_the_times_are_those_of_the_native_gates():
    ion = device(job_s=100, reload_s=1000, prepare_s=0.5, measure_s=0.25, gate_1q_s=1, gate_2q_s=10, compile_s=7)
    run(
        ion, BELL, shots=4
    )  # H is one pulse, CX is RX and two RY around an RXX; before RY comes the RY of H, so 3 pulses
    pulses = ion.metadata["native_gates"]["rx"] + ion.metadata["native_gates"]["ry"]
    assert (pulses, ion.metadata["native_gates"]["rxx"]) == (3, 1)
    spent = {"job": 100, "reload": 1000, "rows": 0, "compile": 7, "prepare": 2, "gates": 4 * 13, "measure": 1}
    assert ion.metadata["spent_s"] == spent
    assert ion.metadata["run_s"] == sum(spent.values())


def test_compiling_and_reloading_are_spent_once():
    ion = device(reload_s=20, compile_s=3)
    bell = ion.prepare(BELL, "gates")
    times = []
    for prepared in (bell, bell, ion.prepare(gates(3, ["h", [0]]), "gates"), bell):
        ion.execute(prepared, [()], 1, 1)
        times.append(ion.metadata["run_s"])
    assert times == [23, 0, 23, 20]


def test_measurements_side_by_side_are_one_round_and_a_reset_prepares_again():
    ion = device(measure_s=1, prepare_s=100)
    ops = [["measure", [0], [0]], ["measure", [1], [1]], ["reset", [0]], ["h", [0]], ["measure", [0], [2]]]
    run(ion, gates(2, *ops, registers=[["c", 3]]))
    assert (ion.metadata["spent_s"]["measure"], ion.metadata["spent_s"]["prepare"]) == (2, 200)


def test_rows_and_shots_multiply():
    ion = device(gate_1q_s=1, row_s=1000)
    run(ion, gates(1, ["ry", [0], [[0, 0, 1.0]]], parameters=["a"]), shots=5, rows=[[0.1], [0.2], [0.3]])
    assert ion.metadata["run_s"] == 3 * (1000 + 5)


def test_on_the_real_clock_a_call_takes_its_time():
    ion = device(clock="real", job_s=0.05)
    started = time.perf_counter()
    run(ion, BELL)
    assert time.perf_counter() - started >= 0.05
    assert "run_s" not in ion.metadata


def test_the_parity_contrast_of_a_ghz_state_is_what_depolarising_leaves_of_it():
    """Every RXX spreads the parity over its two ions, so each multiplies it by 1 - p; each bit by 1 - 2 r."""
    n, p, r, shots = 4, 0.06, 0.02, 40_000
    ghz = [["h", [0]], *(["cx", [i, i + 1]] for i in range(n - 1))]
    ion = device(noise={"two_qubit": p, "readout": r})
    (counts,) = run(ion, gates(n, *ghz, *(["h", [i]] for i in range(n))), shots)
    contrast = sum(number * (-1) ** bits.count("1") for bits, number in counts.items()) / shots
    expected = (1 - p) ** (n - 1) * (1 - 2 * r) ** n
    assert abs(contrast - expected) < 5 * math.sqrt((1 - expected**2) / shots)
    (perfect,) = run(device(), gates(n, *ghz, *(["h", [i]] for i in range(n))), 1000)
    assert all(bits.count("1") % 2 == 0 for bits in perfect)


def test_each_pulse_depolarises_its_ion_and_a_virtual_z_does_not():
    p, pulses, shots = 0.02, 12, 40_000
    turn = [["rx", [0], [[0, 0, 1.0]]], ["ry", [0], [[0, 0, 1.0]]], ["rz", [0], [[0, 0, 1.0]]]]
    ion = device(noise={"one_qubit": p})
    (counts,) = run(ion, gates(1, *turn * (pulses // 2), parameters=["a"]), shots, rows=[[0.0]])
    contrast = (counts["0"] - counts.get("1", 0)) / shots
    expected = (1 - p) ** pulses
    assert abs(contrast - expected) < 5 * math.sqrt((1 - expected**2) / shots)


def test_the_typical_errors_are_those_of_the_documented_fidelities():
    assert TYPICAL["one_qubit"] / 2 == pytest.approx(1 - 0.9995)
    assert TYPICAL["two_qubit"] * 3 / 4 == pytest.approx(1 - 0.996)
    assert TYPICAL["readout"] == pytest.approx(1 - 0.9961)


def test_the_stand_in_entangles_nothing_and_agrees_with_its_own_unitary():
    from qpu_executors.translation.stand_in import without_entanglement

    program = vqe_program(3)
    row = [0.3, 0.8, -0.4, 1.1, 0.2, 2.0]
    result = held("stand-in").run(QuantumTask(program, parameter_values=[row], shots=SHOTS, seed=3))
    expected = probabilities(without_entanglement(GateProgram.parse(program)).dumps(), row)
    assert distance(result.counts[0], expected) < bound(expected, SHOTS)
    facts = result.metadata["native_gates"]
    # 1 H and 6 RY, and for each of 2 CX 4 rotations and 4 pulses on each of two ions: two of H, two of X
    assert (facts["rxx"], facts["rx"] + facts["ry"]) == (0, 7 + 2 * (4 + 8))


def test_it_is_a_device_that_describes_itself():
    assert isinstance(device(), Device)
    assert TrappedIonDevice.describe({"noise": "typical"})["is"] == "emulated ion trap, with errors"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"noise": {"two_qubits": 0.1}}, "one_qubit, two_qubit, readout"),
        ({"noise": {"two_qubit": 1.5}}, "from 0 to 1"),
        ({"noise": "awful"}, "'typical'"),
        ({"gate_2q_s": -1.0}, "gate_2q_s"),
        ({"clock": "sun"}, "clock"),
        ({"reload_s": "long"}, "reload_s"),
    ],
)
def test_an_impossible_machine_is_refused(options, says):
    with pytest.raises(InvalidSite, match=says):
        device(**options)
