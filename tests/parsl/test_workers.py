"""What tasks find on a worker, and what travels there and back. One Parsl for all tests of this module."""

import time
from collections.abc import Callable
from typing import Any

import parsl
import pytest
from parsl.dataflow.dflow import DataFlowKernel

from conqure_parsl import pool, quantum_app, session
from qpu_executors import InvalidTask, MissingPackage, NotOnQPU, QuantumTask, run
from qpu_executors.testing import BELL, a_thousand


@quantum_app
def bell() -> str:
    return BELL


@quantum_app
def pid(qpu: Any) -> int:
    import os

    return os.getpid()


@parsl.python_app
def anywhere() -> int:
    import os

    return os.getpid()


@pytest.mark.slow
def test_a_device_stays_open_from_task_to_task(workers: DataFlowKernel) -> None:
    calls = [bell(device="ion0", shots=1).result().metadata["call"] for _ in range(3)]
    assert calls == [calls[0], calls[0] + 1, calls[0] + 2]


@pytest.mark.slow
def test_a_held_session_keeps_others_off_its_qpu(workers: DataFlowKernel) -> None:
    with session("ion1", hold=True) as mine:
        own = bell(shots=1)
        # Not in the session: said by a specification of its own.
        other = bell(device="ion1", parsl_resource_specification={"session": "other", "device_id": "ion1"}, shots=1)
        assert own.result().device_id == mine.qpu.device_id == "ion1"
        time.sleep(0.2)
        assert not other.done()
    assert other.result().device_id == "ion1"


def test_a_classical_app_is_refused_with_a_hint(workers: DataFlowKernel) -> None:
    with pytest.raises(NotOnQPU, match=r"executors=\['cpu'\]"):
        anywhere().result()


@pytest.mark.slow
def test_a_classical_app_that_names_a_qpu_runs_there(workers: DataFlowKernel) -> None:
    assert anywhere(parsl_resource_specification={"device_id": "sv0"}).result() == pid(device="sv0").result()


def test_values_large_and_strange_travel_there_and_back(workers: DataFlowKernel) -> None:
    class Local:
        """Defined inside a function: only dill can send it."""

        def __init__(self, number: int) -> None:
            self.number = number

    @quantum_app(device="sv0")
    def echo(x: Any, qpu: Any) -> Any:
        return x

    large = b"x" * (20 * 2**20)
    assert echo(large).result() == large
    assert echo(Local(3)).result().number == 3
    square: Callable[[int], int] = echo(lambda n: n * n).result()
    assert square(5) == 25


def test_a_result_that_cannot_travel_is_an_error_and_the_worker_goes_on(workers: DataFlowKernel) -> None:
    @quantum_app(device="sv0")
    def lock(qpu: Any) -> Any:
        return (n for n in [1])

    with pytest.raises(TypeError, match="pickle 'generator'"):
        lock().result()
    assert bell(device="sv0").result()


def test_an_error_that_cannot_travel_is_told_in_words(workers: DataFlowKernel) -> None:
    @quantum_app(device="sv0")
    def fails(qpu: Any) -> None:
        raise ValueError("very bad", (n for n in [1]))

    with pytest.raises(Exception, match="very bad"):
        fails().result()


def test_the_pool_takes_functions_with_any_arguments(workers: DataFlowKernel) -> None:
    assert pool(workers).submit(a_thousand, x=2).result() == 1002
    assert pool(workers).submit(max, [3, 5]).result() == 5
    with pytest.raises(NotOnQPU, match="_parsl_internal"):
        pool(workers, executors=["_parsl_internal"])
    assert {qpu.device_id for qpu in pool(workers).qpus} == {"ion0", "ion1", "sv0"}


def test_errors_of_the_task_itself_come_back_as_they_are(workers: DataFlowKernel) -> None:
    with pytest.raises(InvalidTask, match="8 qubits"):
        pool(workers).submit(run, QuantumTask(BELL.replace('"qubits":2', '"qubits":8'), device_id="ion0")).result()
    assert issubclass(MissingPackage, ImportError)


@pytest.mark.slow
def test_circuits_of_qiskit_and_pennylane_are_read_on_the_worker(workers: DataFlowKernel) -> None:
    @quantum_app(device="sv0", shots=50)
    def qiskit_pair() -> Any:
        from qiskit import QuantumCircuit

        circuit = QuantumCircuit(2)
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure_all()
        return circuit

    @quantum_app(device="sv0", shots=50)
    def pennylane_pair() -> Any:
        import pennylane as qml

        return qml.tape.QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1])], [qml.counts(wires=[0, 1])])

    @quantum_app(device="sv0", shots=50)
    def openqasm_pair() -> str:
        return 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q->c;'

    for future in [qiskit_pair(), pennylane_pair(), openqasm_pair()]:
        assert set(future.result().counts[0]) <= {"00", "11"}


@pytest.mark.slow
def test_a_function_of_the_script_that_lacks_its_names_says_why(run_python: Callable[..., str]) -> None:
    program = """
import parsl
from conqure_parsl import parsl_config, quantum_app
from qpu_executors import QPU, Site
from qpu_executors.testing import BELL

@quantum_app
def bell():
    return BELL

with parsl.load(parsl_config(Site("test", (QPU("sv0", "statevector", 5),)), qpu_mode="workers", cpu_workers=0)):
    error = bell().exception()
    print(error, error.__notes__)
"""
    assert "Import what it needs inside the function" in run_python(program)
