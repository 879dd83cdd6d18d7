"""The queue that needs nothing to start."""

import io
import threading
import time
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from conqure import (
    InvalidTask,
    InvalidWork,
    MissingPackage,
    NotAllowed,
    UnknownDevice,
    UnknownWork,
    WorkCanceled,
    WorkFailed,
    WorkNotDone,
    WorkTimeout,
    as_task,
)
from conqure.queue.user_client import UserClient


def test_a_circuit_is_handed_in_waited_for_and_fetched(client: UserClient, bell: QuantumCircuit) -> None:
    work_id = client.create_work(bell, shots=100)
    client.wait_until_done(work_id, progress=False)
    result = client.get_results(work_id)
    assert (set(result.counts[0]) <= {"00", "11"}, result.shots) == (True, 100)
    work = client.get_work(work_id)
    assert (work.status, work.device_id, work.priority, work.format) == ("DONE", "any", "LOW", "task")
    assert work.owner
    assert work.started_at <= work.ended_at


def test_a_list_of_circuits_gives_a_list_of_results(client: UserClient, bell: QuantumCircuit) -> None:
    work_id = client.create_work([bell, bell], "sv0", "high", shots=5, seed=1)
    client.wait_until_done(work_id, progress=False)
    assert [result.shots for result in client.get_results(work_id)] == [5, 5]


def test_both_names_of_the_workload_are_taken_and_not_together(client: UserClient, bell: QuantumCircuit) -> None:
    assert client.create_work(workload=bell)
    assert client.create_work(workloadfile=io.BytesIO(as_task(bell).to_json().encode()))
    with pytest.raises(InvalidWork, match="two names of the same argument"):
        client.create_work(bell, workload=bell)


def test_what_is_asked_for_wrongly_is_refused_at_once(client: UserClient, bell: QuantumCircuit) -> None:
    with pytest.raises(UnknownDevice, match="no device 'ion7'"):
        client.create_work(bell, "ion7")
    wide = QuantumCircuit(12)
    wide.measure_all()
    with pytest.raises(InvalidTask, match="needs 12 qubits, and 'sv0' of site 'here' has 10"):
        client.create_work(wide, "sv0")
    with pytest.raises(InvalidWork, match="priority must be one of HIGH, MEDIUM, LOW, not 'urgent'"):
        client.create_work(bell, priority="urgent")
    with pytest.raises(UnknownWork, match="no work"):
        client.get_work("5e8d0a52-0000-4000-8000-000000000000")
    assert client.list_work() == []


def test_a_work_that_fails_says_why(client: UserClient) -> None:
    work_id = client.create_work(b"pulses", "sv0")
    with pytest.raises(WorkFailed, match="'sv0' does not read 'opaque'") as caught:
        client.wait_until_done(work_id, progress=False)
    assert type(caught.value.__cause__).__name__ == "InvalidTask"
    with pytest.raises(WorkNotDone, match="is ERROR: invalid_task"):
        client.get_results(work_id)


def test_progress_is_printed_as_states_and_dots(
    client: UserClient, bell: QuantumCircuit, capsys: pytest.CaptureFixture[str]
) -> None:
    work_id = client.create_work(bell)
    client.wait_until_done(work_id)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "workload is DONE"
    assert all(line.startswith("workload is ") for line in lines)


def test_a_work_that_waits_times_out_goes_on_and_can_be_canceled(site: Path, bell: QuantumCircuit) -> None:
    with UserClient(store="memory:", site=site) as client:
        client._queue._open_pool = lambda: None  # nobody runs it
        work_id = client.create_work(bell)
        with pytest.raises(WorkTimeout, match="is READY after 0.1 s and goes on"):
            client.wait_until_done(work_id, 0.02, False, timeout=0.1)
        with pytest.raises(TimeoutError):
            client.wait_until_done(work_id, timeout=0, progress=False)
        assert client.cancel_work(work_id, "not needed").status == "CANCELED"
        with pytest.raises(WorkCanceled, match="not needed"):
            client.wait_until_done(work_id, progress=False)


def test_the_end_of_a_work_is_noticed_at_once(client: UserClient, bell: QuantumCircuit) -> None:
    client.wait_until_done(client.create_work(bell), progress=False)  # everything is open now
    started = time.monotonic()
    client.wait_until_done(client.create_work(bell), interval=30, progress=False)
    assert time.monotonic() - started < 5


def test_works_are_listed_with_filters(client: UserClient, bell: QuantumCircuit) -> None:
    first = client.create_work(bell, "sv0", "HIGH", name="first", loop="vqe-1", convergence=0.5)
    second = client.create_work(bell, "tag:fast")
    for work_id in (first, second):
        client.wait_until_done(work_id, progress=False)
    assert [work.work_id for work in client.list_work()] == [second, first]
    assert [work.name for work in client.list_work(priority="high")] == ["first"]
    assert [work.work_id for work in client.list_work(device_id="tag:fast", status="DONE")] == [second]
    assert [work.convergence for work in client.list_work(loop="vqe-1")] == [0.5]
    assert client.list_work(status=["READY", "EXECUTING"]) == [] == client.list_work(since=time.time() + 1)
    assert len(client.list_work(limit=1)) == 1
    with pytest.raises(InvalidWork, match="status must be one of CREATED"):
        client.list_work(status="finished")


def test_futures_give_results_errors_and_cancel_their_works(client: UserClient, bell: QuantumCircuit) -> None:
    futures = [client.submit(bell, shots=n) for n in range(1, 21)]
    assert [future.result(timeout=60).shots for future in futures] == list(range(1, 21))
    assert isinstance(client.submit(b"pulses").exception(timeout=60), WorkFailed)
    assert client.get_work(futures[0].work_id).status == "DONE"
    assert len([thread for thread in threading.enumerate() if thread.name == "conqure-works"]) <= 1
    with pytest.raises(TypeError, match="unexpected keyword argument 'shot'"):
        client.submit(bell, shot=1)


def test_cancelling_a_future_cancels_its_work(site: Path, bell: QuantumCircuit) -> None:
    with UserClient(store="memory:", site=site) as client:
        client._queue._open_pool = lambda: None
        future, left = client.submit(bell), client.submit(bell)
        assert future.cancel()
        assert future.cancelled()
        assert client.get_work(future.work_id).status == "CANCELED"
        waiting = client.get_work(left.work_id).status
    assert left.cancelled()
    assert waiting == "READY"


def test_clients_of_one_process_share_a_pool_until_the_last_is_closed(
    site: Path, home: Path, bell: QuantumCircuit
) -> None:
    store = f"sqlite:{home / 'works.db'}"
    one, other = UserClient(store=store, site=site), UserClient(store=store, site=site)
    assert one._queue is other._queue
    work_id = one.create_work(bell, shots=5)
    one.close()
    one.close()
    other.wait_until_done(work_id, progress=False)
    other.close()
    with UserClient(store=store, site=site) as another:
        assert another._queue is not other._queue
        assert another.get_results(work_id).shots == 5


def test_a_pool_that_cannot_be_opened_loses_no_work_and_says_why(
    home: Path, bell: QuantumCircuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> str:
        raise MissingPackage("the engine needs a package that is not here")

    monkeypatch.setattr("conqure.engines.quickest_engine", broken)
    with UserClient(store="memory:") as client:
        work_id = client.create_work(bell)
        with pytest.raises(MissingPackage, match="that is not here"):
            client.wait_until_done(work_id, progress=False)
        assert client.get_work(work_id).status == "READY"


def test_devices_are_those_of_the_site(client: UserClient) -> None:
    devices = client.get_devices()
    assert [device["device_id"] for device in devices] == ["sv0", "dax_code_simulator"]
    assert (devices[0]["status"], devices[0]["n_qubits"], devices[0]["tags"]) == ("ONLINE", 10, ["fast"])
    assert client.get_soccfg("sv0")["driver"] == "statevector"
    with pytest.raises(UnknownDevice):
        client.get_soccfg("ion7")
    with pytest.raises(InvalidWork, match="Give device_id"):
        client.get_soccfg()


def test_an_embedded_queue_says_how_to_get_users_and_devices(client: UserClient) -> None:
    with pytest.raises(NotAllowed, match="conqure serve"):
        client.add_user("ada@lab.example", "Ada")
    with pytest.raises(NotAllowed, match="conqure serve"):
        client.add_device("ion0")


@pytest.mark.slow
def test_a_client_closes_itself_at_the_end_of_the_program(run_python, site: Path) -> None:
    out = run_python(
        f"""
import warnings; warnings.simplefilter("error")
from conqure.queue.user_client import UserClient
client = UserClient(store="memory:", site={str(site)!r})
qasm = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;'
work_id = client.create_work(qasm, shots=3)
client.wait_until_done(work_id, progress=False)
print(client.get_results(work_id).counts)
client.create_work(qasm)
"""
    )
    assert out == "({'1': 3},)\n"
