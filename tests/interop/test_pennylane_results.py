"""Every measurement of PennyLane, of every kind of observable, beside PennyLane's exact simulator."""

from typing import Any

import numpy as np
import pennylane as qml
import pytest

from conqure import Site
from qpu_executors import QPU

SITE = Site("lab", (QPU("sv0", "statevector", 10), QPU("sv1", "statevector", 10)))
SHOTS = 20_000
MATRIX = np.array([[1, 0.5 - 0.2j, 0, 0.1], [0.5 + 0.2j, -1, 0.3, 0], [0, 0.3, 0.5, 1j], [0.1, 0, -1j, 2]])

OBSERVABLES = {
    "Pauli": qml.Y(1),
    "product": qml.X(0) @ qml.Y(2),
    "product on one wire": qml.Y(0) @ qml.Y(0) @ qml.X(1),
    "Hadamard": qml.Hadamard(0) @ qml.Z(1),
    "Hermitian": qml.Hermitian(MATRIX, [2, 0]),
    "Hermitian in a product": qml.Hermitian(MATRIX[:2, :2], 1) @ qml.X(0),
    "projector": qml.Projector([1, 0], [2, 0]),
    "projector on a state": qml.Projector(np.array([1, 1j]) / np.sqrt(2), 0),
    "projector in a product": qml.Projector([0], 0) @ qml.X(1),
    "scaled": 0.5 * qml.X(1),
    "sum of one basis": qml.X(0) + 0.5 * qml.X(0) @ qml.Y(1),
    "sum of several": qml.Hamiltonian([0.3, -1.2, 0.7], [qml.X(0), qml.Z(0) @ qml.Z(1), qml.Y(2)]),
    "sum of sums": (qml.X(0) + qml.Z(1)) @ qml.Y(2),
    "sum of other things": qml.Hermitian(MATRIX[:2, :2], 1) + 0.3 * qml.X(0),
    "identity": qml.Identity(1),
}


def prepare() -> None:
    for wire, angle in enumerate((0.4, 1.1, -0.8)):
        qml.Rot(angle, 2 * angle, 0.3, wires=wire)
    qml.CNOT([0, 1])
    qml.CNOT([1, 2])
    qml.RY(0.3, 1)


def on(name: str, measure: Any, *, shots: Any = SHOTS, wires: Any = 3, **options: Any) -> Any:
    """What a measurement of the prepared state gives on a device."""

    def circuit() -> Any:
        prepare()
        return measure()

    device = qml.device(name, wires=wires, **options)
    return qml.set_shots(qml.qnode(device)(circuit), shots)()


def ours(measure: Any, **options: Any) -> Any:
    return on("conqure.qpu", measure, **{"site": SITE, "seed": 3, **options})


def exactly(measure: Any, **options: Any) -> Any:
    return on("default.qubit", measure, shots=None, **options)


def moments(observable: Any) -> tuple[float, float]:
    """Mean and variance, from the state and the observable's matrix."""
    state, matrix = exactly(qml.state), qml.matrix(observable, wire_order=[0, 1, 2])
    mean = (state.conj() @ matrix @ state).real
    return mean, (state.conj() @ matrix @ matrix @ state).real - mean**2


@pytest.mark.parametrize("observable", OBSERVABLES.values(), ids=OBSERVABLES)
def test_means_and_variances_are_those_of_the_observable(observable: Any) -> None:
    mean, variance = moments(observable)
    assert ours(lambda: qml.expval(observable)) == pytest.approx(mean, abs=5 * np.sqrt(variance / SHOTS) + 0.03)
    assert ours(lambda: qml.var(observable)) == pytest.approx(variance, abs=0.1)


@pytest.mark.parametrize("observable", OBSERVABLES.values(), ids=OBSERVABLES)
def test_samples_and_counts_are_of_its_eigenvalues(observable: Any) -> None:
    eigenvalues = np.unique(np.linalg.eigvalsh(qml.matrix(observable)).round(6))
    mean, _ = moments(observable)
    samples = ours(lambda: qml.sample(observable))
    assert samples.shape == (SHOTS,)
    assert set(samples.round(6)) <= set(eigenvalues)
    assert samples.mean() == pytest.approx(mean, abs=0.06)
    counts = ours(lambda: qml.counts(observable))
    assert sum(counts.values()) == SHOTS
    assert sum(value * times for value, times in counts.items()) / SHOTS == pytest.approx(mean, abs=0.06)


def test_eigenvalues_of_a_large_sum_of_several_bases_are_refused() -> None:
    observable = qml.sum(*(qml.X(wire) for wire in range(5)), *(qml.Z(wire) for wire in range(5)))
    with pytest.raises(qml.exceptions.DeviceError, match=r"variance of a sum of 5 wires.*qml.expval"):
        ours(lambda: qml.var(observable), wires=5)
    assert ours(lambda: qml.expval(observable), wires=5) == pytest.approx(
        exactly(lambda: qml.expval(observable), wires=5), abs=0.1
    )


def test_probabilities_of_wires_and_of_an_observables_basis() -> None:
    for measure in (qml.probs, lambda: qml.probs(wires=[2, 0]), lambda: qml.probs(op=qml.X(1) @ qml.Y(0))):
        assert np.allclose(ours(measure), exactly(measure), atol=0.02)


def test_counts_and_samples_have_the_first_wire_first() -> None:
    def circuit() -> Any:
        qml.X("b")
        return (
            qml.counts(),
            qml.sample(wires=["b", "a"]),
            qml.counts(all_outcomes=True, wires="b"),
            qml.counts(qml.Z("b")),
        )

    device = qml.device("conqure.qpu", wires=["a", "b"], shots=5, site=SITE)
    counts, sample, every, values = qml.qnode(device)(circuit)()
    assert counts == {"01": 5}
    assert sample.tolist() == [[1, 0]] * 5
    assert every == {"0": 0, "1": 5}
    assert values == {-1.0: 5}


def test_several_measurements_of_one_shot_belong_together() -> None:
    first, second = ours(lambda: (qml.sample(wires=0), qml.sample(wires=[1, 0])), shots=200)
    assert (first[:, 0] == second[:, 1]).all()


def test_measurements_of_different_bases_are_told_apart() -> None:
    def measure() -> Any:
        return qml.expval(qml.X(0)), qml.expval(qml.Z(0)), qml.var(qml.Y(1)), qml.probs(wires=[0])

    for found, exact in zip(ours(measure), exactly(measure), strict=True):
        assert np.allclose(found, exact, atol=0.04)


def test_a_shot_vector_deals_out_the_shots() -> None:
    parts = ours(lambda: (qml.counts(wires=0), qml.expval(qml.Z(1))), shots=[10, 10, 3000])
    assert [sum(counts.values()) for counts, _ in parts] == [10, 10, 3000]
    assert parts[2][1] == pytest.approx(exactly(lambda: qml.expval(qml.Z(1))), abs=0.08)


def test_a_word_of_many_paulis_needs_no_table_of_its_eigenvalues() -> None:
    wires = range(60)
    device = qml.device("conqure.qpu", wires=wires, site=Site("lab", (QPU("big", "aer", 60, options=STABILIZER),)))

    @qml.qnode(device)
    def circuit() -> Any:
        for wire in wires:
            qml.X(wire)
        return qml.expval(qml.prod(*(qml.Z(wire) for wire in wires))), qml.expval(qml.Z(0))

    assert [float(value) for value in circuit()] == [1, -1]


STABILIZER = {"method": "stabilizer"}


def test_a_measurement_of_ones_own_sees_the_shots() -> None:
    class Ones(qml.measurements.SampleMeasurement):  # type: ignore[misc]
        def process_samples(self, samples: Any, wire_order: Any, shot_range: Any = None, bin_size: Any = None) -> Any:
            return samples.sum()

        def process_counts(self, counts: Any, wire_order: Any) -> Any:
            raise NotImplementedError

    device = qml.device("conqure.qpu", wires=2, shots=7, site=SITE)
    assert qml.qnode(device)(lambda: (qml.X(0), Ones(wires=[0, 1]))[1])() == 7
