"""A client of a real service."""

import io
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from qiskit import QuantumCircuit

from conqure import (
    InvalidTask,
    InvalidWork,
    NotAllowed,
    NotLoggedIn,
    UnknownDevice,
    UnknownWork,
    WorkCanceled,
    WorkConflict,
    WorkFailed,
    WorkNotDone,
    WorkTimeout,
    as_task,
)
from conqure.queue.login import log_in, log_out, token_file
from conqure.queue.packing import pack
from conqure.queue.setting import Order
from conqure.queue.user_client import UserClient
from conqure.queue.work import new_work_id
from qpu_executors import Priority
from qpu_executors.translation.dax_writer import to_dax

from ..server.conftest import PASSWORD, RunningService


def test_a_circuit_is_handed_in_waited_for_and_fetched(remote: UserClient, bell: QuantumCircuit) -> None:
    work_id = remote.create_work(bell, "sv0", "high", shots=100, name="mine", loop="vqe", convergence=0.25)
    remote.wait_until_done(work_id, progress=False)
    assert remote.get_results(work_id).shots == 100
    work = remote.get_work(work_id)
    assert (work.status, work.device_id, work.priority, work.owner) == ("DONE", "sv0", "HIGH", "ada@lab.example")
    assert (work.name, work.loop, work.convergence, work.ran_on) == ("mine", "vqe", 0.25, "sv0")


def test_a_list_and_a_dax_program_come_back_as_what_they_are(remote: UserClient, bell: QuantumCircuit) -> None:
    several = remote.create_work([bell, bell], shots=5)
    dax = remote.create_work(to_dax(as_task(bell).program, 30))
    for work_id in (several, dax):
        remote.wait_until_done(work_id, progress=False)
    assert [result.shots for result in remote.get_results(several)] == [5, 5]
    assert numpy.asarray(remote.get_results(dax)).shape == (30, 2)


def test_errors_are_the_same_as_of_an_embedded_queue(remote: UserClient, bell: QuantumCircuit) -> None:
    with pytest.raises(UnknownDevice, match="ion7"):
        remote.create_work(bell, "ion7")
    wide = QuantumCircuit(12)
    wide.measure_all()
    with pytest.raises(InvalidTask, match="12 qubits"):
        remote.create_work(wide, "sv0")
    with pytest.raises(UnknownWork):
        remote.get_work(new_work_id())
    with pytest.raises(UnknownWork):
        remote.get_work("../../devices")
    with pytest.raises(NotAllowed):
        remote.add_user("eve@lab.example", "Eve")
    failed = remote.create_work(b"pulses", "sv0")
    with pytest.raises(WorkFailed, match="does not read 'opaque'") as caught:
        remote.wait_until_done(failed, progress=False)
    assert isinstance(caught.value.__cause__, InvalidTask)
    with pytest.raises(WorkNotDone):
        remote.get_results(failed)


def test_a_large_opaque_workload_is_uploaded_by_itself(service: RunningService, remote: UserClient) -> None:
    _, lab = service.device("fpga-1")
    large = bytes(range(256)) * 2**13
    work_id = remote.create_work(io.BytesIO(large), "fpga-1")
    assert remote.get_work(work_id).status == "READY"
    claimed = lab.post("/v1/devices/fpga-1/claim", json={}).json()["works"]
    assert lab.get(f"/v1/works/{work_id}/workload").content == large
    with pytest.raises(WorkNotDone, match="EXECUTING"):
        remote.get_results(work_id)
    lab.put(f"/v1/works/{work_id}/results?attempt={claimed[0]['attempts']}", data=b"\x89HDF")
    remote.wait_until_done(work_id, progress=False)
    with remote.get_results(work_id) as file:
        assert file.read() == b"\x89HDF"


def test_repeating_an_order_makes_no_second_work(remote: UserClient, bell: QuantumCircuit) -> None:
    order = Order(pack(bell, "any", Priority.LOW), Priority.LOW)
    assert {remote._queue.create(order).work_id for _ in range(3)} == {order.work_id}
    assert len(remote.list_work()) == 1
    with pytest.raises(WorkConflict):
        remote._queue.create(Order(pack(b"other", "any", Priority.LOW), Priority.LOW, work_id=order.work_id))


def test_the_end_is_noticed_at_once_and_a_timeout_is_kept(service: RunningService, remote: UserClient) -> None:
    service.device("fpga-1")
    work_id = remote.create_work(b"pulses", "fpga-1")
    with pytest.raises(WorkTimeout):
        remote.wait_until_done(work_id, interval=0.1, progress=False, timeout=0.3)
    threading.Timer(0.3, lambda: remote.cancel_work(work_id, "enough")).start()
    started = time.monotonic()
    with pytest.raises(WorkCanceled, match="enough"):
        remote.wait_until_done(work_id, interval=30, progress=False)
    assert time.monotonic() - started < 10


def test_a_user_lists_own_works_and_an_admin_those_of_all(
    service: RunningService, remote: UserClient, bell: QuantumCircuit
) -> None:
    mine = [remote.create_work(bell, name=str(n)) for n in range(7)]
    assert [work.work_id for work in remote.list_work()] == mine[::-1]
    assert [work.name for work in remote.list_work(limit=3)] == ["6", "5", "4"]
    with UserClient(service.url, token=service.admin_token) as admin:
        assert admin.list_work() == []
        assert len(admin.list_work(everybody=True)) == 7
        assert len(admin.list_work(owner="ada@lab.example", status="done")) <= 7


def test_futures_of_many_works_come_true_in_one_thread(remote: UserClient, bell: QuantumCircuit) -> None:
    futures = [remote.submit(bell, shots=n) for n in range(1, 31)]
    assert [future.result(timeout=60).shots for future in futures] == list(range(1, 31))
    assert isinstance(remote.submit(b"pulses", "sv0").exception(timeout=60), WorkFailed)
    stuck = remote.submit(bell)
    stuck.cancel()
    assert stuck.cancelled()


def test_an_admin_adds_users_and_devices(service: RunningService) -> None:
    with UserClient(service.url, token=service.admin_token) as admin:
        made = admin.add_user("eve@lab.example", "Eve")
        assert (made["user_id"], made["full_name"]) == ("eve@lab.example", "Eve")
        assert service.log_in("eve@lab.example", made["password"]).get("/v1/me").status_code == 200
        device = admin.add_device("fpga-1", 30)
        assert (device["device_id"], device["refresh_timeout_s"]) == ("fpga-1", 30)
        lab = service.client(service.device_token(device["client_id"], device["client_secret"]))
        lab.put("/v1/devices/fpga-1/configuration?extension=json", data=b'{"fs": 430}')
        assert admin.get_soccfg("fpga-1") == {"fs": 430}
        assert {found["device_id"] for found in admin.get_devices()} == {"sv0", "dax_code_simulator", "fpga-1"}
        with pytest.raises(InvalidWork, match="Give device_id"):
            admin.get_soccfg()


def test_without_a_good_token_one_hears_how_to_log_in(service: RunningService) -> None:
    for token in (None, "nonsense"):
        with UserClient(service.url, token=token) as client, pytest.raises(NotLoggedIn, match="conqure login http"):
            client.get_devices()


def test_logging_in_makes_the_service_the_users_own_until_logging_out(service: RunningService) -> None:
    service.user()
    with pytest.raises(NotLoggedIn):
        log_in(service.url, "ada@lab.example", "wrong")
    assert not token_file().exists()
    assert log_in(service.url, "ada@lab.example", PASSWORD) == token_file()
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600
    token = token_file().read_text().strip()
    with UserClient() as client:
        assert (client.setting, client.where, client.list_work()) == ("remote", service.url, [])
    assert log_out() == f"Logged out of {service.url}."
    assert not token_file().exists()
    with UserClient(service.url, token=token) as client, pytest.raises(NotLoggedIn):
        client.list_work()


def test_an_order_outlives_a_restart_of_the_service(
    start: Callable[..., RunningService], tmp_path: Path, bell: QuantumCircuit
) -> None:
    running = start()
    running.site_device()
    with UserClient(running.url, token=running.user().token) as client:
        work_id = client.create_work(bell)
    again = start()
    with UserClient(again.url, token=again.log_in("ada@lab.example").token) as client:
        assert client.get_work(work_id).status == "READY"
