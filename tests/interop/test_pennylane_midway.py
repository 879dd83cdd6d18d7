"""Measurements in the middle of a circuit: as written where a QPU can, else at the end."""

from typing import Any

import numpy as np
import pennylane as qml
import pytest

from conqure import Site
from qpu_executors import QPU

SITE = Site("lab", (QPU("sv0", "statevector", 6),))


def run(circuit: Any, *, wires: int = 2, shots: Any = 10_000, **options: Any) -> Any:
    device = qml.device("conqure.qpu", wires=wires, site=SITE, seed=5)
    return qml.set_shots(qml.qnode(device, **options)(circuit), shots)()


def measured_twice() -> Any:
    qml.RX(0.9, 0)
    first = qml.measure(0, reset=True)
    qml.Hadamard(0)
    second = qml.measure(0)
    return (
        qml.expval(first),
        qml.var(second),
        qml.counts([first, second]),
        qml.probs(op=[second, first]),
        qml.sample(2 * first + second),
        qml.expval(qml.Z(1)),
    )


@pytest.mark.parametrize("method", [None, "device", "deferred"])
def test_outcomes_in_the_middle_are_measured_as_any_value(method: str | None) -> None:
    one = np.sin(0.45) ** 2
    mean, variance, counts, probabilities, sample, after = run(measured_twice, mcm_method=method)
    assert mean == pytest.approx(one, abs=0.03)
    assert variance == pytest.approx(0.25, abs=0.01)
    assert set(counts) == {"00", "01", "10", "11"}
    assert (counts["10"] + counts["11"]) / 10_000 == pytest.approx(one, abs=0.03)
    assert np.allclose(probabilities, np.kron([0.5, 0.5], [1 - one, one]), atol=0.03)
    assert sample.mean() == pytest.approx(2 * one + 0.5, abs=0.06)
    assert after == 1


def test_measured_as_written_they_take_no_further_qubit() -> None:
    device = qml.device("conqure.qpu", wires=1, site=Site("lab", (QPU("one", "statevector", 1),)), seed=1)

    @qml.qnode(device)
    def circuit() -> Any:
        outcomes = []
        for _ in range(5):
            qml.X(0)
            outcomes.append(qml.measure(0))
        return qml.counts(outcomes)

    assert circuit() == {"10101": 1024}
    with pytest.raises(qml.exceptions.DeviceError, match=r"conqure.qpu.*one-shot.*deferred"):
        qml.qnode(device, mcm_method="one-shot")(circuit.func)()


def test_what_depends_on_an_outcome_is_deferred() -> None:
    def circuit() -> Any:
        qml.RX(0.9, 0)
        outcome = qml.measure(0)
        qml.cond(outcome, qml.X)(1)
        return qml.expval(qml.Z(1)), qml.expval(outcome), qml.counts(outcome, all_outcomes=True)

    after, mean, counts = run(circuit)
    assert after == pytest.approx(np.cos(0.9), abs=0.04)
    assert mean == counts[1] / 10_000 == (1 - after) / 2
    with pytest.raises(qml.exceptions.DeviceError, match="qml.cond.*deferred"):
        run(circuit, mcm_method="device")


def test_postselection_drops_shots() -> None:
    def circuit(value: int) -> Any:
        qml.RX(0.9, 0)
        qml.measure(0, postselect=value)
        qml.CNOT([0, 1])
        return qml.sample(), qml.expval(qml.Z(1)), qml.probs(wires=1)

    sample, mean, probabilities = run(lambda: circuit(1))
    assert len(sample) == pytest.approx(10_000 * np.sin(0.45) ** 2, abs=300)
    assert (sample == 1).all()
    assert mean == -1
    assert probabilities.tolist() == [0, 1]
    with pytest.raises(qml.exceptions.DeviceError, match="hw-like"):
        run(lambda: circuit(1), postselect_mode="fill-shots")


def test_where_no_shot_is_left_the_means_are_unknown() -> None:
    def circuit() -> Any:
        qml.measure(0, postselect=1)
        return qml.expval(qml.Z(1)), qml.probs(wires=1), qml.counts(), qml.var(qml.Z(1))

    mean, probabilities, counts, variance = run(circuit)
    assert np.isnan([mean, *probabilities, variance]).all()
    assert counts == {}
