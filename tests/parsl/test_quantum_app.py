"""``@quantum_app`` on running Parsl: both styles, and Parsl's own conventions."""

import inspect
from typing import Any

import parsl
import pytest
from parsl.dataflow.dflow import DataFlowKernel

from conqure_parsl import quantum_app, session
from qpu_executors import InvalidTask, QPUHandle, QuantumResult, QuantumTask, UnknownDevice, as_task
from qpu_executors.testing import BELL, ROTATION, vqe_program


@quantum_app(shots=100)
def bell() -> str:
    """A Bell pair."""
    return BELL


@quantum_app
def rotation() -> str:
    return ROTATION


@quantum_app(device="sv0", seed=3)
def several(n: int) -> list[str]:
    return [vqe_program(2)] * n


@quantum_app
def task_of_its_own(shots: int) -> QuantumTask:
    return QuantumTask(BELL, shots=shots, device_id="sv0")


@quantum_app(device="sv0")
def until_two_zeros(start: int, qpu: QPUHandle) -> tuple[str, int, int]:
    """Adaptive: more shots until 00 was seen at least twice."""
    shots = start
    while qpu.run(BELL, shots=shots).counts[0].get("00", 0) < 2:
        shots *= 2
    return qpu.device_id, qpu.n_qubits, shots


@parsl.python_app(executors=["_parsl_internal"])
def number_of_zeros(result: QuantumResult) -> int:
    return result.counts[0].get("00", 0)


@quantum_app
def bell_with_shots_of(inputs: list[int]) -> QuantumTask:
    return as_task(BELL, shots=sum(inputs))


@parsl.python_app(executors=["_parsl_internal"])
def value(x: Any) -> Any:
    return x


@parsl.join_app
def two_bells() -> list[Any]:
    return [bell(shots=5), bell(shots=6)]


# What is returned


@pytest.mark.slow
def test_a_returned_circuit_becomes_its_result(dfk: DataFlowKernel) -> None:
    result = bell().result()
    assert isinstance(result, QuantumResult)
    assert result.shots == sum(result.counts[0].values()) == 100
    assert 0 <= result.queue_s < 60


@pytest.mark.slow
def test_a_list_of_circuits_becomes_a_list_of_separate_samples(dfk: DataFlowKernel) -> None:
    results = several(3, parameter_values=[0.3, 0.4, 0.5, 0.6]).result()
    assert [result.device_id for result in results] == ["sv0"] * 3
    assert results[0].counts != results[1].counts


def test_a_returned_task_keeps_its_own_shots_unless_the_call_says_otherwise(dfk: DataFlowKernel) -> None:
    assert task_of_its_own(7, device="sv0").result().shots == 7


def test_a_returned_task_for_another_device_says_where_the_device_belongs(dfk: DataFlowKernel) -> None:
    with pytest.raises(UnknownDevice, match=r"@quantum_app\(device='sv0'\)"):
        task_of_its_own(7, device="ion0").result()


def test_a_function_with_a_qpu_argument_runs_circuits_itself(dfk: DataFlowKernel) -> None:
    device_id, n_qubits, shots = until_two_zeros(4).result()
    assert (device_id, n_qubits) == ("sv0", 10)
    assert shots >= 4


def test_the_qpu_may_be_the_first_parameter(dfk: DataFlowKernel) -> None:
    def shots_of(qpu: QPUHandle, shots: int) -> int:
        return qpu.run(BELL, shots=shots).shots

    app = quantum_app(device="sv0")(shots_of)
    assert app(3).result() == 3


def test_what_is_no_circuit_is_an_invalid_task(dfk: DataFlowKernel) -> None:
    with pytest.raises(InvalidTask, match="complex is no circuit"):
        quantum_app(lambda: 3j)().result()


# Options


def test_a_call_overrides_what_the_decorator_says(dfk: DataFlowKernel) -> None:
    result = bell(device="ion1", shots=3).result()
    assert (result.device_id, result.shots) == ("ion1", 3)
    one, two = (rotation(device="sv0", seed=9, parameter_values=[[0.2], [0.4]]).result().counts for _ in range(2))
    assert one == two
    assert len(one) == 2


def test_an_option_that_the_function_has_as_a_parameter_is_the_functions(dfk: DataFlowKernel) -> None:
    assert task_of_its_own(shots=9, device="sv0").result().shots == 9


def test_the_resource_specification_may_name_the_device_and_goes_first(dfk: DataFlowKernel) -> None:
    assert bell(device="ion0", parsl_resource_specification={"device_id": "sv0"}).result().device_id == "sv0"
    assert bell(parsl_resource_specification={"device_id": "tag:ion", "cores": 1}).result().device_id in {
        "ion0",
        "ion1",
    }


def test_an_unknown_device_fails_at_once_and_lists_what_all_executors_have(dfk: DataFlowKernel) -> None:
    with pytest.raises(UnknownDevice, match="'ion0'"):
        bell(device="ion9")


def test_an_unknown_priority_names_the_choices(dfk: DataFlowKernel) -> None:
    with pytest.raises(InvalidTask, match="HIGH, MEDIUM, LOW"):
        bell(priority="URGENT")
    with pytest.raises(InvalidTask, match="HIGH, MEDIUM, LOW"):
        quantum_app(priority="URGENT")


def test_an_unknown_key_of_the_specification_is_named(dfk: DataFlowKernel) -> None:
    with pytest.raises(Exception, match="qubits"):
        bell(parsl_resource_specification={"qubits": 3}).result()


def test_a_device_must_be_known_when_the_app_is_called(dfk: DataFlowKernel) -> None:
    with pytest.raises(InvalidTask, match="future"):
        bell(device=value("ion0"))


def test_the_calls_of_a_session_stay_on_one_qpu_and_two_sessions_take_two(dfk: DataFlowKernel) -> None:
    with session("tag:ion") as one, session("tag:ion") as two:
        assert one.qpu != two.qpu
        inner = [bell(shots=2) for _ in range(3)]
        outer = [bell(shots=2, parsl_resource_specification=one.specification) for _ in range(3)]
        elsewhere = bell(shots=2, device="sv0")
    assert {future.result().device_id for future in inner} == {two.qpu.device_id}
    assert {future.result().device_id for future in outer} == {one.qpu.device_id}
    assert elsewhere.result().device_id == "sv0"


# Parsl's conventions


def test_futures_are_arguments_of_quantum_apps_and_results_are_arguments_of_others(dfk: DataFlowKernel) -> None:
    assert number_of_zeros(bell(device="sv0", shots=value(40))).result() > 0
    angles = value([[0.0]])
    assert rotation(device="sv0", parameter_values=angles).result().counts[0] == {"0": 1024}
    assert bell_with_shots_of(inputs=[value(3), 4], device="sv0").result().shots == 7


def test_join_apps_start_quantum_apps(dfk: DataFlowKernel) -> None:
    assert [result.shots for result in two_bells().result()] == [5, 6]


def test_a_result_can_be_taken_apart_before_it_is_there(dfk: DataFlowKernel) -> None:
    assert bell(shots=12).shots.result() == 12
    assert sum(bell(shots=12).counts[0].result().values()) == 12


def test_the_app_keeps_name_docstring_and_signature() -> None:
    assert (bell.__name__, bell.__doc__, bell.__module__) == ("bell", "A Bell pair.", __name__)
    assert list(inspect.signature(until_two_zeros).parameters) == ["start", "qpu"]


def test_an_error_in_the_function_keeps_its_type_and_traceback(dfk: DataFlowKernel) -> None:
    @quantum_app
    def breaks() -> None:
        raise KeyError("nothing here")

    with pytest.raises(KeyError, match="nothing here") as caught:
        breaks().result()
    assert any(entry.name == "breaks" for entry in caught.traceback)


def test_a_walltime_ends_a_call_that_takes_too_long(dfk: DataFlowKernel) -> None:
    @quantum_app(device="sv0")
    def endless(qpu: QPUHandle, walltime: float = 0.2) -> None:
        import time

        while True:
            time.sleep(0.01)

    with pytest.raises(parsl.app.errors.AppTimeout):
        endless().result()


def test_without_cache_every_call_is_a_new_sample(dfk: DataFlowKernel) -> None:
    assert bell(device="sv0").result().task_id != bell(device="sv0").result().task_id
