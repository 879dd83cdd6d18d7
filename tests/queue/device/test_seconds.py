"""What works count for fair share: the same seconds, whether a dispatcher ran them or a device's client."""

import time

import pytest
import requests

from conqure.queue.device_runs import DriverRunner
from conqure.queue.dispatcher import Dispatcher
from conqure.queue.history import Charges, History
from conqure.queue.memory import MemoryStore
from conqure.queue.redelivery import recover_expired
from conqure.queue.work import WorkStatus
from qpu_executors import QPU, QuantumTask
from qpu_executors.errors import DeviceError
from qpu_executors.testing import BELL

from ..dispatching import FAKE, ManualPool, add, dispatching
from ..dispatching import ended as all_ended
from ..server.conftest import ADMIN, PASSWORD
from ..server.sideqick import SideqickDevice, SideqickUser
from ..test_policies import work as work_of
from .conftest import until
from .test_client import ended

# Virtual seconds: so many that no time of the test's own is mistaken for them.
ION = QPU("ion0", "emulated", 7, options={"clock": "virtual", "job_s": 1000.0})
ADA = "ada@lab.example"


def used(service, owner: str = ADA) -> float:
    return service.app.state.service.history.used_s(owner, time.time())


def charged(service) -> int:
    """Attempts of which it is not known yet what they took."""
    return len(service.app.state.service.charges._open)


class Lasting:
    """Runs for as long as the workload says, or fails then."""

    slots = 1

    def configuration(self):
        return b"{}"

    def run(self, work, workload, folder, canceled):
        word, seconds = workload.decode().split()
        canceled.run_s = float(seconds)
        if word == "fail":
            raise DeviceError("the trap is empty")
        return workload

    def close(self): ...


def test_a_device_client_and_a_dispatcher_count_the_same_seconds(service, lab):
    made, _ = service.device("ion0")
    user = service.user()
    tasks = [QuantumTask(BELL, shots=50, seed=n) for n in range(3)]
    with lab.client(service.url, made, DriverRunner(ION)) as client:
        for task in tasks:
            record = ended(user, user.create("ion0", task.to_json(), format="task"))
        until(lambda: len(client.said("done")) == 3)
    there = used(service)
    store = service.store
    with dispatching(store, QPU("ion1", "emulated", 7, options=dict(ION.options))) as dispatcher:
        works = all_ended(store, *(add(store, task, owner=ADA, device_id="ion1") for task in tasks))
        here = dispatcher.history.used_s(ADA, time.time())
    assert there > 2900
    assert there == pytest.approx(here, rel=0.02)  # what was used a moment ago already counts a little less
    assert record["metadata"]["run_s"] == pytest.approx(works[-1].metadata["run_s"])


def test_a_failure_counts_what_it_took(service, lab):
    made, _ = service.device("lab0")
    user = service.user()
    with lab.client(service.url, made, Lasting()):
        assert ended(user, user.create("lab0", "fail 500"))["status"] == "ERROR"
    assert used(service) == pytest.approx(500, rel=0.02)
    assert charged(service) == 0


def test_a_passing_fault_counts_at_each_attempt(service):
    _, device = service.device("lab0")
    user = service.user()
    work = user.create("lab0", "x")
    for attempt in (1, 2, 3):
        assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
        said = {"attempt": attempt, "kind": "device_fault", "message": "warm", "transient": True}
        assert device.post(f"/v1/works/{work['work_id']}/error?run_s=100", json=said).status_code == 200
    record = user.get(f"/v1/works/{work['work_id']}").json()
    assert (record["status"], record["error"]) == ("ERROR", "given up after 3 attempts: warm")
    assert used(service) == pytest.approx(300, rel=0.02)
    again = device.post(f"/v1/works/{work['work_id']}/error?run_s=100", json=said)
    assert again.json()["status"] == "ERROR"
    assert used(service) == pytest.approx(300, rel=0.02)


def test_a_work_that_its_owner_cancels_counts_what_it_ran(service):
    _, device = service.device("lab0")
    user = service.user()
    work = user.create("lab0", "x")
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    user.post(f"/v1/works/{work['work_id']}/cancel")
    said = {"attempt": 1, "kind": "work_canceled", "message": "canceled", "canceled": True}
    answer = device.post(f"/v1/works/{work['work_id']}/error?run_s=70", json=said)
    assert answer.json()["status"] == "CANCELED"
    assert used(service) == pytest.approx(70, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["sweeper", "dispatcher"])
def test_a_work_whose_holder_is_lost_counts_nothing(start, who):
    service = start(sweep_s=0.1 if who == "sweeper" else 3600.0)
    _, device = service.device("lab0", refresh_timeout_s=1)
    user = service.user()
    work = user.create("lab0", "x")
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    assert used(service) == pytest.approx(1, rel=0.02)  # what a work takes on average
    if who == "dispatcher":  # it shares the service's store
        until(lambda: recover_expired(service.store, time.time()))
    until(lambda: user.get(f"/v1/works/{work['work_id']}").json()["status"] == "READY")
    assert (used(service), charged(service)) == (pytest.approx(0, abs=0.01), 0)


def test_the_device_of_a_work_that_is_removed_leaves_no_charge(service):
    _, device = service.device("lab0")
    service.user().create("lab0", "x")
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    assert service.admin.delete("/v1/devices/lab0").status_code == 204
    assert (used(service), charged(service)) == (pytest.approx(0, abs=0.01), 0)


def test_an_answer_that_comes_too_late_counts_nothing(service):
    _, device = service.device("lab0")
    work = service.user().create("lab0", "x")
    for _ in range(2):
        assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
        service.store.move(work["work_id"], WorkStatus.READY, time.time())
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    late = device.put(f"/v1/works/{work['work_id']}/results?attempt=1&run_s=900", data=b"late")
    assert late.status_code == 409
    right = device.put(f"/v1/works/{work['work_id']}/results?attempt=3&run_s=40", data=b"right")
    assert right.json()["status"] == "DONE"
    assert used(service) == pytest.approx(40, rel=0.02)


def test_a_device_on_the_aws_wire_counts_from_handing_out_to_the_end_of_its_run(service, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    root = SideqickUser(service.url, ADMIN, PASSWORD)
    made = root.add_device("ion0", 30)
    ion = SideqickDevice(root.url, made["DeviceId"], made["ClientId"], made["ClientSecret"])
    work = service.user().create("ion0", "x")
    began = time.time()
    assert ion.get_workload()[0] == work["work_id"]
    until(lambda: time.time() > began + 0.5)
    answer = ion.session.put(f"{ion.url}/devices/{ion.device_id}/workloads/{work['work_id']}").json()
    ran = time.time()
    until(lambda: time.time() > ran + 1.0)  # a slow upload is not the QPU's time
    assert requests.put(answer["UploadUrl"], data=b"y", timeout=30).status_code == 200
    record = service.store.get(work["work_id"])
    assert record.status is WorkStatus.DONE
    assert 0.4 < record.metadata["run_s"] <= ran - began
    assert used(service) == pytest.approx(record.metadata["run_s"], rel=0.02)
    for client in (root, ion):
        client.close()


def test_a_service_that_starts_again_remembers_what_was_used(start):
    first = start(policy="fair_share")
    _, device = first.device("lab0")
    work = first.user().create("lab0", "x")
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    path = f"/v1/works/{work['work_id']}/results?attempt=1&run_s=800"
    assert device.put(path, data=b"y").json()["status"] == "DONE"
    assert used(start(policy="fair_share")) == pytest.approx(800, rel=0.02)


@pytest.mark.parametrize("run_s", ["-1", "nan", "inf", "1e9"])
def test_seconds_that_cannot_be_are_refused(service, run_s):
    _, device = service.device("lab0")
    work = service.user().create("lab0", "x")
    assert device.post("/v1/devices/lab0/claim", json={}).json()["works"]
    path = f"/v1/works/{work['work_id']}/results?attempt=1&run_s={run_s}"
    assert device.put(path, data=b"y").status_code == 422


def test_what_a_dispatcher_gives_back_counts_nothing():
    store, pool = MemoryStore(), ManualPool()
    with Dispatcher(store, pool, [FAKE], grace_s=0.05) as dispatcher:
        add(store, owner=ADA)
        pool.begin(0)
        assert dispatcher.history.used_s(ADA, time.time()) == pytest.approx(1, rel=0.02)
    assert dispatcher.history.used_s(ADA, time.time()) == pytest.approx(0, abs=0.01)


def test_an_attempt_is_charged_once_and_its_average_is_learned_from_what_ran():
    history = History()
    charges, it = Charges(history), work_of(attempts=1)
    charges.start(it, "ion0", 0.0)
    charges.end(it, 60.0, 0.0)
    charges.end(it, 60.0, 0.0)
    assert history.used_s("ada", 0.0) == 60
    lost = work_of(attempts=1)
    charges.start(lost, "ion0", 0.0)
    assert history.used_s("ada", 0.0) > 63  # what one takes on average has risen with the first
    charges.drop(lost, 0.0)
    charges.end(lost, 99.0, 0.0)
    assert history.used_s("ada", 0.0) == pytest.approx(60)
