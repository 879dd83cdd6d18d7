"""The service on a real MariaDB and a real PostgreSQL: what users, devices and old clients do, and a restart below."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conqure.queue.server.changes import Changes
from conqure.queue.stores.sql import SQLStore
from conqure.queue.testing import ready_work
from conqure.queue.work import new_work_id
from qpu_executors import QuantumTask
from qpu_executors.errors import StoreError
from qpu_executors.testing import BELL

from ..databases import PASSWORD as SECRET
from ..databases import Server
from .conftest import ADMIN, PASSWORD, Client, RunningService, running_service, until
from .serving import conqure, served
from .sideqick import SideqickDevice, SideqickUser

pytestmark = pytest.mark.slow
DATABASES = ("mariadb", "postgresql")


def unclosed(test: Callable[..., None]) -> Callable[..., None]:
    """PyMySQL leaves a Unix socket that could not be connected to the garbage collector."""
    ignored = (
        "unclosed <socket:ResourceWarning",
        "Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
    )
    for warning in ignored:
        test = pytest.mark.filterwarnings(f"ignore:{warning}")(test)
    return test


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> tuple[str, Server]:
    """The URL of an empty store, and the server that has it."""
    kind: str = request.param
    return request.getfixturevalue(kind), request.getfixturevalue(f"{kind}_server")


@pytest.fixture
def service(database: tuple[str, Server], tmp_path: Path) -> Iterator[RunningService]:
    with running_service(tmp_path, database[0]) as running:
        yield running


def test_a_site_is_served_and_its_works_live_from_order_to_results(
    database: tuple[str, Server], tmp_path: Path
) -> None:
    url, _ = database
    added = conqure("users", "add", "root@lab.example", "--admin", "--store", url, "--json")
    assert added.exit_code == 0, added.stderr
    assert "root@lab.example" in conqure("users", "list", "--store", url).stdout
    with served(tmp_path, "--store", url) as running:
        assert SECRET not in json.dumps(running.facts)
        root = log_in(running.url, "root@lab.example", json.loads(added.stdout)["password"])
        assert root.get("/ready").status_code == 200
        made = root.post("/v1/users", json={"email": "Ada@lab.example", "full_name": "Ada ⟨ψ|", "password": PASSWORD})
        assert (made.status_code, made.json()["user_id"]) == (201, "ada@lab.example")
        assert root.post("/v1/users", json={"email": "ADA@lab.example"}).status_code == 409
        login = log_in(running.url, "ada@lab.example", PASSWORD)
        token = login.post("/v1/tokens", json={"name": "nightly", "days": 3}).json()
        ada = Client(running.url, token["token"])

        run_to_the_end(ada)
        cancel_and_list(ada, root)

        assert login.delete(f"/v1/tokens/{token['token_id']}").status_code == 204
        assert ada.get("/v1/me").status_code == 401
        assert root.delete("/v1/users/ada@lab.example").status_code == 204
        assert login.get("/v1/works").status_code == 401
        assert "conqure_requests_total" in root.get("/metrics").text
        for client in (root, login, ada):
            client.session.close()
    assert running.process.returncode == 0
    log = (tmp_path / "log").read_text()
    assert all(json.loads(line)["level"] == "info" for line in log.splitlines()), log
    assert SECRET not in log


def log_in(url: str, email: str, password: str) -> Client:
    client = Client(url)
    answer = client.post("/v1/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    client.token = answer.json()["token"]
    return client


def run_to_the_end(ada: Client) -> None:
    """The dispatcher runs what comes, and who waits hears of it."""
    order = {"work_id": new_work_id(), "device_id": "sv0", "format": "task", "name": "Bell ⟨ψ|"}
    order["workload"] = QuantumTask(BELL, shots=50).to_json()
    path = f"/v1/works/{order['work_id']}"
    assert [ada.post("/v1/works", json=order).status_code for _ in range(2)] == [201, 200]
    assert ada.post("/v1/works", json=order | {"workload": order["workload"] + " "}).status_code == 409
    work = ada.get(path).json()
    while work["status"] != "DONE":
        assert work["status"] in ("READY", "EXECUTING", "UPLOADING"), work["error"]
        work = ada.get(path, params={"wait": 30, "seen": work["status"]}).json()
    assert (work["name"], work["ran_on"], work["n_qubits"], work["attempts"]) == (order["name"], "sv0", 2, 1)
    assert sum(ada.get(f"{path}/results").json()["counts"][0].values()) == 50
    assert ada.get(f"{path}/workload").text == order["workload"]


def cancel_and_list(ada: Client, root: Client) -> None:
    """Works of a device that nobody serves: they wait, are cancelled, and listed by what they are."""
    assert root.post("/v1/devices", json={"device_id": "ion0", "n_qubits": 3}).status_code == 201
    made = [ada.create("ion0", f"pulse {n}", priority="HIGH" if n == 5 else "LOW") for n in range(6)]
    ids = [work["work_id"] for work in made]
    positions = [ada.get(f"/v1/works/{work_id}").json()["position"] for work_id in ids]
    assert positions == [1, 2, 3, 4, 5, 0]
    for work_id in ids[:2]:
        ended = ada.post(f"/v1/works/{work_id}/cancel", json={"reason": "not needed"})
        assert (ended.json()["status"], ended.json()["error"]) == ("CANCELED", "not needed")

    def listed(client: Client = ada, **query: Any) -> list[str]:
        found: list[str] = []
        page = client.get("/v1/works", params=query).json()
        while True:
            found += [work["work_id"] for work in page["works"]]
            if page["cursor"] is None:
                return found
            page = client.get("/v1/works", params=query | {"cursor": page["cursor"]}).json()

    assert listed(device_id="ion0", limit=2) == ids[::-1]
    assert listed(device_id="ion0", status="CANCELED", limit=1) == ids[1::-1]
    assert listed(device_id="ion0", priority="HIGH") == ids[5:]
    assert listed(device_id="ion0", status=["READY", "CANCELED"], since=made[3]["created_at"]) == ids[:2:-1]
    assert listed(device_id="ION0") == listed(device_id="ion0 ") == []  # names count letter by letter
    assert listed(root, owner="ada@lab.example", device_id="ion0") == ids[::-1]
    assert root.delete("/v1/devices/ion0").status_code == 204
    assert {ada.get(f"/v1/works/{work_id}").json()["status"] for work_id in ids[2:]} == {"ERROR"}


def test_a_device_works_goes_silent_and_comes_back(service: RunningService) -> None:
    ada, (device, ion) = service.user(), service.device(refresh_timeout_s=4.0)
    assert ion.put("/v1/devices/ion0/configuration?extension=json", data=b'{"soc": 1}').status_code == 204
    assert ada.get("/v1/devices/ion0/configuration").json() == {"soc": 1}

    works: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: works.extend(claim(ion, wait=30)))
    waiting.start()
    large = b"\x00\xff" * (3 * 2**19)  # more than one part
    made = ada.create("ion0", name="first")
    waiting.join(30)
    assert [work["work_id"] for work in works] == [made["work_id"]]
    assert ion.put("/v1/devices/ion0/status", json={"status": "BUSY"}).json()["cancel"] == []
    assert ada.get("/v1/devices/ion0").json()["status"] == "BUSY"
    first = f"/v1/works/{made['work_id']}"
    assert ada.post(f"{first}/cancel", json={}).json()["cancel_requested"] is True
    assert ion.put("/v1/devices/ion0/status", json={"status": "BUSY"}).json()["cancel"] == [made["work_id"]]
    assert ion.put(f"{first}/results?attempt=1", data=large).json()["status"] == "DONE"  # it was quicker
    assert ada.get(f"{first}/results").content == large

    second = f"/v1/works/{ada.create('any', name='second')['work_id']}"
    assert len(claim(ion)) == 1
    until(lambda: ada.get(second).json()["status"] == "READY")  # nothing is heard of the device
    until(lambda: ada.get("/v1/devices/ion0").json()["status"] == "OFFLINE")
    assert [work["attempts"] for work in claim(ion)] == [2]
    late = ion.put(f"{second}/results?attempt=1", data=b"late")
    assert (late.status_code, late.json()["error"]["kind"]) == (409, "work_conflict")
    assert ion.put(f"{second}/results?attempt=2", data=b"right").status_code == 200
    assert ada.get(f"{second}/results").content == b"right"

    service.admin.post("/v1/devices/ion0/secret")
    assert ion.put("/v1/devices/ion0/status", json={"status": "ONLINE"}).status_code == 401
    assert device["uuid"] == ada.get("/v1/devices/ion0").json()["uuid"]


def claim(ion: Client, wait: float = 0.0) -> list[dict[str, Any]]:
    answer = ion.post("/v1/devices/ion0/claim", json={"wait": wait})
    assert answer.status_code == 200, answer.text
    return answer.json()["works"]


def test_clients_that_know_only_aws_are_served(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    service.user("ada@lab.example")
    root, ada = SideqickUser(service.url, ADMIN, PASSWORD), SideqickUser(service.url, "ada@lab.example", PASSWORD)
    made = root.add_device("ion0", 30)
    ion = SideqickDevice(service.url, made["DeviceId"], made["ClientId"], made["ClientSecret"])
    ion.update_status("ONLINE", {"soc": 2})
    assert ada.get_soccfg(ion.device_id) == {"soc": 2}
    ids = [ada.create_work(io.BytesIO(b"\x1f\x8b%d" % n), ion.device_id, "HIGH" if n == 2 else "LOW") for n in range(7)]
    assert ion.get_workload() == (ids[2], b"\x1f\x8b2")
    ion.upload_results(ids[2], b"\x89HDF")
    ada.wait_until_done(ids[2])
    with ada.get_results(ids[2]) as results:
        assert results.read() == b"\x89HDF"
    assert sorted(work["WorkId"] for work in ada.list_work(ion.device_id)) == sorted(ids)
    for client in (root, ada, ion):
        client.close()


@unclosed
def test_no_work_is_lost_when_the_database_is_killed_and_comes_back(
    service: RunningService, database: tuple[str, Server]
) -> None:
    url, server = database
    ada, _, other = service.user(), service.device(), SQLStore(url)
    accepted: dict[str, str] = {}
    seen: set[int] = set()
    over = threading.Event()
    clients = [service.client(ada.token) for _ in range(4)]
    threads = [threading.Thread(target=hand_in, args=(client, accepted, seen, over)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(accepted) >= 20)
        server.stop(signal.SIGKILL)
        until(lambda: 503 in seen)
        before = len(accepted)
        is_said_to_be_down(ada, next(iter(accepted)), Changes(other))
        server.start()
        until(lambda: len(accepted) >= before + 20, 60)
    finally:
        if server.process is None:
            server.start()
        over.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert seen <= {200, 201, 503}
    listed = [work.work_id for work in service.store.find(limit=100_000)]
    assert sorted(listed) == sorted(accepted)  # each once, and none of which nobody knows
    for work_id, workload in accepted.items():
        assert service.store.payload(service.store.get(work_id).workload).decode() == workload
    assert ada.get("/ready").status_code == 200
    other.close()
    gc.collect()


def is_said_to_be_down(ada: Client, work_id: str, changes: Changes) -> None:
    """Everybody is answered: who reads, who writes and is not the first, and who writes before anything was written."""
    refused = ada.get(f"/v1/works/{work_id}")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (503, "store_error")
    assert SECRET not in refused.text
    order = {"device_id": "ion0", "workload": "never accepted"}
    assert [ada.post("/v1/works", json=order).status_code for _ in range(2)] == [503] * 2
    with pytest.raises(StoreError, match="Is the database up"):
        asyncio.run(asyncio.wait_for(changes.ask("add", ready_work(), b"x"), 30))
    assert ada.get("/ready").status_code == 503
    assert ada.get("/health").status_code == 200  # the process itself goes on


def hand_in(client: Client, accepted: dict[str, str], seen: set[int], over: threading.Event) -> None:
    """Works, one after the other; one that got no yes is handed in again, as it is."""
    while not over.is_set():
        order = {"work_id": new_work_id(), "device_id": "ion0", "workload": new_work_id()}
        code = 0
        while code not in (200, 201):
            code = client.post("/v1/works", json=order).status_code
            seen.add(code)
            if code == 503:
                time.sleep(0.05)
        accepted[order["work_id"]] = order["workload"]
