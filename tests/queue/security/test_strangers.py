"""Two users, two devices and an admin try each other's works through every route that takes an id, on both doors."""

import re
from collections.abc import Iterator

import pytest

from .conftest import RESULTS, SECRET, Client, Town

# What a request of a route must say to be taken seriously; routes without a body need none.
BODIES = {
    "PUT /v1/works/{work_id}/workload": b"mine",
    "PUT /v1/works/{work_id}/results": b"mine",
    "POST /v1/works/{work_id}/cancel": {"reason": "because"},
    "POST /v1/works/{work_id}/error": {"attempt": 1, "message": "mine"},
    "PUT /v1/devices/{device}/status": {"status": "ONLINE"},
    "PUT /v1/devices/{device}/configuration": b"{}",
    "POST /v1/devices/{device}/claim": {"most": 10},
    "PUT /v1/users/{user_id}": {"is_admin": True, "password": "a new password"},
    "PUT /devices/{DeviceId}": {"DeviceStatus": "ONLINE", "DeviceConfigurationFileExtension": "json"},
}
# What is everybody's to see: that there is a device, and what it says about itself.
FOR_ALL = {
    "GET /v1/devices/{device}",
    "GET /v1/devices/{device}/configuration",
    "GET /devices/{DeviceId}",
}
QUERIES = {"PUT /v1/works/{work_id}/results": "?attempt=1"}


def routes(town: Town) -> list[str]:
    """Every route of the service with an id in it, as its description says."""
    paths = town.service.client().get("/openapi.json").json()["paths"]
    return [
        f"{verb.upper()} {path}"
        for path, verbs in paths.items()
        for verb in verbs
        if "{" in path and verb != "options" and not path.startswith("/transfer/")  # see test_transfers
    ]


def attempts(town: Town, route: str) -> Iterator[str]:
    """The paths that a route stands for, with ids of Ada's and of ion0."""
    path = route.partition(" ")[2]
    token = town.ada.post("/v1/tokens", json={"name": "hers", "days": 1}).json()["token_id"]
    made = town.devices["ion0"]
    known = {
        "work_id": [work["work_id"] for work in town.works],
        "device": ["ion0", made["uuid"], made["uuid"].upper()],
        "user_id": ["ada@lab.example"],
        "token_id": [token],
    }
    known |= {"WorkId": known["work_id"], "DeviceId": known["device"]}
    paths = [path]
    for name in re.findall(r"{(\w+)", path):
        assert name in known, f"{route} has an id that this test does not know"
        paths = [re.sub(rf"{{{name}[^}}]*}}", value, each) for each in paths for value in known[name]]
    yield from (each + QUERIES.get(route, "") for each in paths)


def ask(client: Client, route: str, path: str):
    body = BODIES.get(route)
    said = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    return client.ask(route.partition(" ")[0], path, **said)


def belongings(town: Town) -> object:
    works = [town.ada.get(f"/v1/works/{work['work_id']}").json() for work in town.works]
    results = town.ada.get(f"/v1/works/{town.done['work_id']}/results").content
    device = {k: v for k, v in town.admin.get("/v1/devices/ion0").json().items() if k != "refreshed_at"}
    tokens = [token["name"] for token in town.ada.get("/v1/tokens").json()["tokens"]]
    users = town.admin.get("/v1/users").json()
    return works, results, device, set(tokens), users


@pytest.mark.parametrize("who", ["bob", "trap", "nobody"])
def test_nobody_gets_at_what_is_not_theirs(town: Town, who: str):
    client = town.service.client() if who == "nobody" else getattr(town, who)
    found = [(route, list(attempts(town, route))) for route in routes(town)]
    assert sum(len(paths) for _, paths in found) > 40
    before = belongings(town)
    for route, paths in found:
        for path in paths:
            answer = ask(client, route, path)
            assert answer.status_code < 500, (path, answer.text)
            if who != "nobody" and route in FOR_ALL:
                assert answer.status_code in (200, 403), path
                assert town.devices["ion0"]["client_id"] not in answer.text
            else:
                wanted = {401} if who == "nobody" else {403, 404}
                assert answer.status_code in wanted, (route, path, answer.status_code, answer.text)
            for secret in (SECRET, RESULTS):
                assert secret not in answer.content
    assert belongings(town) == before


def test_a_work_of_somebody_else_looks_like_one_that_is_not_there(town: Town):
    hers, none = town.done["work_id"], "00000000-0000-4000-8000-000000000000"
    for path in ("/v1/works/{}", "/v1/works/{}/results", "/v1/works/{}/workload", "/workloads/{}"):
        one, other = (town.bob.get(path.format(work_id)) for work_id in (hers, none))
        assert one.status_code == other.status_code == 404
        assert one.text.replace(hers, "") == other.text.replace(none, "")


def test_lists_show_ones_own(town: Town):
    for path in ("/v1/works", "/v1/works?owner=ada@lab.example", "/v1/works?device_id=ion0", "/workloads"):
        for client in (town.bob, town.trap):
            answer = client.get(path)
            assert answer.status_code in (200, 403)
            assert not [work for work in town.works if work["work_id"] in answer.text], path
    assert town.bob.get("/workloads", params={"AccountId": "ada@lab.example"}).json() == {"Items": []}
    assert len(town.ion.get("/v1/works").json()["works"]) == 1  # what it is running, nothing else of Ada's


def test_an_id_that_is_taken_is_no_way_in(town: Town):
    work_id = town.waiting["work_id"]
    for workload in (SECRET.decode(), "another"):
        answer = town.bob.post("/v1/works", json={"work_id": work_id, "device_id": "ion0", "workload": workload})
        assert answer.status_code == 409
        assert "ada" not in answer.text
    assert town.ada.get(f"/v1/works/{work_id}").json()["owner"] == "ada@lab.example"


def test_an_admin_sees_works_and_acts_for_no_device(town: Town):
    assert town.admin.get(f"/v1/works/{town.done['work_id']}/results").content == RESULTS
    assert town.admin.put(f"/v1/works/{town.running['work_id']}/results?attempt=1", data=b"x").status_code == 403
    assert town.admin.post("/v1/devices/ion0/claim", json={}).status_code == 403
    assert town.admin.put("/v1/devices/ion0/status", json={"status": "ONLINE"}).status_code == 403


def test_a_device_gets_nothing_but_its_own_works(town: Town):
    assert town.trap.post("/v1/devices/trap0/claim", json={"most": 100}).json() == {"works": []}
    for verb, path, body in (
        ("POST", "/v1/works", {"device_id": "ion0", "workload": "x"}),
        ("POST", "/workloads", {"DeviceId": "ion0", "Priority": "LOW"}),
        ("POST", "/v1/tokens", {"name": "x", "days": 1}),
        ("GET", "/v1/users", None),
        ("POST", f"/v1/works/{town.running['work_id']}/cancel", {}),
    ):
        assert town.ion.ask(verb, path, json=body).status_code == 403, path


def test_a_device_loses_its_work_with_its_attempt(town: Town):
    work_id = town.running["work_id"]
    passing = {"attempt": 1, "kind": "device_fault", "message": "warm", "transient": True}
    assert town.ion.post(f"/v1/works/{work_id}/error", json=passing).json()["status"] == "READY"
    assert town.ion.put(f"/v1/works/{work_id}/results?attempt=1", data=b"late").status_code == 404
    (again,) = town.ion.post("/v1/devices/ion0/claim", json={"most": 1}).json()["works"]
    assert (again["work_id"], again["attempts"]) == (work_id, 2)
    assert town.ion.put(f"/v1/works/{work_id}/results?attempt=1", data=b"late").status_code == 409
    assert town.ion.put(f"/v1/works/{work_id}/results?attempt=2", data=b"right").json()["status"] == "DONE"


def test_users_have_no_rights_of_admins(town: Town):
    for verb, path, body in (
        ("GET", "/v1/users", None),
        ("POST", "/v1/users", {"email": "eve@lab.example"}),
        ("POST", "/v1/devices", {"device_id": "eve0"}),
        ("DELETE", "/v1/devices/ion0", None),
        ("POST", "/v1/devices/ion0/secret", None),
        ("DELETE", "/v1/users/bob@lab.example", None),
        ("POST", "/users", {"Email": "eve@lab.example", "FullName": "Eve"}),
        ("POST", "/devices", {"DeviceName": "eve0"}),
        ("PUT", "/v1/users/ada@lab.example", {"is_admin": True}),
    ):
        answer = town.ada.ask(verb, path, json=body)
        assert answer.status_code == 403, (path, answer.text)


def test_a_device_for_some_users_takes_works_of_no_others(town: Town):
    _, private = town.service.device("private0", users=["bob@lab.example"])
    assert town.ada.post("/v1/works", json={"device_id": "private0", "workload": "x"}).status_code == 403
    for work_id in (town.ada.create("qubits>=1")["work_id"], town.ada.create("any")["work_id"]):
        assert private.post("/v1/devices/private0/claim", json={"most": 100}).json() == {"works": []}
        assert town.ada.get(f"/v1/works/{work_id}").json()["status"] == "READY"
    mine = town.bob.create("private0")
    assert private.post("/v1/devices/private0/claim", json={}).json()["works"][0]["work_id"] == mine["work_id"]


def test_rights_end_with_the_account_the_login_and_the_device(town: Town):
    token = town.bob.token
    personal = town.bob.post("/v1/tokens", json={"name": "script", "days": 1}).json()["token"]
    assert town.admin.put("/v1/users/bob@lab.example", json={"is_active": False}).status_code == 200
    for each in (token, personal):
        assert town.service.client(each).get("/v1/works").status_code == 401
    assert town.ada.post("/v1/logout").status_code == 204
    assert town.ada.get("/v1/works").status_code == 401
    assert town.admin.delete("/v1/devices/trap0").status_code == 204
    assert town.trap.post("/v1/devices/trap0/claim", json={}).status_code == 401
