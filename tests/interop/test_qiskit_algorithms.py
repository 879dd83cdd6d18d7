"""qiskit-algorithms runs unchanged on our primitives, and on Qiskit's with our backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_algorithms import QAOA, VQE, NumPyMinimumEigensolver, SamplingVQE
from qiskit_algorithms.optimizers import COBYLA, SPSA
from qiskit_algorithms.utils import algorithm_globals

from conqure.interop.qiskit import EstimatorV2, QPUBackend, SamplerV2, provider

from .qiskit_programs import CountingPool, counting_pool

H2 = SparsePauliOp.from_list(
    [("II", -1.052373), ("IZ", 0.397937), ("ZI", -0.397937), ("ZZ", -0.011280), ("XX", 0.180931)]
)
EDGES = [(0, 1), (1, 2), (2, 3), (3, 0)]
MAX_CUT = SparsePauliOp.from_sparse_list([("ZZ", edge, 0.5) for edge in EDGES], 4)


@pytest.fixture(scope="module")
def pool() -> Iterator[CountingPool]:
    with counting_pool() as pool:
        yield pool


@pytest.fixture(autouse=True)
def _seeded() -> None:
    algorithm_globals.random_seed = 7


ESTIMATORS: dict[str, Callable[[QPUBackend], Any]] = {
    "ours": lambda backend: EstimatorV2(backend, default_precision=0.01, seed=1),
    "qiskit": lambda backend: BackendEstimatorV2(
        backend=backend, options={"default_precision": 0.01, "seed_simulator": 1}
    ),
}
SAMPLERS: dict[str, Callable[[QPUBackend], Any]] = {
    "ours": lambda backend: SamplerV2(backend, default_shots=2000, seed=1),
    "qiskit": lambda backend: BackendSamplerV2(backend=backend, options={"default_shots": 2000, "seed_simulator": 1}),
}


@pytest.mark.parametrize("whose", ESTIMATORS)
def test_vqe_finds_the_ground_state_of_hydrogen(pool: CountingPool, whose: str) -> None:
    backend = provider(pool=pool).get_backend("sv0")
    ansatz = real_amplitudes(2, reps=1)
    vqe = VQE(ESTIMATORS[whose](backend), ansatz, COBYLA(maxiter=60), initial_point=np.zeros(ansatz.num_parameters))
    found = vqe.compute_minimum_eigenvalue(H2)
    exact = NumPyMinimumEigensolver().compute_minimum_eigenvalue(H2).eigenvalue
    assert found.eigenvalue == pytest.approx(exact, abs=0.05)


def test_spsa_hands_in_the_points_of_a_step_together(pool: CountingPool) -> None:
    pool.tasks.clear()
    ansatz = real_amplitudes(2, reps=1)
    optimizer = SPSA(maxiter=5, learning_rate=0.1, perturbation=0.1)
    vqe = VQE(EstimatorV2("sv0", pool=pool), ansatz, optimizer, initial_point=np.zeros(ansatz.num_parameters))
    vqe.compute_minimum_eigenvalue(H2)
    assert len({task.program for task in pool.tasks}) == 2  # one for each basis


@pytest.mark.filterwarnings("ignore:The class ``qiskit.circuit.library:DeprecationWarning")  # qiskit-algorithms' own
@pytest.mark.parametrize("whose", SAMPLERS)
def test_qaoa_cuts_a_square(pool: CountingPool, whose: str) -> None:
    backend = provider(pool=pool).get_backend("sv0")
    qaoa = QAOA(SAMPLERS[whose](backend), COBYLA(maxiter=40), reps=1, initial_point=[0.5, 0.5])
    best = qaoa.compute_minimum_eigenvalue(MAX_CUT).best_measurement
    assert best["bitstring"] in ("0101", "1010")
    assert best["value"] == pytest.approx(-2)


@pytest.mark.slow
@pytest.mark.parametrize("whose", SAMPLERS)
def test_sampling_vqe_finds_the_lowest_state_of_a_diagonal(pool: CountingPool, whose: str) -> None:
    backend = provider(pool=pool).get_backend("any")
    vqe = SamplingVQE(SAMPLERS[whose](backend), real_amplitudes(4, reps=1), COBYLA(maxiter=60))
    found = vqe.compute_minimum_eigenvalue(MAX_CUT)
    assert found.best_measurement["bitstring"] in ("0101", "1010")
