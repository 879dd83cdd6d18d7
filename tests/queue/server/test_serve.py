"""``conqure serve``, ``users`` and ``devices add``: as an administrator types them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest
import requests

import conqure as conqure_
from conqure.queue.work import new_work_id
from qpu_executors import QuantumTask
from qpu_executors.testing import BELL
from tests.openmpq.compiling import need

from .conftest import Client, until
from .serving import add_admin, conqure, served

pytestmark = pytest.mark.slow
ROOT = "root@lab.example"


def log_in(url: str, password: str, **request: object) -> Client:
    answer = requests.post(f"{url}/v1/login", json={"email": ROOT, "password": password}, timeout=30, **request)
    assert answer.status_code == 200, answer.text
    return Client(url, answer.json()["token"])


def test_a_site_is_served_and_its_qpus_run_what_comes(tmp_path: Path) -> None:
    password = add_admin(tmp_path)
    with served(tmp_path) as service:
        assert service.facts["site"] == "site"
        root = log_in(service.url, password)
        (device,) = root.get("/v1/devices").json()["devices"]
        assert (device["device_id"], device["status"], device["at_site"]) == ("sv0", "ONLINE", True)
        client = conqure_.UserClient(service.url, token=root.token)
        work_id = client.create_work(QuantumTask(BELL, shots=50))
        client.wait_until_done(work_id, progress=False, timeout=30)
        assert sum(client.get_results(work_id).counts[0].values()) == 50
        client.close()
        root.session.close()
    assert service.process.returncode == 0
    log = (tmp_path / "log").read_text()
    assert all(json.loads(line)["event"] for line in log.splitlines()), log
    assert password not in log
    assert root.token not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_answers_who_waits(tmp_path: Path, number: signal.Signals) -> None:
    password = add_admin(tmp_path)
    with served(tmp_path, "--no-dispatch") as service:
        root = log_in(service.url, password)
        root.post("/v1/devices", json={"device_id": "ion0"})
        work = root.create("ion0")
        codes: list[int] = []
        path = f"/v1/works/{work['work_id']}?wait=60&seen=READY"
        waiter = threading.Thread(target=lambda: codes.append(root.get(path).status_code))
        waiter.start()
        other = Client(service.url, root.token)
        until(lambda: 'route="/v1/works/{work_id}"' not in other.get("/metrics").text)
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
        waiter.join(20)
        assert codes == [200]
        for client in (root, other):
            client.session.close()


def test_what_was_accepted_is_there_after_a_kill(tmp_path: Path) -> None:
    password = add_admin(tmp_path)
    accepted: list[str] = []
    token = ""
    for _ in range(3):
        with served(tmp_path, "--no-dispatch") as service:
            if not token:
                root = log_in(service.url, password)
                token = root.token
                root.post("/v1/devices", json={"device_id": "ion0"})
                root.session.close()
            before = len(accepted)
            workers = [threading.Thread(target=create_on, args=(service.url, token, accepted)) for _ in range(4)]
            for worker in workers:
                worker.start()
            until(lambda: len(accepted) >= before + 50)  # noqa: B023  # it is called here and now
            service.process.kill()
            for worker in workers:
                worker.join(30)
    with served(tmp_path, "--no-dispatch") as service:
        client = Client(service.url, token)
        codes = {client.get(f"/v1/works/{work_id}/workload").status_code for work_id in accepted}
        client.session.close()
    assert len(accepted) >= 150
    assert codes == {200}


def create_on(url: str, token: str, accepted: list[str]) -> None:
    """Hand in works until the service is gone; what it said yes to is in the list."""
    client = Client(url, token)
    with contextlib.suppress(requests.RequestException):
        while True:
            order = {"work_id": new_work_id(), "device_id": "ion0", "workload": "x"}
            if client.post("/v1/works", json=order).status_code == 201:
                accepted.append(order["work_id"])
    client.session.close()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "queue.lab.example:8585"])
def test_it_refuses_to_be_reached_without_tls(tmp_path: Path, address: str) -> None:
    refused = conqure("serve", "--site", "laptop", "--state", str(tmp_path / "state"), "--listen", address)
    assert refused.exit_code == 2
    assert "--behind-proxy" in refused.stderr


def test_it_says_when_its_port_is_taken(tmp_path: Path) -> None:
    with served(tmp_path, "--no-dispatch") as service:
        address = service.url.removeprefix("http://")
        other = ["--state", str(tmp_path / "other"), "--store", str(tmp_path / "other.db")]
        refused = conqure("serve", "--site", "laptop", "--listen", address, *other)
        assert refused.exit_code == 2
        assert "cannot listen" in refused.stderr


def test_it_answers_by_https_with_a_certificate(tmp_path: Path) -> None:
    need(shutil.which("openssl"), "openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    password = add_admin(tmp_path)
    with served(tmp_path, "--no-dispatch", "--tls-cert", str(cert), "--tls-key", str(key)) as service:
        assert service.url.startswith("https://")
        root = log_in(service.url, password, verify=str(cert))
        root.session.trust_env, root.session.verify = False, str(cert)
        assert root.get("/v1/me").json()["is_admin"]
        made = root.post("/devices", json={"DeviceName": "ion0"}).json()
        work = root.post("/workloads", json={"DeviceId": made["DeviceId"], "Priority": "LOW"}).json()
        assert work["UploadUrl"].startswith("https://")
        root.session.close()


def test_users_and_devices_are_administrated_by_commands(tmp_path: Path) -> None:
    password = add_admin(tmp_path)
    with served(tmp_path, "--no-dispatch") as service:
        root = log_in(service.url, password)
        env = {"CONQURE_QUEUE_URL": service.url, "CONQURE_QUEUE_TOKEN": root.token}
        root.session.close()

        added = json.loads(conqure("users", "add", "Bob@lab.example", "--name", "Bob", "--json", env=env).stdout)
        assert added["user_id"] == "bob@lab.example"
        log_in_code = requests.post(
            f"{service.url}/v1/login", json={"email": "bob@lab.example", "password": added["password"]}, timeout=30
        ).status_code
        assert log_in_code == 200
        users = json.loads(conqure("users", "list", "--json", env=env).stdout)
        assert [user["user_id"] for user in users] == ["bob@lab.example", ROOT]
        again = conqure("users", "add", "bob@lab.example", env=env)
        assert again.exit_code == 2
        assert "AlreadyThere" in again.stderr
        for words in (("password", "bob@lab.example"), ("disable", "bob@lab.example"), ("enable", "bob@lab.example")):
            done = conqure("users", *words, env=env, input="a new long one\n")
            assert done.exit_code == 0, done.stderr
        assert conqure("users", "remove", "bob@lab.example", env=env).exit_code == 0

        file = tmp_path / "ion0.json"
        made = conqure("devices", "add", "ion0", "--qubits", "11", "--tag", "ion", "--credentials", str(file), env=env)
        assert made.exit_code == 0, made.stderr
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        first = json.loads(file.read_text())
        assert set(first) == {"client_id", "client_secret"}
        assert first["client_secret"] not in made.stdout
        assert conqure("devices", "secret", "ion0", "--credentials", str(file), env=env).exit_code == 0
        assert json.loads(file.read_text()) != first
        assert conqure("devices", "remove", "ion0", env=env).exit_code == 0

        token = conqure("users", "token", "nightly", env=env).stdout.strip()
        client = Client(service.url, token)
        assert client.get("/v1/me").json()["user_id"] == ROOT
        client.session.close()


def test_the_store_itself_can_be_administrated_on_its_machine(tmp_path: Path) -> None:
    add_admin(tmp_path)
    store = ["--store", str(tmp_path / "queue.db")]
    assert conqure("users", "add", "ada@lab.example", *store).exit_code == 0
    assert conqure("users", "password", "ada@lab.example", *store, input="long enough\n").exit_code == 0
    short = conqure("users", "password", "ada@lab.example", *store, input="short\n")
    assert short.exit_code == 2
    assert conqure("users", "disable", "ada@lab.example", *store).exit_code == 0
    users = json.loads(conqure("users", "list", "--json", *store).stdout)
    assert [(user["user_id"], user["is_active"]) for user in users] == [("ada@lab.example", False), (ROOT, True)]
    assert conqure("users", "remove", "nobody@lab.example", *store).exit_code == 2


def test_the_plain_devices_command_lists_the_site(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    assert "DEVICE" in conqure("devices", "--site", "laptop", env=env).stdout
    assert "DEVICE" in conqure("devices", "any", "--site", "laptop", env=env).stdout
