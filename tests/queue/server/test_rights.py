"""Who may do what: two users, two devices and an administrator at every route; and nothing leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute

from .conftest import Client, RunningService, running_service

SECRET = "the secret of ada"
OPEN = {  # routes that nobody needs a token for; what they give depends on what is sent
    ("POST", "/v1/login"),
    ("POST", "/v1/refresh"),
    ("POST", "/cognito"),
    ("POST", "/oauth2/token"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/"),
}


@dataclass
class Place:
    """A service with two users, who have a work each, held by a device each."""

    service: RunningService
    root: Client
    ada: Client
    bob: Client
    ion: Client
    atom: Client
    work: str
    others_work: str
    ion_uuid: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_service(tmp_path_factory.mktemp("rights")) as service:
        ada, bob = service.user("ada@lab.example"), service.user("bob@lab.example", full_name="Bob")
        (ion_facts, ion), (_, atom) = service.device("ion0"), service.device("atom0")
        works = [ada.create("ion0", SECRET)["work_id"], bob.create("atom0", "of bob")["work_id"]]
        for name, client in (("ion0", ion), ("atom0", atom)):
            assert len(client.post(f"/v1/devices/{name}/claim", json={}).json()["works"]) == 1
        yield Place(service, service.admin, ada, bob, ion, atom, *works, ion_facts["uuid"])


def of_works(place: Place, work_id: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/v1/works/{work_id}", None),
        ("GET", f"/v1/works/{work_id}/workload", None),
        ("GET", f"/v1/works/{work_id}/results", None),
        ("PUT", f"/v1/works/{work_id}/workload", "x"),
        ("POST", f"/v1/works/{work_id}/cancel", {}),
        ("PUT", f"/v1/works/{work_id}/results?attempt=1", "x"),
        ("POST", f"/v1/works/{work_id}/error", {"attempt": 1, "kind": "x", "message": "x"}),
        ("GET", f"/workloads/{work_id}", None),
    ]


def asked(client: Client, method: str, path: str, body: Any) -> Any:
    return client.ask(method, path, data=body) if isinstance(body, str) else client.ask(method, path, json=body)


@pytest.mark.parametrize("who", ["bob", "atom"])
def test_another_s_work_is_not_there(place: Place, who: str) -> None:
    for method, path, body in of_works(place, place.work):
        answer = asked(getattr(place, who), method, path, body)
        assert answer.status_code in (403, 404), (method, path, answer.status_code)
        assert SECRET not in answer.text
        if answer.status_code == 404 and path.startswith("/v1"):  # the same words as for one that never was
            nothing = asked(getattr(place, who), method, path.replace(place.work, place.ion_uuid), body)
            assert nothing.text.replace(place.ion_uuid, "") == answer.text.replace(place.work, "")


def test_lists_show_own_works_only(place: Place) -> None:
    def seen(client: Client, query: str = "") -> set[str]:
        return {work["work_id"] for work in client.get(f"/v1/works{query}").json()["works"]}

    assert seen(place.ada) == {place.work}
    assert seen(place.bob) == {place.others_work}
    assert seen(place.bob, "?owner=ada@lab.example") == set()
    assert seen(place.root) == {place.work, place.others_work}
    assert seen(place.root, "?owner=ada@lab.example") == {place.work}
    assert (seen(place.ion), seen(place.atom)) == ({place.work}, {place.others_work})
    for client in (place.bob, place.root):
        items = client.get("/workloads?AccountId=ada@lab.example").json()["Items"]
        assert [work["WorkId"] for work in items] == ([] if client is place.bob else [place.work])


def test_only_the_device_itself_acts_as_the_device(place: Place) -> None:
    acts: list[tuple[str, str, Any]] = [
        ("PUT", "/v1/devices/ion0/status", {"status": "ONLINE"}),
        ("PUT", "/v1/devices/ion0/configuration", "x"),
        ("POST", "/v1/devices/ion0/claim", {}),
        ("PUT", f"/devices/{place.ion_uuid}", {"DeviceStatus": "ONLINE", "DeviceConfigurationFileExtension": "json"}),
        ("GET", f"/devices/{place.ion_uuid}/workload", None),
        ("PUT", f"/devices/{place.ion_uuid}/workloads/{place.work}", None),
    ]
    for who in ("ada", "bob", "root", "atom"):
        for method, path, body in acts:
            answer = asked(getattr(place, who), method, path, body)
            assert (answer.status_code, SECRET in answer.text) == (403, False), (who, method, path)


def test_only_administrators_administrate(place: Place) -> None:
    acts: list[tuple[str, str, Any]] = [
        ("POST", "/v1/devices", {"device_id": "evil"}),
        ("DELETE", "/v1/devices/ion0", None),
        ("POST", "/v1/devices/ion0/secret", None),
        ("GET", "/v1/users", None),
        ("POST", "/v1/users", {"email": "evil@lab.example"}),
        ("PUT", "/v1/users/ada@lab.example", {"is_admin": True}),
        ("DELETE", "/v1/users/ada@lab.example", None),
        ("POST", "/users", {"Email": "evil@lab.example", "FullName": "Evil"}),
        ("POST", "/devices", {"DeviceName": "evil"}),
    ]
    for who in ("bob", "ion"):
        for method, path, body in acts:
            assert asked(getattr(place, who), method, path, body).status_code == 403, (who, method, path)


def test_devices_hand_in_no_works_and_have_no_tokens_of_their_own(place: Place) -> None:
    acts: list[tuple[str, str, Any]] = [
        ("POST", "/v1/works", {"device_id": "ion0", "workload": "x"}),
        ("POST", f"/v1/works/{place.work}/cancel", {}),
        ("PUT", "/v1/me/password", {"old": "x", "new": "y"}),
        ("GET", "/v1/tokens", None),
        ("POST", "/v1/tokens", {"name": "x", "days": 1}),
        ("POST", "/workloads", {"DeviceId": "ion0", "Priority": "LOW"}),
        ("GET", "/workloads", None),
    ]
    for method, path, body in acts:
        assert asked(place.ion, method, path, body).status_code == 403, (method, path)


def test_every_route_but_a_few_needs_a_token(place: Place) -> None:
    stranger = place.service.client()
    for method, path in routes(place.service):
        if (method, path) in OPEN or path.startswith("/transfer"):
            continue
        filled = path.format_map(_Parts(place))
        answer = stranger.ask(method, filled, json={})
        assert answer.status_code == 401, (method, path, answer.status_code, answer.text)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_transfer_needs_its_right(place: Place) -> None:
    stranger = place.service.client()
    paths = [path for _, path in routes(place.service) if path.startswith("/transfer")]
    assert paths
    for path in paths:
        for method in ("GET", "PUT"):
            for right in ("", "?right=nothing"):
                filled = path.format_map(_Parts(place)) + right
                assert stranger.ask(method, filled, data="x").status_code in (403, 404), (method, filled)


class _Parts(dict[str, str]):
    """What a path needs, about things that are there."""

    def __init__(self, place: Place) -> None:
        named = {"device": "ion0", "user_id": "ada@lab.example", "token_id": place.work, "part": "workload"}
        super().__init__(named | {"DeviceId": place.ion_uuid, "device_uuid": place.ion_uuid, "uuid": place.ion_uuid})
        self._work = place.work

    def __missing__(self, key: str) -> str:
        return self._work


def routes(service: RunningService) -> list[tuple[str, str]]:
    """Methods and paths of the interface, as the service describes them."""
    described = service.client().get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in described.items() for method in methods if method != "options"]


def test_the_description_has_every_route(place: Place) -> None:
    known = {route.path for route in _api_routes(place.service.app.routes) if route.include_in_schema}
    assert known <= {path for _, path in routes(place.service)} | {"/"}
    assert len(known) > 30


def _api_routes(found: Any) -> Iterator[APIRoute]:
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        else:  # newer versions of FastAPI keep routers as they were included
            yield from _api_routes(getattr(getattr(route, "original_router", None), "routes", ()))


def test_a_device_for_some_users_is_not_for_others(service: RunningService) -> None:
    ada, bob = service.user("ada@lab.example"), service.user("bob@lab.example")
    _, ion = service.device("ion0", users=["ada@lab.example"])
    refused = bob.post("/v1/works", json={"device_id": "ion0", "workload": "x"})
    assert refused.status_code == 403
    service.device("atom0", n_qubits=2)
    theirs, mine = bob.create("any"), ada.create("any")
    got = ion.post("/v1/devices/ion0/claim", json={"most": 10}).json()["works"]
    assert [work["work_id"] for work in got] == [mine["work_id"]]
    assert service.store.get(theirs["work_id"]).status == "READY"


@pytest.mark.parametrize("break_in", ["a removed user", "a closed account", "a removed device"])
def test_rights_end_at_once(service: RunningService, break_in: str) -> None:
    root, ada = service.admin, service.user("ada@lab.example")
    _, ion = service.device("ion0")
    ends: dict[str, tuple[Client, Callable[[], Any]]] = {
        "a removed user": (ada, lambda: root.delete("/v1/users/ada@lab.example")),
        "a closed account": (ada, lambda: root.put("/v1/users/ada@lab.example", json={"is_active": False})),
        "a removed device": (ion, lambda: root.delete("/v1/devices/ion0")),
    }
    client, end = ends[break_in]
    assert client.get("/v1/me").status_code == 200
    assert end().status_code in (200, 204)
    assert client.get("/v1/me").status_code == 401


def test_a_removed_device_takes_its_works_with_it(service: RunningService) -> None:
    ada, (_, ion) = service.user(), service.device("ion0")
    works = [ada.create("ion0", str(n))["work_id"] for n in range(3)]
    ion.post("/v1/devices/ion0/claim", json={})
    assert service.admin.delete("/v1/devices/ion0").status_code == 204
    records = [ada.get(f"/v1/works/{work_id}").json() for work_id in works]
    assert {(r["status"], r["error_kind"]) for r in records} == {("ERROR", "unknown_device")}


def test_an_administrator_cannot_lock_themselves_out(service: RunningService) -> None:
    me = service.admin.get("/v1/me").json()["user_id"]
    for change in ({"is_admin": False}, {"is_active": False}):
        assert service.admin.put(f"/v1/users/{me}", json=change).status_code == 409
    assert service.admin.delete(f"/v1/users/{me}").status_code == 409


def test_qpus_of_the_site_cannot_be_removed_or_impersonated(service: RunningService) -> None:
    service.site_device("sv0")
    assert service.admin.delete("/v1/devices/sv0").status_code == 409
    assert service.admin.post("/v1/devices/sv0/secret").status_code == 409
    assert service.admin.post("/v1/devices", json={"device_id": "sv0"}).status_code == 409
