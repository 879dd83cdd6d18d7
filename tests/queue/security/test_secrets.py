"""What is secret is in no log, no error and no file that others can read."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conqure.queue.server.service import Service

from .conftest import PASSWORD, RESULTS, SECRET, Town, running_service, until


def everything(town: Town) -> dict[str, str]:
    """All kinds of requests, good and bad; the secrets that were in them or in their answers."""
    ada, admin, stranger = town.ada, town.admin, town.service.client()
    login = stranger.post("/v1/login", json={"email": "bob@lab.example", "password": PASSWORD}).json()
    stranger.post("/v1/login", json={"email": "bob@lab.example", "password": "a wrong password"})
    stranger.post("/v1/login", json={"email": "nobody@lab.example", "password": "another wrong password"})
    stranger.post("/v1/login", data=b'{"password": "in no JSON', headers={"Content-Type": "application/json"})
    stranger.post("/v1/refresh", json={"refresh_token": login["refresh_token"]})
    stranger.post("/v1/refresh", json={"refresh_token": "a refresh token of nobody"})
    cognito = {"USERNAME": "bob@lab.example", "PASSWORD": PASSWORD}
    aws = {"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": "x", "AuthParameters": cognito}
    tokens = stranger.post("/cognito", json=aws).json()["AuthenticationResult"]
    personal = ada.post("/v1/tokens", json={"name": "script", "days": 1}).json()["token"]
    made = admin.post("/v1/users", json={"email": "eve@lab.example"}).json()["password"]
    fresh = admin.post("/v1/devices/ion0/secret").json()["client_secret"]
    device = town.devices["trap0"]
    stranger.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=(device["client_id"], "wrong secret")
    )
    form = {
        "grant_type": "client_credentials",
        "client_id": device["client_id"],
        "client_secret": device["client_secret"],
    }
    stranger.post("/oauth2/token", data=form)
    stranger.ask("GET", "/v1/works?token=a-token-in-a-query", headers={"Authorization": "Bearer a-token-of-nobody"})
    stranger.get("/web/login?password=a-password-in-a-query")
    stranger.post("/web/login", data={"email": "bob@lab.example", "password": "a password in a form"})
    ada.put("/v1/me/password", json={"old": "the wrong old one", "new": "the next one of Ada"})
    urls = ada.get(f"/workloads/{town.done['work_id']}").json()
    stranger.get(urls["WorkloadUrl"])
    stranger.get(urls["WorkloadUrl"] + "x")
    ada.get(f"/v1/works/{town.done['work_id']}/results")
    ada.put(f"/v1/works/{town.done['work_id']}/workload", data=b"the secret of a refused upload")
    return {
        "password": PASSWORD,
        "login": login["token"],
        "refresh token": login["refresh_token"],
        "AccessToken": tokens["AccessToken"],
        "IdToken": tokens["IdToken"],
        "RefreshToken": tokens["RefreshToken"],
        "personal token": personal,
        "made password": made,
        "new secret": fresh,
        "client secret": device["client_secret"],
        "right in a URL": urls["WorkloadUrl"].partition("right=")[2],
        "workload": SECRET.decode(),
        "results": RESULTS.decode(),
        "typed": "wrong",
        "in a query": "in-a-query",
        "in a form": "in a form",
        "in no JSON": "in no JSON",
        "in an upload": "refused upload",
        "of nobody": "of-nobody",
    }


def test_the_log_has_no_secrets(town: Town, log: list[str]):
    secrets = everything(town)
    text = "\n".join(log)
    assert text.count("answered") > 20
    assert '"route":"/v1/login"' in text
    assert not [name for name, secret in secrets.items() if secret in text]


def test_neither_has_the_log_of_a_request_that_we_failed_on(
    town: Town, log: list[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Service, "change", broken)
    answer = town.ada.post("/v1/works", json={"device_id": "ion0", "workload": "Ada's other pulse"})
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "kind": "error",
        "message": "the service failed on this request; its log says why.",
    }
    text = until(lambda: "\n".join(log) if "a mistake of ours" in "\n".join(log) else "")
    assert "Ada's other pulse" not in text
    assert town.ada.token not in text


def test_the_database_has_no_secret_that_can_be_used(town: Town, tmp_path: Path):
    secrets = everything(town)
    text = b"".join(path.read_bytes() for path in tmp_path.glob("queue.db*"))
    payloads = {"workload", "results"}
    found = [name for name, secret in secrets.items() if name not in payloads and secret.encode() in text]
    assert not found
    assert b"scrypt$" in text


@pytest.mark.slow
def test_what_the_service_writes_is_for_its_account_alone(tmp_path: Path):
    """Also with a umask that lets everybody read."""
    state = tmp_path / "state"
    words = ["serve", "--site", "laptop", "--no-dispatch", "--listen", "127.0.0.1:0", "--state", str(state), "--json"]
    command = [sys.executable, "-m", "conqure", *words]
    before = os.umask(0)
    try:
        service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        os.umask(before)
    try:
        assert json.loads(service.stdout.readline())["url"]
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]}
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
    assert {path.name for path in modes} >= {"state", "service.key", "queue.db"}
    assert not {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    from qpu_executors.errors import StoreError

    with running_service(tmp_path):
        pass
    (tmp_path / "state" / "service.key").chmod(0o640)
    with pytest.raises(StoreError, match="chmod 600"), running_service(tmp_path):
        pass


def test_answers_with_secrets_are_kept_by_no_cache(town: Town):
    login = {"email": "bob@lab.example", "password": PASSWORD}
    for answer in (
        town.service.client().post("/v1/login", json=login),
        town.ada.post("/v1/tokens", json={"name": "script", "days": 1}),
        town.admin.post("/v1/users", json={"email": "eve@lab.example"}),
        town.admin.post("/v1/devices", json={"device_id": "new0"}),
        town.admin.post("/v1/devices/new0/secret"),
        town.admin.post("/devices", json={"DeviceName": "new1"}),
        town.ada.get(f"/v1/works/{town.done['work_id']}/results"),
        town.ada.get(f"/v1/works/{town.done['work_id']}"),
    ):
        assert answer.ok
        assert answer.headers.get("Cache-Control") == "no-store", answer.url
