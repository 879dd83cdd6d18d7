"""Tokens: what they say, when they end, and that nothing else is one."""

from __future__ import annotations

import base64
import json
import stat
import time

import jwt
import pytest

from conqure.queue.server import passwords

from .conftest import ADMIN, PASSWORD, RunningService, running_service, until


def test_a_login_ends_when_it_is_logged_out(service: RunningService) -> None:
    granted = service.client().post("/v1/login", json={"email": ADMIN, "password": PASSWORD}).json()
    client = service.client(granted["token"])
    assert client.get("/v1/me").json()["user_id"] == ADMIN
    assert client.post("/v1/logout").status_code == 204
    assert client.get("/v1/me").status_code == 401
    refused = service.client().post("/v1/refresh", json={"refresh_token": granted["refresh_token"]})
    assert refused.status_code == 401


def test_a_refresh_token_gives_another_token(service: RunningService) -> None:
    granted = service.client().post("/v1/login", json={"email": ADMIN.upper(), "password": PASSWORD}).json()
    again = service.client().post("/v1/refresh", json={"refresh_token": granted["refresh_token"]}).json()
    assert service.client(again["token"]).get("/v1/me").status_code == 200
    assert service.client(granted["refresh_token"]).get("/v1/me").status_code == 401  # it refreshes, and does not act


def test_a_token_is_over_when_its_time_is(start) -> None:
    service = start(token_s=1.0)
    client = service.log_in(ADMIN)
    assert client.get("/v1/me").status_code == 200
    until(lambda: client.get("/v1/me").status_code == 401, 5)


def test_a_new_password_ends_all_logins(service: RunningService) -> None:
    ada, other = service.user(), service.log_in("ada@lab.example")
    wrong = ada.put("/v1/me/password", json={"old": "wrong", "new": "another long one"})
    assert wrong.status_code in (401, 403)
    assert ada.put("/v1/me/password", json={"old": PASSWORD, "new": "short"}).status_code == 400
    assert ada.put("/v1/me/password", json={"old": PASSWORD, "new": "another long one"}).status_code == 204
    assert (ada.get("/v1/me").status_code, other.get("/v1/me").status_code) == (401, 401)
    service.log_in("ada@lab.example", "another long one")


def test_personal_tokens_are_made_listed_and_ended(service: RunningService) -> None:
    ada, bob = service.user("ada@lab.example"), service.user("bob@lab.example")
    made = ada.post("/v1/tokens", json={"name": "laptop", "days": 30}).json()
    script = service.client(made["token"])
    assert script.get("/v1/me").json()["user_id"] == "ada@lab.example"
    (listed,) = ada.get("/v1/tokens").json()["tokens"]
    assert (listed["name"], "token" in listed) == ("laptop", False)
    assert bob.delete(f"/v1/tokens/{made['token_id']}").status_code == 404
    assert ada.delete(f"/v1/tokens/{made['token_id']}").status_code == 204
    assert script.get("/v1/me").status_code == 401


def test_a_token_that_another_process_ended_is_refused_after_a_moment(service: RunningService) -> None:
    ada = service.user()
    assert ada.get("/v1/me").status_code == 200
    from conqure.queue.server.accounts import Accounts
    from conqure.queue.store import open_store

    store = open_store(service.store.url)
    try:
        Accounts(store).revoke(time.time(), user_id="ada@lab.example")
        until(lambda: ada.get("/v1/me").status_code == 401, 8)
    finally:
        store.close()


def test_new_credentials_of_a_device_end_the_old_ones(service: RunningService) -> None:
    made, ion = service.device("ion0")
    new = service.admin.post("/v1/devices/ion0/secret").json()
    assert ion.get("/v1/me").status_code == 401
    form = {"grant_type": "client_credentials"}
    old = service.client().post("/oauth2/token", data=form, auth=(made["client_id"], made["client_secret"]))
    assert (old.status_code, old.json()["error"]) == (401, "invalid_client")
    service.device_token(new["client_id"], new["client_secret"])


def test_nobody_else_can_make_a_token(service: RunningService) -> None:
    good = service.log_in(ADMIN).token
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    forged = [
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{body}.{signature[::-1]}",
        jwt.encode(claims, "0" * 32, algorithm="HS256"),
        jwt.encode(claims, "0" * 64, algorithm="HS512"),
        good + "x",
        "x" * 5000,
        "..",
        "",
    ]
    for token in forged:
        assert service.client().get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401, token


def test_an_id_token_does_not_act(service: RunningService) -> None:
    body = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": ADMIN, "PASSWORD": PASSWORD}}
    result = service.client().post("/cognito", json=body).json()["AuthenticationResult"]
    assert service.client(result["IdToken"]).get("/v1/me").status_code == 401
    assert service.client(result["AccessToken"]).get("/v1/me").status_code == 200


@pytest.mark.slow
def test_tokens_and_works_outlive_the_service(tmp_path) -> None:
    with running_service(tmp_path) as service:
        ada, (made, _) = service.user(), service.device("ion0")
        token, work = ada.token, ada.create("ion0", "kept")
    key = tmp_path / "state" / "service.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with running_service(tmp_path) as service:
        ada = service.client(token)
        assert ada.get(f"/v1/works/{work['work_id']}/workload").content == b"kept"
        service.device_token(made["client_id"], made["client_secret"])
    key.unlink()
    with running_service(tmp_path) as service:
        assert service.client(token).get("/v1/me").status_code == 401


def test_nothing_that_is_kept_gives_access(service: RunningService, tmp_path) -> None:
    made, _ = service.device("ion0")
    granted = service.client().post("/v1/login", json={"email": ADMIN, "password": PASSWORD}).json()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("queue.db*"))
    for secret in (PASSWORD, made["client_secret"], granted["token"], granted["refresh_token"]):
        assert secret.encode() not in kept


@pytest.mark.parametrize("email", ["nobody@lab.example", ADMIN])
def test_a_wrong_login_says_nothing_about_who_exists(service: RunningService, email: str) -> None:
    answer = service.client().post("/v1/login", json={"email": email, "password": "wrong wrong"})
    assert answer.status_code == 401
    assert "do not go together" in answer.json()["error"]["message"]


class TestPasswords:
    def test_carry_their_parameters_and_a_salt(self) -> None:
        one, other = passwords.hashed("long enough"), passwords.hashed("long enough")
        assert one != other
        assert one.startswith("scrypt$")
        assert passwords.fits("long enough", one)
        assert not passwords.fits("long enougH", one)

    def test_of_nobody_take_as_long_and_never_fit(self) -> None:
        assert not passwords.fits("", "")
        assert not passwords.fits("x", "scrypt$30$8$1$AA==$AA==")  # would take a gigabyte
        assert not passwords.fits("x", "nonsense")
