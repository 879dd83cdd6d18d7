"""Cirq's circuits: the sampler and the translation give what `cirq.Simulator` gives."""

import random
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import cirq
import numpy as np
import pytest
import sympy

from conqure import InvalidTask, QPUThreadPool, UnknownDevice, as_task
from conqure.interop.cirq import ConqureSampler
from qpu_executors import QPU
from qpu_executors.translation.cirq import from_circuit, read

from ..drivers.reference import bound, distance, probabilities
from .pages import run_page

Q = cirq.LineQubit.range(4)
S, T = sympy.symbols("s t")
AT = {"s": 0.37, "t": -1.21}
RIGHT = cirq.testing.random_unitary(4, random_state=3)

GATES = [
    *(gate**power for gate in (cirq.X, cirq.Y, cirq.Z, cirq.H) for power in (1, 0.5, -0.5, 0.25, 0.3, 3, T, S - 2 * T)),
    *(cirq.I, cirq.T**-1, cirq.rx(T), cirq.ry(0.4), cirq.rz(S + 1), cirq.PhasedXPowGate(phase_exponent=S, exponent=T)),
    cirq.PhasedXZGate(x_exponent=S, z_exponent=T, axis_phase_exponent=0.2),
    *(gate**power for gate in (cirq.CNOT, cirq.CZ, cirq.SWAP, cirq.ISWAP) for power in (1, 0.5, -0.3, T)),
    *(gate**power for gate in (cirq.XX, cirq.YY, cirq.ZZ) for power in (1, 0.3, T)),
    *(cirq.FSimGate(0.3, 0.7), cirq.PhasedISwapPowGate(phase_exponent=0.2, exponent=0.6), cirq.givens(0.4)),
    *(cirq.CCX, cirq.CCZ, cirq.CCX**0.3, cirq.CCZ**T, cirq.CSWAP, cirq.ControlledGate(cirq.rx(0.8), num_controls=2)),
    *(cirq.ControlledGate(cirq.Z**S), cirq.ControlledGate(cirq.ISWAP), cirq.ControlledGate(cirq.H, control_values=[0])),
    *(cirq.MatrixGate(RIGHT), cirq.qft(*Q[:3]).gate, cirq.QuantumFourierTransformGate(2), cirq.cphase(T)),
    *(
        cirq.DensePauliString("XYZ"),
        cirq.ControlledGate(cirq.GlobalPhaseGate(1j)),
        cirq.WaitGate(cirq.Duration(nanos=1)),
    ),
]


def prepared(n_qubits):
    """Gates that make no two amplitudes alike."""
    return [
        cirq.PhasedXZGate(x_exponent=0.3 + 0.11 * n, z_exponent=0.2, axis_phase_exponent=0.1 * n)(Q[n])
        for n in range(n_qubits)
    ]


def exact(circuit):
    """Counts key -> probability of measuring all qubits at the end, by Cirq's own state vector."""
    state = cirq.final_state_vector(circuit, dtype=np.complex128)
    n = len(circuit.all_qubits())
    return {format(i, f"0{n}b")[::-1]: abs(amplitude) ** 2 for i, amplitude in enumerate(state)}


def row_of(translation, values=AT):
    return translation.lifted or [values[name] for name in translation.parameters]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_each_gate_is_the_gate_of_cirq(gate):
    n = cirq.num_qubits(gate)
    mixed = [cirq.H.on_each(*Q[:n]), cirq.CZ.on_each(*pairwise(Q[:n]))]
    circuit = cirq.Circuit(prepared(n), gate.on(*Q[:n]), mixed, prepared(n))
    found = from_circuit(circuit + cirq.measure(*Q[:n], key="m"))
    expected = exact(cirq.resolve_parameters(circuit, AT))
    assert distance(expected, probabilities(found.program, row_of(found))) < 1e-6


def random_circuit(rng, midway):
    """Random gates on three qubits, with symbols, repeated keys, masks, resets."""
    circuit = cirq.Circuit(prepared(3))
    for _ in range(rng.randint(3, 9)):
        gate = rng.choice([gate for gate in GATES if cirq.num_qubits(gate) <= 3])
        circuit.append(gate.on(*rng.sample(Q[:3], cirq.num_qubits(gate))))
        if midway and rng.random() < 0.3:
            mask = tuple(rng.choices([False, True], k=2))
            circuit.append(cirq.measure(*rng.sample(Q[:3], 2), key="mid", invert_mask=mask))
        if midway and rng.random() < 0.15:
            circuit.append(cirq.R(rng.choice(Q[:3])))
    return circuit + cirq.measure(*rng.sample(Q[:3], 3), key="end", invert_mask=(rng.random() < 0.5,))


def as_counts(result):
    """A result of Cirq as counts in which the bits of all records follow each other."""
    rows = np.concatenate([r.reshape(len(r), -1) for _, r in sorted(result.records.items())], axis=1)
    return dict(Counter("".join(map(str, row)) for row in rows))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "midway", "shots"), [(n, n % 4 == 0, 400 if n % 4 == 0 else 4000) for n in range(16)])
def test_random_circuits_have_the_distribution_of_cirqs_simulator(sampler, seed, midway, shots):
    circuit = random_circuit(random.Random(seed), midway)  # Cirq takes milliseconds a shot for what is midway
    theirs = as_counts(cirq.Simulator(seed=seed).run(circuit, AT, repetitions=shots))
    ours = as_counts(sampler.run(circuit, AT, repetitions=10 * shots))
    expected = {key: times / (10 * shots) for key, times in ours.items()}
    assert distance(theirs, expected) < 1.5 * bound({*theirs, *expected}, shots)


@pytest.fixture(scope="module")
def sampler():
    with QPUThreadPool([QPU("sv0", "statevector", 6), QPU("sv1", "statevector", 6)]) as pool:
        yield ConqureSampler(pool=pool, seed=5)


def test_records_have_the_shape_that_cirq_gives_them(sampler):
    circuit = cirq.Circuit(
        cirq.X(Q[0]),
        cirq.measure(Q[1], Q[0], key="m", invert_mask=(True,)),
        cirq.X(Q[1]),
        cirq.measure(Q[1], Q[0], key="m"),
        cirq.measure(Q[3], key="alone"),
    )
    ours, theirs = (s.run(circuit, repetitions=7) for s in (sampler, cirq.Simulator()))
    assert ours == theirs
    assert ours.records["m"].shape == (7, 2, 2)
    assert ours.records["m"].dtype == theirs.records["m"].dtype
    assert cirq.read_json(json_text=cirq.to_json(ours)) == ours


def test_a_sweep_is_one_task_where_angles_are_affine():
    with QPUThreadPool([QPU("f", "fake", 3)]) as pool:
        sent = []
        sampler = ConqureSampler(pool=pool)
        submit = sampler.door.submit
        sampler.door.submit = lambda task: sent.append(task) or submit(task)
        affine = cirq.Circuit(cirq.rx(2 * T + S)(Q[0]), cirq.measure(Q[0]))
        assert len(sampler.run_sweep(affine, [{"s": 1, "t": n} for n in range(5)], repetitions=3)) == 5
        assert [task.parameter_values for task in sent] == [tuple((1.0, float(n)) for n in range(5))]
        curved = cirq.Circuit(cirq.rx(T**2)(Q[0]), cirq.measure(Q[0]))
        assert len(sampler.run_sweep(curved, cirq.Linspace("t", 0, 1, 4), repetitions=3)) == 4
        assert [task.n_rows for task in sent[1:]] == [1] * 4
        assert len({task.program for task in sent[2:]}) == 1  # the angles are lifted


def test_points_of_a_sweep_keep_their_order_and_names(sampler):
    circuit = cirq.Circuit(cirq.X(Q[0]) ** S, cirq.X(Q[1]) ** T, cirq.measure(Q[0], Q[1], key="m"))
    sweep = cirq.Product(cirq.Points("t", [0, 1]), cirq.Points("s", [0, 1]))
    results = sampler.run_sweep(circuit, sweep, repetitions=2)
    seen = [(r.params["s"], r.params["t"], *map(int, r.measurements["m"][0])) for r in results]
    assert seen == [(s, t, s, t) for t in (0, 1) for s in (0, 1)]
    frame = sampler.sample(circuit, repetitions=2, params=sweep)
    assert list(frame["m"]) == [2 * s + t for t in (0, 1) for s in (0, 1) for _ in range(2)]


def test_a_batch_is_submitted_before_anything_is_waited_for():
    with QPUThreadPool([QPU("f", "fake", 3)]) as pool:
        sampler = ConqureSampler(pool=pool)
        circuits = [cirq.Circuit(cirq.X(Q[0]) ** n, cirq.measure(Q[0], key="m")) for n in (0, 1, 0)]
        events, all_sent = [], threading.Event()
        pool.submit(all_sent.wait, 10)  # until then the QPU runs nothing else
        submit = sampler.door.submit

        def watched(task):
            events.append("sent")
            future = submit(task)
            if events.count("sent") == len(circuits):
                all_sent.set()
            wait = future.result
            future.result = lambda timeout=None: events.append("read") or wait(timeout)
            return future

        sampler.door.submit = watched
        results = sampler.run_batch(circuits, repetitions=[1, 2, 3])
    assert events[:3] == ["sent"] * 3
    assert [r[0].repetitions for r in results] == [1, 2, 3]


def test_what_cirq_makes_of_a_sampler_works(sampler):
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.CNOT(Q[0], Q[1]))
    [[zz, z]] = sampler.sample_expectation_values(
        circuit, [cirq.Z(Q[0]) * cirq.Z(Q[1]), 1.0 * cirq.Z(Q[0])], num_samples=2000
    )
    assert zz == 1
    assert abs(z) < 6 / np.sqrt(2000)


def test_the_same_seed_gives_the_same_samples_in_an_order_that_says_nothing(sampler):
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.measure(Q[0], key="m"))
    first, again = (sampler.run(circuit, repetitions=200) for _ in range(2))
    assert first == again
    bits = first.measurements["m"][:, 0]
    assert np.count_nonzero(np.diff(bits.astype(int))) > 20  # sorted, there would be one change


def test_circuit_operations_are_opened(sampler):
    inner = cirq.FrozenCircuit(cirq.X(Q[0]), cirq.measure(Q[0], key="m"))
    circuit = cirq.Circuit(cirq.CircuitOperation(inner, repetitions=3, use_repetition_ids=False))
    assert sampler.run(circuit, repetitions=2) == cirq.Simulator().run(circuit, repetitions=2)
    named = cirq.Circuit(cirq.CircuitOperation(inner, repetitions=2, use_repetition_ids=True))
    assert sampler.run(named, repetitions=2) == cirq.Simulator().run(named, repetitions=2)


def test_a_task_carries_inverted_bits_itself():
    circuit = cirq.Circuit(cirq.measure(Q[0], Q[1], key="m", invert_mask=(False, True)), cirq.measure(Q[1], key="n"))
    task = as_task(circuit, shots=10)
    assert probabilities(task.program, task.parameter_values[0]) == {"0 10": 1.0}
    assert as_task(cirq.Circuit(cirq.rx(T)(Q[0]), cirq.measure(Q[0])), parameter_values={"t": [1, 2]}).n_rows == 2


def test_what_the_bits_are_is_told_with_a_translation():
    circuit = cirq.Circuit(cirq.measure(Q[0], Q[1], key="m", invert_mask=(False, True)))
    _, [measured] = read(circuit)
    assert measured == ("m", (False, True))


@pytest.mark.parametrize(
    ("circuit", "said"),
    [
        (cirq.Circuit(cirq.X(Q[0])), "measures nothing"),
        (cirq.Circuit(cirq.depolarize(0.1)(Q[0]), cirq.measure(Q[0])), "depolarize"),
        (cirq.Circuit(cirq.measure(Q[0], key="m"), cirq.X(Q[1]).with_classical_controls("m")), "depends on a meas"),
        (cirq.Circuit(cirq.measure(cirq.LineQid(0, 3), key="m")), "3 levels"),
        (cirq.Circuit(cirq.measure(Q[0], key="m", confusion_map={(0,): np.eye(2)})), "confusion_map"),
        (cirq.Circuit(cirq.measure(Q[0], key="m"), cirq.measure(*Q[:2], key="m")), "different numbers of qubits"),
        (cirq.Circuit(cirq.rx(T)(Q[0]), cirq.measure(Q[0])), "'t' has no real value"),
        (cirq.Circuit(cirq.rx(T**2)(Q[0]), cirq.measure(Q[0])), "'t' has no real value"),
    ],
)
def test_what_cannot_be_carried_is_named(sampler, circuit, said):
    with pytest.raises(InvalidTask, match=said):
        sampler.run(circuit)


def test_an_unknown_device_is_refused_at_once():
    with pytest.raises(UnknownDevice, match="ion7"):
        ConqureSampler("laptop", device="ion7")


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path):
    assert "(20, 1)" in run_page("cirq", tmp_path)
