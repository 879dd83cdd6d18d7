"""Guessing: it takes as long whatever is wrong, says the same, and comes to an end."""

import base64
import hashlib
import json

import pytest

from conqure.queue.server import passwords

from .conftest import PASSWORD, Town

LOGIN = "/v1/login"


def attempt(client, email: str, password: str):
    return client.post(LOGIN, json={"email": email, "password": password})


def test_a_stranger_learns_by_no_clock_who_has_an_account(town: Town, monkeypatch: pytest.MonkeyPatch):
    """Every attempt costs the same hash; the clock itself would be too rough a judge."""
    accounts = town.service.app.state.service.accounts
    accounts.change_user("bob@lab.example", password=passwords.hashed("a password of Bob's own"))
    accounts.add_user("new@lab.example", "New")  # who has no password yet
    names = ["bob@lab.example", "nobody@lab.example", "new@lab.example", "", "x" * 200]
    costs: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counted(text, **parameters):
        costs.append((parameters["n"], parameters["r"], parameters["p"]))
        return scrypt(text, **parameters)

    monkeypatch.setattr(passwords.hashlib, "scrypt", counted)
    client = town.service.client()
    answers = [attempt(client, name or "   ", "wrong") for name in names]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert costs == [(1 << 15, 8, 3)] * len(names)


def test_what_is_said_is_the_same_whatever_is_wrong(town: Town):
    client = town.service.client()
    town.admin.put("/v1/users/bob@lab.example", json={"is_active": False})
    said = {
        attempt(client, email, password).text
        for email, password in (
            ("ada@lab.example", "wrong"),
            ("nobody@lab.example", "wrong"),
            ("bob@lab.example", PASSWORD),
            ("ADA@LAB.EXAMPLE", ""),
        )
    }
    assert len(said) == 1
    device = town.devices["ion0"]
    form = {"grant_type": "client_credentials"}
    pairs = [(device["client_id"], "wrong"), ("nobody", "wrong"), ("", ""), (device["client_id"], "")]
    assert len({client.post("/oauth2/token", data=form, auth=pair).text for pair in pairs}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("door", ["v1", "cognito", "web", "oauth2", "password"])
def test_attempts_come_to_an_end(start, door: str):
    service = start(logins_per_minute=5)
    made, _ = service.device("ion0")
    user = service.user()
    client = service.client()

    def once(right: bool = False):
        password = PASSWORD if right else "wrong"
        if door == "v1":
            return attempt(client, "ada@lab.example", password)
        if door == "cognito":
            given = {"USERNAME": "Ada@lab.example ", "PASSWORD": password}
            return client.post("/cognito", json={"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": given})
        if door == "web":
            return _web_login(client, password)
        if door == "password":
            return user.put("/v1/me/password", json={"old": password, "new": "a new password"})
        secret = made["client_secret"] if right else "wrong"
        form = {"grant_type": "client_credentials"}
        return client.post("/oauth2/token", data=form, auth=(made["client_id"], secret))

    codes = [once().status_code for _ in range(8)]
    assert codes[-1] == 429, codes
    assert codes.count(429) >= 3
    refused = once(right=True)  # and the right one is of no use any more, for a minute
    assert refused.status_code == 429
    if door != "web":
        assert 1 <= int(refused.headers["Retry-After"]) <= 60


@pytest.mark.slow
def test_one_address_cannot_try_all_accounts(start):
    service = start(logins_per_minute=2)
    client = service.client()
    codes = [attempt(client, f"user{number}@lab.example", "wrong").status_code for number in range(25)]
    assert 429 in codes


def test_tokens_that_are_none_come_to_an_end(start):
    service = start(logins_per_minute=1)
    codes = [service.client(f"token{number}").get("/v1/works").status_code for number in range(15)]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_requests_of_one_user_come_to_an_end_and_others_go_on(start):
    service = start(requests_per_minute=20)
    ada, bob = service.user(), service.user("bob@lab.example")
    codes = [ada.get("/v1/me").status_code for _ in range(30)]
    assert (codes[0], codes[-1]) == (200, 429)
    assert bob.get("/v1/me").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "HS384"},
        {"alg": "RS256"},
        {"alg": "HS256", "kid": "../../dev/null"},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": ""}},
    ],
)
def test_a_token_is_believed_only_as_we_sign_it(town: Town, change: dict):
    head, claims, signature = town.ada.token.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert set(said) <= {"sub", "sid", "use", "iat", "exp", "door"}
    forged = {"sub": "root@lab.example", "use": "access"}
    other_head = _part({"typ": "JWT", **change})
    for token in (
        f"{other_head}.{claims}.",
        f"{other_head}.{claims}.{signature}",
        f"{head}.{_part(said | forged)}.{signature}",
        f"{head}.{_part(said | {'exp': said['exp'] + 10**6})}.{signature}",
        f"{other_head}.{_part(said | forged)}.",
    ):
        assert town.service.client(token).get("/v1/me").status_code == 401


def test_the_id_token_of_the_aws_wire_is_no_access_token(town: Town):
    given = {"USERNAME": "bob@lab.example", "PASSWORD": PASSWORD}
    tokens = town.service.client().post("/cognito", json={"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": given})
    result = tokens.json()["AuthenticationResult"]
    assert town.service.client(result["IdToken"]).get("/v1/me").status_code == 401
    assert town.service.client(result["RefreshToken"]).get("/v1/me").status_code == 401
    assert town.service.client(result["AccessToken"]).get("/v1/me").json()["user_id"] == "bob@lab.example"


def _part(values: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _web_login(client, password: str):
    """As a browser does it: the page's form with its hidden fields, and its cookie."""
    import re

    page = client.get("/web/login").text
    fields = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
    said = fields | {"email": "ada@lab.example", "password": password}
    return client.post("/web/login", data=said, allow_redirects=False)
