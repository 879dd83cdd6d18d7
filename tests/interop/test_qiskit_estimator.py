"""`EstimatorV2` over the pool: as Qiskit's own estimators, in few tasks, with honest errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.primitives import BackendEstimatorV2, StatevectorEstimator
from qiskit.quantum_info import SparseObservable, SparsePauliOp, Statevector

from conqure import Site
from conqure.interop.qiskit import EstimatorV2, QPUBackend, provider

from .qiskit_programs import QPUS, CountingPool, angles, ansatz, circuits

HAMILTONIAN = SparsePauliOp.from_list(
    [("III", -1.5), ("ZZI", 0.5), ("IZZ", -0.7), ("XXI", 0.3), ("IYY", 0.25), ("ZIZ", 0.1), ("XIX", 0.9)]
)


@settings(max_examples=30)
@given(circuit=circuits(), data=st.data())
def test_it_estimates_what_the_state_vector_says(
    module_pool: CountingPool, circuit: QuantumCircuit, data: st.DataObject
) -> None:
    words = st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    numbers = st.sampled_from([-2.0, -0.5, 0.25, 1.0])
    drawn = data.draw(st.dictionaries(words, numbers, min_size=1, max_size=6))  # no term twice: sums could vanish
    terms = list(drawn.items())
    observable = SparsePauliOp.from_list(terms).simplify()
    exact = float(np.real(Statevector(circuit).expectation_value(observable)))
    found = EstimatorV2("sv0", pool=module_pool, seed=2).run([(circuit, observable)], precision=0.02).result()[0]
    assert abs(found.data.evs - exact) < 6 * found.data.stds + 6 * 0.02**2 * sum(abs(x) for _, x in terms) + 1e-9


@pytest.mark.parametrize(
    ("observables", "values"),
    [
        ("ZZI", (6,)),
        (["ZZI", "XXI"], (6,)),
        ("ZZI", (3, 6)),
        (["ZZI", "IXX", "YIY"], (3, 6)),
        ([["ZZI"], ["IXX"]], (3, 6)),
        ([["ZZI"], ["IXX"]], (4, 1, 3, 6)),
        ([HAMILTONIAN, {"XYZ": 2.0, "III": 1.0}], (2, 6)),
    ],
)
def test_observables_and_bindings_are_broadcast_as_qiskit_does(
    backend: QPUBackend, observables: Any, values: tuple[int, ...]
) -> None:
    pub = (ansatz(), observables, angles(*values))
    ours = EstimatorV2(backend, seed=1).run([pub], precision=0.02).result()[0]
    exact = StatevectorEstimator().run([pub]).result()[0]
    theirs = BackendEstimatorV2(backend=backend).run([pub], precision=0.02).result()[0]
    assert ours.data.evs.shape == ours.data.stds.shape == exact.data.evs.shape == theirs.data.evs.shape
    assert np.all(np.abs(ours.data.evs - exact.data.evs) < 6 * ours.data.stds + 0.02)
    assert ours.metadata == theirs.metadata
    assert np.all(ours.data.stds <= theirs.data.stds + 0.02)


def test_standard_errors_are_those_of_repeated_estimates(backend: QPUBackend) -> None:
    pub = (ansatz(), HAMILTONIAN, np.tile(angles(6), (300, 1)))
    data = EstimatorV2(backend, seed=5).run([pub], precision=0.1).result()[0].data
    assert np.std(data.evs) == pytest.approx(np.mean(data.stds), rel=0.2)  # 300 samples: 4 % are expected
    bound = BackendEstimatorV2(backend=backend).run([(pub[0], pub[1], pub[2][0])], precision=0.1).result()[0].data
    assert np.mean(data.stds) < bound.stds


def test_commuting_terms_are_measured_together_and_pubs_share_tasks(backend: QPUBackend, pool: CountingPool) -> None:
    circuit = ansatz()
    pubs = [(circuit, HAMILTONIAN, angles(4, 6)), (circuit, ["ZZI", "IZZ", "ZIZ"], angles(6))]
    EstimatorV2(backend).run(pubs, precision=0.1).result()
    assert sorted(task.n_rows for task in pool.tasks) == [4, 4, 5]
    assert {task.shots for task in pool.tasks} == {100}
    pool.tasks.clear()
    EstimatorV2(backend, abelian_grouping=False).run(pubs[:1], precision=0.1).result()
    assert len(pool.tasks) == 6


def test_precision_decides_about_shots(backend: QPUBackend, pool: CountingPool) -> None:
    circuit = ansatz(1)
    pubs = [(circuit, "Z", angles(2), 0.3), (circuit, "Z", angles(2))]
    result = EstimatorV2(backend, default_precision=0.1).run(pubs).result()
    assert [pub.metadata["shots"] for pub in result] == [12, 100]
    assert [pub.metadata["target_precision"] for pub in result] == [0.3, 0.1]
    result = EstimatorV2(backend).run(pubs, precision=0.05).result()
    assert [pub.metadata["shots"] for pub in result] == [12, 400]
    with pytest.raises(ValueError, match=r"1-th pub has precision 0"):
        EstimatorV2(backend).run([pubs[0], pubs[1]], precision=0)


def test_what_acts_on_nothing_is_exact_and_needs_no_qpu(backend: QPUBackend, pool: CountingPool) -> None:
    data = EstimatorV2(backend).run([(ansatz(1), {"I": 2.5}, angles(3, 2))]).result()[0].data
    assert np.array_equal(data.evs, [2.5] * 3)
    assert not data.stds.any()
    assert not pool.tasks


def test_projectors_are_measured_as_they_are(backend: QPUBackend, pool: CountingPool) -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(1.0, 2)
    observable = SparseObservable.from_list([("0ZZ", 1.0), ("I11", 2.0), ("+++", 1.0), ("rII", 0.5), ("-II", 0.25)])
    state, pauli = Statevector(circuit), SparsePauliOp.from_sparse_observable(observable)
    found = EstimatorV2(backend, seed=3).run([(circuit, observable)], precision=0.01).result()[0].data
    assert found.evs == pytest.approx(np.real(state.expectation_value(pauli)), abs=6 * float(found.stds))
    assert len(pool.tasks) == 3


def test_a_circuit_that_measures_itself_keeps_its_registers(backend: QPUBackend) -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.cx(0, 1)
    data = EstimatorV2(backend).run([(circuit, ["ZZ", "XX", "IZ"])], precision=0.03).result()[0].data
    assert data.evs[0] == 1
    assert np.all(np.abs(data.evs[1:]) < 0.2)


def test_a_transpiled_circuit_takes_observables_with_its_layout(pool: CountingPool) -> None:
    backend = provider(Site("lab", QPUS), pool=pool).get_backend("sv0")
    circuit, values = ansatz(), angles(6)
    line = transpile(
        circuit, basis_gates=["rz", "sx", "x", "cx"], coupling_map=[[4, 2], [2, 0], [0, 5]], initial_layout=[4, 0, 5]
    )
    moved = HAMILTONIAN.apply_layout(line.layout)
    found = EstimatorV2(backend, seed=1).run([(line, moved, values)], precision=0.01).result()[0].data
    exact = StatevectorEstimator().run([(circuit, HAMILTONIAN, values)]).result()[0].data.evs
    assert found.evs == pytest.approx(exact, abs=6 * float(found.stds))


def test_a_seed_gives_the_same_values(backend: QPUBackend) -> None:
    def values(seed: int) -> Any:
        return EstimatorV2(backend, seed=seed).run([(ansatz(), HAMILTONIAN, angles(2, 6))]).result()[0].data.evs

    assert np.array_equal(values(1), values(1))
    assert not np.array_equal(values(1), values(2))


def test_a_loop_translates_its_circuit_once_for_each_basis(backend: QPUBackend, pool: CountingPool) -> None:
    circuit, estimator = ansatz(), EstimatorV2(backend)
    for row in angles(5, 6):
        estimator.run([(circuit.copy(), HAMILTONIAN, row)], precision=0.2).result()
    assert len(pool.tasks) == 15
    assert len({task.program for task in pool.tasks}) == 3
