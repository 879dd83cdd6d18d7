"""``@quantum_app`` on Dask: calls, futures as arguments, and who runs where."""

import time
from typing import Any

import dask
import pytest
from distributed import Client, Event

from conqure_dask import quantum_app
from conqure_dask.calls import run_returned
from qpu_executors import InvalidTask, NotOnQPU, QuantumResult, QuantumTask, UnknownDevice, run
from qpu_executors.testing import BELL, ROTATION

from . import functions as f


def test_a_function_that_returns_a_circuit_gives_its_result(client: Client) -> None:
    result = quantum_app(f.bell)().result(timeout=30)
    assert isinstance(result, QuantumResult)
    assert f.shots_of(result) == 1024


def test_a_function_that_returns_circuits_gives_their_results_in_a_list(client: Client) -> None:
    results = quantum_app(device="sv0", shots=30, seed=1)(f.bells)(3).result(timeout=30)
    assert [f.shots_of(result) for result in results] == [30, 30, 30]
    assert len({str(result.counts) for result in results}) > 1, "equal circuits are separate samples, seed or not"


def test_a_function_that_takes_a_qpu_runs_next_to_it(client: Client) -> None:
    assert quantum_app(device="ion1", shots=7)(f.adaptive)(rounds=3).result(timeout=30) == ("ion1", 21)


def test_a_call_overrides_what_the_decorator_said(client: Client) -> None:
    app = quantum_app(device="ion0", shots=10)(f.bell)
    result = app(device="tag:fast", shots=20, priority="HIGH", seed=3).result(timeout=30)
    assert (result.device_id, f.shots_of(result)) == ("sv0", 20)
    assert result.counts == app(device="sv0", shots=20, seed=3).result(timeout=30).counts


def test_a_parameter_of_the_function_that_is_named_like_an_option_is_the_functions(client: Client) -> None:
    assert f.shots_of(quantum_app(f.own_shots)(shots=21).result(timeout=30)) == 42


def test_a_function_may_have_parameters_that_are_keywords_of_dask(client: Client) -> None:
    app = quantum_app(shots=1)(f.named_like_dasks_own)
    assert app(key=1, workers=2, resources=3, pure=4).result(timeout=30) == (1, 2, 3, 4)
    assert app.delayed(key=1, workers=2, resources=3, pure=4).compute() == (1, 2, 3, 4)


def test_the_qpu_may_be_the_first_parameter(client: Client) -> None:
    app = quantum_app(device="ion0", shots=2)(f.adaptive)
    assert app(3).result(timeout=30) == app(rounds=3).result(timeout=30) == ("ion0", 6)


def test_rows_of_parameter_values_may_be_given_with_the_call(client: Client) -> None:
    app = quantum_app(device="sv0", shots=10)(lambda: ROTATION)
    result = app(parameter_values=[[0.0], [3.141592653589793]]).result(timeout=30)
    assert result.counts == ({"0": 10}, {"1": 10})


@pytest.mark.parametrize(
    ("device", "expected"),
    [("ion1", {"ion1"}), ("tag:ion", {"ion0", "ion1"}), ("qubits>=6", {"sv0"}), ("sv0,tag:fast,qubits>=2", {"sv0"})],
)
def test_a_selector_decides_where_it_runs(client: Client, device: str, expected: set[str]) -> None:
    app = quantum_app(device=device)(f.adaptive)
    assert {future.result(timeout=30)[0] for future in [app(rounds=1) for _ in range(4)]} <= expected


def test_futures_are_arguments_also_in_lists_and_as_parameter_values(client: Client) -> None:
    first = quantum_app(device="ion0", shots=50)(f.bell)()
    angles = client.submit(f.angles_from, first)
    second = quantum_app(device="sv0")(f.rotation)(angles)
    assert client.submit(f.total_shots, [first, second], more=1).result(timeout=30) == 50 + 64 + 1
    row = client.submit(list, [[0.0]])
    assert quantum_app(device="sv0")(lambda: ROTATION)(parameter_values=row).result(timeout=30).counts == ({"0": 1024},)


def test_calls_with_equal_arguments_are_separate_samples(client: Client) -> None:
    app = quantum_app(device="sv0")(f.rotation)
    futures = [app([0.3] * 4) for _ in range(4)]
    assert len({future.key for future in futures}) == 4
    assert len({str(future.result(timeout=30).counts) for future in futures}) > 1


def test_an_unknown_device_fails_at_once_and_lists_those_that_exist(client: Client) -> None:
    with pytest.raises(UnknownDevice, match=r"'ion9'.*\n?.*'ion0' \(5 qubits, tag:ion\)"):
        quantum_app(f.bell)(device="ion9")
    with pytest.raises(UnknownDevice, match="qubits>=99"):
        quantum_app(device="qubits>=99")(f.bell)()


def test_a_wrong_option_is_refused_where_it_is_written(client: Client) -> None:
    with pytest.raises(InvalidTask, match="HIGH, MEDIUM, LOW"):
        quantum_app(priority="URGENT")(f.bell)
    with pytest.raises(InvalidTask, match="neither a name nor a selector"):
        quantum_app(f.bell)(device="ion 0")
    with pytest.raises(InvalidTask, match="when the app is called"):
        quantum_app(f.bell)(device=client.submit(str, "ion0"))


def test_a_mistake_in_the_circuit_comes_back_with_its_type(client: Client) -> None:
    with pytest.raises(InvalidTask, match="1 parameter"):
        quantum_app(lambda: ROTATION)().result(timeout=30)


def test_without_a_client_it_says_how_to_make_one() -> None:
    with pytest.raises(RuntimeError, match=r"cluster\(site\)"):
        quantum_app(f.bell)()


def test_high_priority_overtakes_what_waits(client: Client) -> None:
    blocker = quantum_app(device="ion0")(f.wait_for)("go")
    app = quantum_app(device="ion0")(f.bell)
    waiting = [app(priority=level) for level in ("LOW", "LOW", "MEDIUM", "HIGH")]
    while max(client.run(f.n_waiting).values()) < 4:
        time.sleep(0.01)
    Event("go", client).set()
    blocker.result(timeout=30)
    low, later, medium, high = (future.result(timeout=30).started_at for future in waiting)
    assert high < medium < low < later


def test_classical_tasks_never_land_on_qpu_workers(client: Client) -> None:
    plain = client.map(f.where, range(40), pure=False)
    lazy = dask.compute(*[dask.delayed(f.where)(n) for n in range(10)])
    assert {*client.gather(plain), *lazy} <= {"cpu0", "cpu1"}


def test_a_classical_task_may_start_others_and_wait_for_them(client: Client) -> None:
    def parent(n: int) -> int:
        from distributed import worker_client

        with worker_client() as inner:
            return sum(inner.gather(inner.map(abs, range(n), pure=False)))

    futures = [client.submit(parent, 3, pure=False) for _ in range(4)]  # more than there are classical threads
    assert [future.result(timeout=30) for future in futures] == [3, 3, 3, 3]


def test_quantum_code_on_a_worker_without_its_qpu_says_so(client: Client) -> None:
    with pytest.raises(NotOnQPU, match=r"app\.delayed"):
        client.submit(run_returned, "any", f.bell, {}, {}, resources={"CPU": 1}, pure=False).result(timeout=30)
    with pytest.raises(NotOnQPU, match="holds ion1"):
        client.submit(run_returned, "ion0", f.bell, {}, {}, resources={"QPU:ion1": 1}, pure=False).result(timeout=30)
    with pytest.raises(NotOnQPU):
        client.submit(run, QuantumTask(BELL), pure=False).result(timeout=30)


def test_a_resource_that_no_worker_has_fails_at_once(client: Client) -> None:
    future = client.submit(f.where, resources={"QPU": 1, "QPU:ion7": 1}, pure=False)
    with pytest.raises(UnknownDevice, match="'QPU:ion7'"):
        future.result(timeout=5)
    with pytest.raises(UnknownDevice, match="'qubits': 70"):
        client.submit(f.where, resources={"qubits": 70}, pure=False).result(timeout=5)


def test_the_decorated_function_keeps_its_name_and_text() -> None:
    app: Any = quantum_app(f.adaptive)
    assert app.__name__ == "adaptive"
    assert "as many circuits" in app.__doc__
