"""PennyLane's door: QNodes on the QPUs of a site, what they return, and how their tapes become tasks."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from pennylane.tape import QuantumScript

from conqure import InvalidTask, QPUThreadPool, QuantumResult, QuantumTask, Site, UnknownDevice
from conqure.interop.pennylane import ConqureDevice
from qpu_executors import QPU

from ..conftest import REPOSITORY

QPUS = tuple(QPU(f"sv{number}", "statevector", 8) for number in range(3))
SITE = Site("lab", (*QPUS, QPU("small", "statevector", 2, tags=("small",))))


class Listening:
    """A pool that notes the tasks on their way to a real one."""

    def __init__(self, pool: QPUThreadPool) -> None:
        self.qpus, self._pool = pool.qpus, pool
        self.tasks: list[QuantumTask] = []

    def submit(self, function: Callable[..., Any], task: QuantumTask) -> Future[QuantumResult]:
        self.tasks.append(task)
        return self._pool.submit(function, task)


@pytest.fixture
def pool() -> Iterator[Listening]:
    with QPUThreadPool(QPUS) as pool:
        yield Listening(pool)


def device(wires: Any = 3, **fields: Any) -> Any:
    return qml.device("conqure.qpu", wires=wires, **{"site": SITE, "seed": 1, **fields})


def ansatz(x: Any, y: Any) -> None:
    qml.RX(x, 0)
    qml.RY(y, 1)
    qml.CNOT([0, 1])
    qml.CRZ(x * y, [1, 2])


def test_pennylane_finds_the_device_by_its_name() -> None:
    found = device(shots=100)
    assert isinstance(found, ConqureDevice)
    assert (found.name, list(found.wires), found.shots.total_shots) == ("conqure.qpu", [0, 1, 2], 100)


def test_a_qnode_without_shots_takes_1024() -> None:
    for circuit in (qml.qnode(device())(qml.counts), qml.set_shots(qml.qnode(device())(qml.counts), None)):
        assert circuit() == {"000": 1024}


def test_a_qpu_is_chosen_by_selector_and_size(pool: Listening) -> None:
    qml.qnode(device(2, pool=pool, device="sv1"))(qml.counts)()
    assert pool.tasks[-1].device_id == "sv1,qubits>=2"
    with pytest.raises(UnknownDevice, match=r"qubits>=3.*small"):
        qml.qnode(device(3, device="tag:small"))(qml.counts)()
    with pytest.raises(UnknownDevice, match="ion7"):
        device(device="ion7")


def test_tapes_that_differ_in_angles_alone_are_rows_of_as_many_tasks_as_there_are_qpus(pool: Listening) -> None:
    tapes = [QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))], shots=4000) for x in (0, 0.3, np.pi / 2, 1, 2, 3)]
    found = qml.execute(tapes, device(1, pool=pool), diff_method=None)
    assert np.allclose(found, np.cos([0, 0.3, np.pi / 2, 1, 2, 3]), atol=0.06)
    assert [task.n_rows for task in pool.tasks] == [2, 2, 2]
    assert len({task.program for task in pool.tasks}) == 1


def test_the_program_of_a_structure_stays_the_same_over_a_loop(pool: Listening) -> None:
    circuit = qml.qnode(device(3, pool=pool))(lambda x: (ansatz(x, 2 * x), qml.expval(qml.X(1)))[1])
    for x in (0.0, 0.1, np.pi):
        circuit(x)
    assert len({task.program for task in pool.tasks}) == 1


def test_tapes_of_other_structures_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=60)  # broken, and so an error, unless two tasks are under way at once

    class Meeting(Listening):
        def submit(self, function: Callable[..., Any], task: QuantumTask) -> Future[QuantumResult]:
            def meet_and_run() -> QuantumResult:
                meeting.wait()
                return self._pool.submit(function, task).result()

            future: Future[QuantumResult] = Future()
            threading.Thread(target=lambda: future.set_result(meet_and_run())).start()
            return future

    tapes = [QuantumScript([gate], [qml.probs(wires=0)]) for gate in (qml.X(0), qml.Z(0))]
    with QPUThreadPool(QPUS) as pool:
        flipped, same = qml.execute(tapes, device(1, pool=Meeting(pool)), diff_method=None)
    assert (flipped.tolist(), same.tolist()) == ([0, 1], [1, 0])


def test_a_gradient_is_one_batch(pool: Listening) -> None:
    here = device(3, pool=pool)

    @qml.set_shots(20_000)
    @qml.qnode(here, diff_method="parameter-shift")
    def circuit(x: Any, y: Any) -> Any:
        ansatz(x, y)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    x, y = qml.numpy.array(0.4, requires_grad=True), qml.numpy.array(0.7, requires_grad=False)
    exact = qml.grad(qml.qnode(qml.device("default.qubit"))(circuit.func))(x, y)
    with qml.Tracker(here) as tracker:
        found = qml.grad(circuit)(x, y)
    assert abs(found - exact) < 0.03
    assert tracker.totals["batches"] == 2  # the value and its shifts
    assert sum(task.n_rows for task in pool.tasks) == tracker.totals["executions"]


def test_best_and_unknown_ways_to_differentiate() -> None:
    assert qml.workflow.get_best_diff_method(qml.qnode(device())(qml.counts))() == "parameter-shift"
    with pytest.raises(qml.exceptions.QuantumFunctionError, match="backprop"):
        qml.qnode(device(), diff_method="backprop")(lambda: qml.expval(qml.Z(0)))()


def test_coefficients_of_a_hamiltonian_are_differentiated() -> None:
    @qml.set_shots(20_000)
    @qml.qnode(device(2))
    def circuit(coefficients: Any) -> Any:
        qml.RX(0.6, 0)
        return qml.expval(qml.Hamiltonian(coefficients, [qml.Z(0), qml.X(1) @ qml.Z(0)]))

    found = qml.jacobian(circuit)(qml.numpy.array([0.3, 0.5], requires_grad=True))
    assert np.allclose(found, [np.cos(0.6), 0], atol=0.03)


def test_the_same_seed_gives_the_same_results() -> None:
    def results(seed: int | None) -> list[Any]:
        circuit = qml.qnode(device(seed=seed))(lambda x: (ansatz(x, x), qml.sample())[1])
        return [circuit(x).tolist() for x in (0.5, 0.9)]

    assert results(7) == results(7) != results(8)
    assert results(None) != results(None)


def test_a_broadcast_gives_one_result_for_each_value(pool: Listening) -> None:
    circuit = qml.qnode(device(2, pool=pool))(lambda x: (qml.RY(x, 0), qml.expval(qml.Z(0)), qml.probs())[1:])
    values, probabilities = circuit(np.array([0.0, np.pi]))
    assert values.tolist() == [1, -1]
    assert probabilities.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert sum(task.n_rows for task in pool.tasks) == 2


def test_an_error_of_one_tape_names_the_operation() -> None:
    class Foreign(qml.operation.Operation):  # type: ignore[misc]
        num_wires = 1

    with pytest.raises(qml.exceptions.DeviceError, match=r"Foreign.*conqure.qpu"):
        qml.qnode(device())(lambda: (Foreign(0), qml.counts())[1])()
    with pytest.raises(InvalidTask, match="RX.*nan"):
        qml.qnode(device())(lambda: (qml.RX(np.nan, 0), qml.counts())[1])()


def test_what_no_shots_can_show_is_refused() -> None:
    with pytest.raises(qml.exceptions.DeviceError, match="state.*not accepted"):
        qml.qnode(device())(qml.state)()
    with pytest.raises(qml.wires.WireError, match="conqure.qpu.*7"):
        qml.qnode(device())(lambda: qml.counts(wires=7))()
    with pytest.raises(qml.exceptions.DeviceError, match="no device option 'max_workers'"):
        device().preprocess(qml.devices.ExecutionConfig(device_options={"max_workers": 2}))


@pytest.mark.slow
def test_the_program_of_the_page_runs(run_python: Callable[..., str]) -> None:
    page = (REPOSITORY / "docs/interop/pennylane.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    printed = run_python(f"import warnings; warnings.simplefilter('error')\n{program}\nprint(circuit(0.0)[1])")
    assert "1024" in printed


@pytest.mark.slow
def test_a_gradient_runs_on_workers(run_python: Callable[..., str]) -> None:
    program = """
import pennylane as qml
if __name__ == "__main__":
    device = qml.device("conqure.qpu", wires=2, site="laptop", device="tag:fast", engine="parsl", seed=1)
    circuit = qml.qnode(device)(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1])
    print(float(qml.grad(qml.set_shots(circuit, 20_000))(qml.numpy.array(0.5))))
"""
    assert float(run_python(program, timeout=110)) == pytest.approx(-np.sin(0.5), abs=0.03)
