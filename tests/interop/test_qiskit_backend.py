"""`QPUBackend`: Qiskit's backend contract over a pool."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, transpile
from qiskit.circuit import Clbit, Parameter, QuantumRegister
from qiskit.primitives import BackendSamplerV2
from qiskit.providers import BackendV2, JobError, JobStatus

from conqure import DeviceFault, InvalidTask, QPUThreadPool, Site, UnknownDevice, UnknownWork
from conqure.interop.qiskit import QPUProvider, SamplerV2, provider
from conqure.interop.qiskit.circuits import ready
from conqure.interop.qiskit.targets import target_of
from qpu_executors import QPU

from .qiskit_programs import QPUS, CountingPool, angles, ansatz, bell, counting_pool, registers

LAGOS = [[0, 1], [1, 2], [1, 3], [3, 5], [4, 5], [5, 6]]
FAKE = QPU(
    "fake0",
    "qiskit",
    7,
    options={
        "backend": "qiskit.providers.fake_provider:GenericBackendV2",
        "arguments": {"num_qubits": 7, "coupling_map": LAGOS, "seed": 1},
    },
)


@pytest.fixture
def pool() -> Iterator[CountingPool]:
    with counting_pool() as pool:
        yield pool


@pytest.fixture
def here(pool: CountingPool) -> QPUProvider:
    return provider(Site("lab", QPUS), pool=pool)


def test_a_provider_lists_a_backend_for_each_qpu(here: QPUProvider) -> None:
    def names(**wanted: object) -> list[str]:
        return [backend.name for backend in here.backends(**wanted)]  # type: ignore[arg-type]

    assert names() == ["sv0", "sv1", "aer0"]
    assert names(min_num_qubits=9) == ["sv1", "aer0"]
    assert names(tag="fast") == names(name="tag:fast") == ["sv0"]
    assert names(driver="aer", num_qubits=9) == ["aer0"]
    assert names(filters=lambda backend: backend.num_qubits == 10) == ["sv1"]
    with pytest.raises(UnknownDevice, match="'ion7' on site 'lab'.*'sv0'"):
        here.get_backend("ion7")


def test_a_backend_over_a_selector_sends_a_circuit_where_it_fits(here: QPUProvider) -> None:
    backend = here.get_backend("any")
    assert isinstance(backend, BackendV2)
    assert (backend.num_qubits, backend.max_circuits) == (10, None)
    wide = QuantumCircuit(10, 1)
    wide.x(9)
    wide.measure(9, 0)
    result = backend.run(wide, shots=5).result()
    assert result.get_counts() == {"1": 5}
    assert result.to_dict()["tasks"][0]["device_id"] == "sv1"


def test_a_simulator_offers_every_gate_between_any_qubits(here: QPUProvider) -> None:
    backend = here.get_backend("sv0")
    assert backend.coupling_map is None
    circuit = transpile(registers(), backend)
    assert circuit.count_ops()["measure"] == 3
    assert {"cx", "rzz", "measure", "reset", "delay"} <= set(backend.operation_names)
    assert "if_else" not in backend.operation_names
    assert "if_else" in here.get_backend("aer0").operation_names


def test_a_qpu_that_names_a_fake_backend_has_its_couplings_and_gates() -> None:
    with QPUThreadPool([FAKE]) as pool:
        backend = provider(Site("lab", (FAKE,)), pool=pool).get_backend("fake0")
        assert sorted(map(list, backend.coupling_map)) == LAGOS
        far = QuantumCircuit(7, 2)
        far.x(0)
        far.cx(0, 6)
        far.measure([0, 6], [0, 1])
        native = transpile(far, backend, seed_transpiler=1)
        assert set(native.count_ops()) <= set(backend.operation_names)
        counts = backend.run(native, shots=400, seed_simulator=1).result().get_counts()
        assert counts.get("11", 0) > 300  # the fake one has noise


def test_a_qpu_that_a_job_holds_is_not_opened_to_ask_for_its_couplings() -> None:
    held = QPU("ion0", "qiskit", 5, reach="gres", group="ions", options={"backend": "no_such_package:Machine"})
    with QPUThreadPool([QPUS[0]]) as pool:
        backend = provider(Site("lab", (held,)), pool=pool)
        assert backend.get_backend("sv0").coupling_map is None
    assert target_of([held]).build_coupling_map() is None


def test_circuits_of_one_structure_become_rows_of_one_task(here: QPUProvider, pool: CountingPool) -> None:
    family = ansatz()
    family.measure_all()
    bound = [family.assign_parameters(row) for row in angles(5, 6)]
    result = here.get_backend("sv0").run([bound[0], bell(), *bound[1:]], shots=2000, seed_simulator=3).result()
    assert sorted(task.n_rows for task in pool.tasks) == [1, 5]
    alone = [here.get_backend("sv0").run(circuit, shots=2000, seed_simulator=5).result() for circuit in bound]
    for number, one in zip([0, 2, 3, 4, 5], alone, strict=True):
        together, separate = result.get_counts(number), one.get_counts()
        assert sum(abs(together.get(key, 0) - separate.get(key, 0)) for key in {*together, *separate}) < 700
    assert set(result.get_counts(1)) == {"00", "11"}


def test_many_rows_are_shared_by_the_qpus_of_a_selector(here: QPUProvider, pool: CountingPool) -> None:
    family = ansatz()
    family.measure_all()
    bound = [family.assign_parameters(row) for row in angles(64, 6)]
    result = here.get_backend("any").run(bound, shots=10).result()
    assert [task.n_rows for task in pool.tasks] == [22, 22, 20]
    assert len(result.results) == 64


def test_a_result_tells_about_its_circuits(here: QPUProvider) -> None:
    circuit = registers()
    circuit.metadata = {"who": "ada"}
    job = here.get_backend("sv0").run([circuit, bell("b")], shots=7)
    result = job.result()
    assert (result.backend_name, result.job_id, result.success) == ("sv0", job.job_id(), True)
    assert result.get_counts(0) == {"100000000 10": 7}
    assert result.data(0)["counts"] == {"0x402": 7}
    first, second = (experiment.header for experiment in result.results)
    assert first["creg_sizes"] == [["a", 2], ["b", 9]]
    assert (first["memory_slots"], first["n_qubits"], first["metadata"]) == (11, 3, {"who": "ada"})
    assert second["name"] == "b"
    assert sum(result.get_counts("b").values()) == 7


def test_memory_has_every_shot_in_a_random_order(here: QPUProvider) -> None:
    backend = here.get_backend("sv0")
    result = backend.run(bell(), shots=1000, memory=True, seed_simulator=4).result()
    memory = result.get_memory()
    assert {key: memory.count(key) for key in set(memory)} == result.get_counts()
    assert 400 < sum(one != other for one, other in itertools.pairwise(memory)) < 600
    assert backend.run(bell(), shots=1000, memory=True, seed_simulator=4).result().get_memory() == memory
    assert "memory" not in backend.run(bell()).result().data(0)


def test_bits_in_no_register_and_registers_that_share_bits_are_kept_apart(here: QPUProvider) -> None:
    bits = [Clbit() for _ in range(3)]
    low, ends = ClassicalRegister(name="low", bits=bits[:2]), ClassicalRegister(name="ends", bits=[bits[0], bits[2]])
    shared = QuantumCircuit(QuantumRegister(3), bits)
    shared.add_register(low)
    shared.add_register(ends)
    shared.x(2)
    shared.measure(range(3), range(3))
    backend = here.get_backend("sv0")
    assert backend.run(shared, shots=9).result().get_counts() == {"100": 9}
    data = BackendSamplerV2(backend=backend).run([shared], shots=9).result()[0].data
    assert data.low.get_counts() == {"00": 9}
    data = SamplerV2(backend).run([shared], shots=9).result()[0].data
    assert (data.low.get_counts(), data.ends.get_counts()) == ({"00": 9}, {"10": 9})


def test_what_measures_nothing_needs_no_qpu(here: QPUProvider, pool: CountingPool) -> None:
    result = here.get_backend("sv0").run([QuantumCircuit(1, 2), QuantumCircuit(1)], shots=3, memory=True).result()
    assert result.get_counts(0) == {"00": 3}
    assert result.data(1) == {}
    assert not pool.tasks


def test_a_delay_is_left_out_where_time_means_nothing_and_kept_where_it_may(
    here: QPUProvider, pool: CountingPool
) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(100, 0, unit="ns")
    circuit.measure(0, 0)
    for name, language in (("sv0", "gates"), ("aer0", "qpy")):
        assert here.get_backend(name).run(circuit, shots=4).result().get_counts() == {"1": 4}
        assert pool.tasks[-1].language == language


def test_branches_run_on_a_qpu_that_can_branch(here: QPUProvider) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert set(here.get_backend("aer0").run(circuit).result().get_counts()) == {"00", "11"}
    job = here.get_backend("sv0").run(circuit)
    with pytest.raises(InvalidTask, match="'sv0' does not read 'qpy'"):
        job.result()
    assert job.status() is JobStatus.ERROR


def test_a_circuit_that_was_changed_is_translated_again(here: QPUProvider) -> None:
    backend = here.get_backend("sv0")
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    assert backend.run(circuit, shots=2).result().get_counts() == {"1": 2}
    circuit.data[0] = circuit.data[0].replace(operation=transpile(QuantumCircuit(1)).to_gate())
    assert backend.run(circuit, shots=2).result().get_counts() == {"0": 2}


def test_a_translation_is_kept_for_a_circuit_and_its_copies() -> None:
    family, fixed = ansatz(), bell()
    family.measure_all()
    assert ready(family) is ready(family) is ready(family.copy())
    assert ready(fixed) is ready(fixed)
    known = ready(family)
    family.z(0)
    assert ready(family) is not known
    other = ansatz()  # the same, with parameters of its own
    other.measure_all()
    assert ready(other).program == known.program


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda backend: backend.run([]), "no circuit"),
        (lambda backend: backend.run(["h q"]), "not str"),
        (lambda backend: backend.run(bell(), shot=5), "no option 'shot'.*shots, memory, seed_simulator, priority"),
        (lambda backend: backend.run(bell(), shots=0), "shots must be from 1"),
        (lambda backend: backend.run(_free()), "parameters without values: theta"),
        (lambda backend: backend.run(_wide()), "9 qubits, backend 'sv0' has 8"),
    ],
)
def test_what_cannot_run_is_refused_at_once(here: QPUProvider, run: object, says: str) -> None:
    with pytest.raises(InvalidTask, match=says):
        run(here.get_backend("sv0"))  # type: ignore[operator]


def _free() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.rx(Parameter("theta"), 0)
    circuit.measure(0, 0)
    return circuit


def _wide() -> QuantumCircuit:
    circuit = QuantumCircuit(9, 1)
    circuit.measure(8, 0)
    return circuit


def test_options_of_a_backend_hold_for_its_runs(here: QPUProvider, pool: CountingPool) -> None:
    backend = here.get_backend("sv0")
    backend.set_options(shots=12, priority="HIGH")
    assert sum(backend.run(bell()).result().get_counts().values()) == 12
    assert pool.tasks[-1].priority == "HIGH"
    assert sum(backend.run(bell(), shots=3).result().get_counts().values()) == 3


def test_a_job_waits_runs_and_ends_and_what_waits_can_be_cancelled() -> None:
    with QPUThreadPool([QPUS[0]]) as pool:
        backend = provider(Site("lab", QPUS[:1]), pool=pool).get_backend("sv0")
        held, go = threading.Event(), threading.Event()
        blocking = pool.submit(lambda: (held.set(), go.wait(60)))
        assert held.wait(60)
        try:
            first, second = backend.run(bell(), shots=3), backend.run(bell(), shots=4)
            assert first.status() is JobStatus.QUEUED
            assert not first.in_final_state()
            with pytest.raises(TimeoutError):
                first.result(timeout=0.01)
            assert second.cancel()
        finally:
            go.set()
        blocking.result()
        assert sum(first.result().get_counts().values()) == 3
        assert (first.status(), second.status()) == (JobStatus.DONE, JobStatus.CANCELLED)
        assert not first.cancel()
        with pytest.raises(JobError, match="was cancelled"):
            second.result()


def test_cancelling_a_job_of_several_circuits_cancels_all_that_wait() -> None:
    with QPUThreadPool([QPUS[0]]) as own:
        pool = CountingPool(own)
        backend = provider(Site("lab", QPUS[:1]), pool=pool).get_backend("sv0")
        held, go = threading.Event(), threading.Event()
        own.submit(lambda: (held.set(), go.wait(60)))
        assert held.wait(60)
        try:
            assert backend.run([bell(), _flipped()], shots=3).cancel()
        finally:
            go.set()
        assert [future.cancelled() for future in pool.futures] == [True, True]


def _flipped() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def test_a_job_says_why_its_device_failed() -> None:
    broken = QPU("broken0", "fake", 3, options={"failures": 1})
    with QPUThreadPool([broken]) as pool:
        backend = provider(Site("lab", (broken,)), pool=pool).get_backend("broken0")
        job = backend.run(bell())
        with pytest.raises(DeviceFault, match="failed, as it was told to"):
            job.result()
        assert job.status() is JobStatus.ERROR
        assert backend.run(bell(), shots=8).result().success


def test_a_job_in_a_pool_is_found_again_while_its_program_holds_it(here: QPUProvider) -> None:
    job = here.get_backend("sv0").run(bell())
    assert here.job(job.job_id()) is job
    with pytest.raises(UnknownWork, match="no job 'nothing'.*UserClient"):
        here.job("nothing")


def test_many_threads_run_circuits_on_one_backend(here: QPUProvider) -> None:
    backend = here.get_backend("any")
    found: list[dict[str, int]] = []

    def loop() -> None:
        for _ in range(10):
            found.append(backend.run(bell(), shots=50).result().get_counts())

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(sum(counts.values()) == 50 for counts in found)
    assert np.all([set(counts) <= {"00", "11"} for counts in found])
