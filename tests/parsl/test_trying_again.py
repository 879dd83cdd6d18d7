"""What is computed once and what is tried again: memoisation, checkpoints and retries of quantum apps."""

from pathlib import Path
from typing import Any

import pytest
from parsl.dataflow.memoization import BasicMemoizer, id_for_memo
from qiskit import QuantumCircuit

from conqure_parsl import quantum_app, retry_transient
from conqure_parsl.memo import teach_memoizer
from qpu_executors import QPU, DeviceLost, InvalidTask, QuantumTask, as_task, run
from qpu_executors.testing import BELL, ROTATION

from .conftest import loaded


def run_memoised(folder: Path) -> list[tuple[Any, ...]]:
    """One program with a checkpoint; the tasks' ids tell which circuits were really run."""

    @quantum_app(cache=True, device="sv0", shots=20)
    def memoised(angles: Any) -> QuantumTask:
        return as_task(ROTATION, parameter_values=angles)

    with loaded(qpu_mode="threads", run_dir=str(folder), memoizer=BasicMemoizer(checkpoint_mode="task_exit")):
        import numpy as np

        angles = np.array([[0.3]])
        ids = []
        for options in ({}, {}, {"shots": 21}, {"seed": 1}, {"device": "any"}, {"priority": "HIGH"}):
            ids.append(memoised(angles, **options).result().task_id)
        ids.append(memoised(np.array([[0.4]])).result().task_id)
        return ids


def test_memoisation_knows_arguments_device_shots_and_seed_but_not_the_priority(tmp_path: Path) -> None:
    first, again, other_shots, other_seed, other_device, other_priority, other_angles = run_memoised(tmp_path)
    assert first == again == other_priority
    assert len({first, other_shots, other_seed, other_device, other_angles}) == 5


def test_a_checkpoint_is_used_by_the_next_program(tmp_path: Path) -> None:
    assert run_memoised(tmp_path) == run_memoised(tmp_path)


def test_a_passing_fault_is_tried_again_and_a_bad_task_is_not() -> None:
    flaky = QPU("flaky", "fake", 5, options={"failures": 2})

    @quantum_app
    def bell() -> str:
        return BELL

    with loaded((flaky,), qpu_mode="threads", retries=2):
        assert bell().result().metadata["call"] == 3
        counter = quantum_app(lambda: "no program")()
        with pytest.raises(InvalidTask):
            counter.result()
        assert counter.task_record["try_id"] == 0


def test_only_what_may_pass_is_tried_again() -> None:
    assert retry_transient(DeviceLost("gone"), {}) == 1
    assert retry_transient(InvalidTask("bad"), {}) == retry_transient(ValueError(), {}) == float("inf")


def test_two_tasks_that_compute_the_same_are_the_same_for_memoisation() -> None:
    one, two = QuantumTask(BELL, shots=5, seed=1), QuantumTask(BELL, shots=5, seed=1, priority="HIGH")  # type: ignore[arg-type]
    more = QuantumTask(BELL, shots=6)
    assert id_for_memo(one) == id_for_memo(two) != id_for_memo(more)
    with loaded((QPU("sv0", "statevector", 5),), qpu_mode="threads") as dfk:  # and so are their results
        results = [
            dfk.submit(run, [task], ["qpu"], cache=False, ignore_for_cache=None, app_kwargs={})
            for task in (one, two, more)
        ]
        assert len({id_for_memo(result.result()) for result in results}) == 2


def test_qiskit_circuits_are_arguments_of_memoised_apps() -> None:
    teach_memoizer()
    circuits = []
    for angle in (0.1, 0.1, 0.2):
        circuit = QuantumCircuit(1)
        circuit.ry(angle, 0)
        circuit.measure_all()
        circuits.append(id_for_memo(circuit))
    assert circuits[0] == circuits[1] != circuits[2]
