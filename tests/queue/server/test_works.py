"""v1: works, from a user to a device and back."""

from __future__ import annotations

import base64
import threading
import time

from conqure.queue.work import new_work_id
from qpu_executors import QuantumTask
from qpu_executors.testing import BELL

from .conftest import RunningService


def test_a_work_goes_to_its_device_and_back(service: RunningService) -> None:
    ada, (_, ion) = service.user(), service.device()
    work = ada.create("ion0", "pulse", priority="HIGH", name="first")
    assert (work["status"], work["owner"], work["device_id"]) == ("READY", "ada@lab.example", "ion0")

    claimed = ion.post("/v1/devices/ion0/claim", json={}).json()["works"]
    assert [(w["work_id"], w["status"], w["attempts"]) for w in claimed] == [(work["work_id"], "EXECUTING", 1)]
    assert ion.get(f"/v1/works/{work['work_id']}/workload").content == b"pulse"

    done = ion.put(f"/v1/works/{work['work_id']}/results?attempt=1", data=b"\x00\xff")
    assert (done.status_code, done.json()["status"]) == (200, "DONE")
    assert ada.get(f"/v1/works/{work['work_id']}/results").content == b"\x00\xff"


def test_a_repeated_create_makes_no_second_work(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    order = {"work_id": new_work_id(), "device_id": "ion0", "workload": "x"}
    assert [ada.post("/v1/works", json=order).status_code for _ in range(2)] == [201, 200]
    assert ada.post("/v1/works", json=order | {"workload": "y"}).status_code == 409


def test_a_workload_may_come_later_or_as_base64(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    made = ada.post("/v1/works", json={"device_id": "ion0"}).json()
    assert made["status"] == "CREATED"
    for _ in range(2):  # an upload whose answer was lost is repeated
        ready = ada.put(f"/v1/works/{made['work_id']}/workload", data=b"\x01\x02")
        assert (ready.status_code, ready.json()["status"]) == (200, "READY")
    assert ada.put(f"/v1/works/{made['work_id']}/workload", data=b"other").status_code == 409

    text = base64.b64encode(b"\xff\x00").decode()
    work = ada.post("/v1/works", json={"device_id": "ion0", "workload_base64": text}).json()
    assert ada.get(f"/v1/works/{work['work_id']}/workload").content == b"\xff\x00"


def test_a_bad_task_is_refused_when_it_comes(service: RunningService) -> None:
    ada, _ = service.user(), service.device(n_qubits=2)
    good = QuantumTask(BELL, shots=10).to_json()
    work = ada.create("ion0", good, format="task")
    assert (work["n_qubits"], work["shots"], work["n_rows"]) == (2, 10, 1)
    bad = ada.post("/v1/works", json={"device_id": "ion0", "format": "task", "workload": good.replace("10", "-10")})
    assert (bad.status_code, bad.json()["error"]["kind"]) == (400, "invalid_task")


def test_an_unknown_device_is_refused_with_those_that_exist(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    refused = ada.post("/v1/works", json={"device_id": "ion9", "workload": "x"})
    assert (refused.status_code, refused.json()["error"]["kind"]) == (404, "unknown_device")
    assert "'ion0'" in refused.json()["error"]["message"]


def test_a_device_may_be_named_by_its_uuid(service: RunningService) -> None:
    ada, (device, _) = service.user(), service.device()
    assert ada.create(device["uuid"].upper())["device_id"] == "ion0"


def test_who_waits_for_a_change_is_answered_at_once(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    work = ada.create("ion0")
    answers = []
    path = f"/v1/works/{work['work_id']}?wait=30&seen=READY"
    waiter = threading.Thread(target=lambda: answers.append((ada.get(path).json(), time.monotonic())))
    waiter.start()
    time.sleep(0.3)
    began = time.monotonic()
    service.admin.post(f"/v1/works/{work['work_id']}/cancel", json={"reason": "not needed"})
    waiter.join(20)
    record, answered = answers[0]
    assert (record["status"], record["error"]) == ("CANCELED", "not needed")
    assert answered - began < 0.4


def test_a_device_that_waits_gets_the_next_work_at_once(service: RunningService) -> None:
    ada, (_, ion) = service.user(), service.device()
    got = []
    waiter = threading.Thread(
        target=lambda: got.extend(ion.post("/v1/devices/ion0/claim", json={"wait": 30}).json()["works"])
    )
    waiter.start()
    work = ada.create("any")
    waiter.join(20)
    assert [w["work_id"] for w in got] == [work["work_id"]]


def test_priority_goes_first_and_the_position_says_so(service: RunningService) -> None:
    ada, (_, ion) = service.user(), service.device()
    low, high, late = (ada.create("ion0", workload=p, priority=p) for p in ("LOW", "HIGH", "LOW"))
    positions = [ada.get(f"/v1/works/{w['work_id']}").json()["position"] for w in (low, high, late)]
    assert positions == [1, 0, 2]
    got = ion.post("/v1/devices/ion0/claim", json={"most": 3}).json()["works"]
    assert [w["work_id"] for w in got] == [w["work_id"] for w in (high, low, late)]


def test_works_are_listed_page_by_page(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    made = [ada.create("ion0", str(n))["work_id"] for n in range(5)]
    page = ada.get("/v1/works?limit=3").json()
    rest = ada.get("/v1/works", params={"limit": 3, "cursor": page["cursor"]}).json()
    assert [w["work_id"] for w in page["works"] + rest["works"]] == made[::-1]
    assert rest["cursor"] is None


def test_results_before_the_end_are_a_conflict(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    refused = ada.get(f"/v1/works/{ada.create('ion0')['work_id']}/results")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (409, "work_not_done")


def test_a_device_is_not_given_what_is_too_large_for_it(service: RunningService) -> None:
    ada, (_, small), (_, large) = service.user(), service.device("small0", 1), service.device("large0", 9)
    bell = QuantumTask(BELL, shots=10).to_json()
    work = ada.create("any", bell, format="task")
    assert small.post("/v1/devices/small0/claim", json={}).json()["works"] == []
    got = large.post("/v1/devices/large0/claim", json={}).json()["works"]
    assert [w["work_id"] for w in got] == [work["work_id"]]
    refused = ada.post("/v1/works", json={"device_id": "small0", "workload": bell, "format": "task"})
    assert (refused.status_code, refused.json()["error"]["kind"]) == (400, "invalid_task")


def test_devices_get_their_works_in_the_order_that_the_site_has_chosen(start) -> None:
    service = start(policy="near_convergence")
    ada, (_, ion) = service.user(), service.device()
    begun, nearly = (ada.create("ion0", str(c), convergence=c, loop=str(c))["work_id"] for c in (0.1, 0.9))
    got = ion.post("/v1/devices/ion0/claim", json={"most": 2}).json()["works"]
    assert [w["work_id"] for w in got] == [nearly, begun]
