"""`SamplerV2` over the pool: as Qiskit's own samplers, in few tasks."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from qiskit import QuantumCircuit
from qiskit.primitives import StatevectorSampler
from qiskit.providers import JobStatus
from qiskit.quantum_info import Statevector

from conqure import InvalidTask, QPUThreadPool, Site
from conqure.interop.qiskit import QPUBackend, SamplerV2, provider
from qpu_executors import QPU

from .qiskit_programs import (
    QPUS,
    CountingPool,
    allowed_distance,
    angles,
    ansatz,
    bell,
    circuits,
    distance,
    registers,
)

SHOTS = 4000


def measured(n_qubits: int = 3) -> QuantumCircuit:
    circuit = ansatz(n_qubits)
    circuit.measure_all()
    return circuit


def frequencies(bits: Any, place: Any = None) -> dict[str, float]:
    counts = bits.get_counts(place)
    shots = sum(counts.values())
    return {key: number / shots for key, number in counts.items()}


@pytest.mark.slow
@settings(max_examples=30)
@given(circuit=circuits())
def test_it_samples_what_the_state_vector_says(module_pool: CountingPool, circuit: QuantumCircuit) -> None:
    exact = Statevector(circuit).probabilities_dict()
    circuit.measure_all()
    sampler = SamplerV2("sv0", pool=module_pool, seed=1)
    counts = sampler.run([circuit], shots=SHOTS).result()[0].data.meas.get_counts()
    assert sum(counts.values()) == SHOTS
    assert distance(counts, exact) < allowed_distance(2**circuit.num_qubits, SHOTS)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2)])
def test_bindings_of_any_shape_give_bits_of_that_shape(backend: QPUBackend, pool: CountingPool, shape: Any) -> None:
    values = angles(*shape, 6)
    ours = SamplerV2(backend, seed=1).run([(measured(), values)], shots=SHOTS).result()[0]
    theirs = StatevectorSampler(seed=1).run([(measured(), values)], shots=SHOTS).result()[0]
    assert ours.data.shape == ours.data.meas.shape == theirs.data.meas.shape == shape
    assert (ours.data.meas.num_shots, ours.data.meas.num_bits) == (SHOTS, 3)
    assert ours.metadata == theirs.metadata
    assert len(pool.tasks) == 1
    for place in np.ndindex(shape):
        left, right = (frequencies(result.data.meas, place) for result in (ours, theirs))
        assert distance(ours.data.meas.get_counts(place), right) < 2 * allowed_distance(8, SHOTS), (left, right)


def test_bindings_by_name_in_several_arrays_are_broadcast_as_qiskit_does(backend: QPUBackend) -> None:
    circuit = measured(2)
    parameters = list(circuit.parameters)
    values = {tuple(parameters[2:]): angles(3, 2), tuple(parameters[:2]): angles(3, 2, seed=2)}
    ours = SamplerV2(backend).run([(circuit, values)], shots=SHOTS).result()[0].data.meas
    theirs = StatevectorSampler().run([(circuit, values)], shots=SHOTS).result()[0].data.meas
    for row in range(3):
        assert distance(ours.get_counts(row), frequencies(theirs, row)) < 2 * allowed_distance(4, SHOTS)


def test_many_pubs_are_few_tasks(backend: QPUBackend, pool: CountingPool) -> None:
    circuit = measured()
    pubs = [(circuit, angles(4, 6)), (bell(),), (circuit.copy(), angles(6)), (circuit, angles(2, 6), 50), bell()]
    result = SamplerV2(backend, default_shots=20).run(pubs).result()
    assert sorted((task.shots, task.n_rows) for task in pool.tasks) == [(20, 2), (20, 5), (50, 2)]
    assert [pub.data.shape for pub in result] == [(4,), (), (), (2,), ()]
    assert [pub.metadata["shots"] for pub in result] == [20, 20, 20, 50, 20]
    assert result.metadata == {"version": 2}


def test_a_loop_sends_the_same_program_with_other_rows(backend: QPUBackend, pool: CountingPool) -> None:
    circuit, sampler = measured(), SamplerV2(backend)
    for row in angles(5, 6):
        sampler.run([(circuit.copy(), row)]).result()
        sampler.run([circuit.assign_parameters(row)]).result()
    assert len({task.program for task in pool.tasks}) == 2


def test_each_register_has_its_own_bits(backend: QPUBackend) -> None:
    ours = SamplerV2(backend).run([registers()], shots=30).result()[0].data
    theirs = StatevectorSampler().run([registers()], shots=30).result()[0].data
    assert list(ours) == list(theirs) == ["a", "empty", "b"]
    for name in ours:
        assert ours[name].num_bits == theirs[name].num_bits
        assert np.array_equal(ours[name].array, theirs[name].array)
    assert ours.b.get_counts() == {"100000000": 30}


def test_registers_are_correlated_shot_by_shot(backend: QPUBackend) -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    from qiskit import ClassicalRegister

    two = QuantumCircuit(circuit.qubits, ClassicalRegister(1, "left"), ClassicalRegister(1, "right"))
    two.compose(circuit.remove_final_measurements(inplace=False), inplace=True)
    two.measure([0, 1], [0, 1])
    data = SamplerV2(backend).run([two], shots=1000).result()[0].data
    assert np.array_equal(data.left.array, data.right.array)
    assert 350 < data.left.get_counts()["1"] < 650
    assert 400 < np.count_nonzero(np.diff(data.left.array[:, 0].astype(int))) < 600  # the order is a random one


def test_measurements_in_the_middle_of_a_circuit_count(backend: QPUBackend) -> None:
    circuit = QuantumCircuit(1, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 1)
    assert set(SamplerV2(backend).run([circuit]).result()[0].data.c.get_counts()) == {"01", "10"}


def test_a_seed_gives_the_same_bits_in_the_same_order(backend: QPUBackend) -> None:
    def bits(seed: int | None) -> Any:
        data = SamplerV2(backend, seed=seed).run([(measured(), angles(3, 6)), bell()], shots=100).result()
        return np.concatenate([data[0].data.meas.array.ravel(), data[1].data.meas.array.ravel()])

    assert np.array_equal(bits(7), bits(7))
    assert not np.array_equal(bits(7), bits(8))
    assert not np.array_equal(bits(None), bits(None))


def test_a_circuit_without_registers_is_warned_about(backend: QPUBackend) -> None:
    with pytest.warns(UserWarning, match="0-th pub's circuit has no output classical registers"):
        result = SamplerV2(backend).run([QuantumCircuit(1)]).result()
    assert len(result[0].data) == 0


def test_no_pubs_give_no_results(backend: QPUBackend) -> None:
    job = SamplerV2(backend).run([])
    assert len(job.result()) == 0
    assert job.done()


def test_what_is_no_pub_is_refused_as_qiskit_refuses_it(backend: QPUBackend) -> None:
    with pytest.raises(ValueError, match="number of parameters"):
        SamplerV2(backend).run([measured()])
    with pytest.raises(ValueError, match="shots must be positive"):
        SamplerV2(backend).run([bell()], shots=0)
    with pytest.raises(InvalidTask, match="9 qubits, backend 'sv0' has 8"):
        SamplerV2(backend).run([(measured(9), angles(18))])
    with pytest.raises(TypeError, match="StatevectorSampler"):
        SamplerV2(StatevectorSampler())  # type: ignore[arg-type]


def test_a_job_that_waits_can_be_cancelled() -> None:
    with QPUThreadPool([QPU("sv0", "statevector", 4)]) as pool:
        held, go = threading.Event(), threading.Event()
        blocking = pool.submit(lambda: (held.set(), go.wait(60)))
        assert held.wait(60)
        try:
            job = SamplerV2("sv0", pool=pool).run([bell()])
            assert (job.status(), job.running(), job.in_final_state()) == (JobStatus.QUEUED, False, False)
            assert job.cancel()
            assert job.cancelled()
            assert job.in_final_state()
        finally:
            go.set()
        blocking.result()


def test_a_name_and_a_site_are_enough() -> None:
    sampler = SamplerV2("tag:fast", site=Site("small", QPUS[:1]), engine="threads")
    assert set(sampler.run([bell()]).result()[0].data.meas.get_counts()) == {"00", "11"}
    provider(Site("small", QPUS[:1]), engine="threads").close()
