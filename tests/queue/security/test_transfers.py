"""URLs that carry a right: for one verb on one object, for a while, and not a bit more."""

import time
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from .conftest import RESULTS, SECRET, Town, answer, raw, until


@pytest.fixture
def urls(town: Town) -> dict[str, str]:
    """A URL of each kind, as their owners get them."""
    made = town.ada.post("/workloads", json={"DeviceId": town.devices["ion0"]["uuid"], "Priority": "LOW"}).json()
    done = town.ada.get(f"/workloads/{town.done['work_id']}").json()
    uuid = town.devices["ion0"]["uuid"]
    device = town.ion.put(
        f"/devices/{uuid}", json={"DeviceStatus": "BUSY", "DeviceConfigurationFileExtension": "json"}
    ).json()
    upload = town.ion.put(f"/devices/{uuid}/workloads/{town.running['work_id']}").json()
    return {
        "PUT workload": made["UploadUrl"],
        "GET workload": done["WorkloadUrl"],
        "GET results": done["WorkloadResultUrl"],
        "PUT results": upload["UploadUrl"],
        "PUT configuration": device["UploadUrl"],
        "GET configuration": town.ada.get(f"/devices/{uuid}").json()["DeviceConfigurationUrl"],
    }


def test_a_url_does_what_it_is_for_without_a_token(town: Town, urls: dict[str, str]):
    stranger = town.service.client()
    assert stranger.get(urls["GET workload"]).content == SECRET
    assert stranger.get(urls["GET results"]).content == RESULTS
    for name in ("PUT workload", "PUT results", "PUT configuration"):
        assert stranger.put(urls[name], data=b"{}").status_code == 200, name
    assert town.ada.get(f"/v1/works/{town.running['work_id']}/results").content == b"{}"


def test_a_right_is_for_one_verb_on_one_object(town: Town, urls: dict[str, str]):
    stranger = town.service.client()
    for name, url in urls.items():
        verb, right = name.split()[0], urlsplit(url).query
        assert stranger.ask("GET" if verb == "PUT" else "PUT", url, data=b"x").status_code == 403, name
        for other, other_url in urls.items():
            if urlsplit(other_url).path != urlsplit(url).path:
                answer = stranger.ask(verb, f"{town.service.url}{urlsplit(other_url).path}?{right}", data=b"x")
                assert answer.status_code == 403, (name, other)


def test_no_change_of_a_url_goes_unnoticed(town: Town, urls: dict[str, str]):
    stranger = town.service.client()
    for name, url in urls.items():
        verb = name.split()[0]
        (right,) = parse_qs(urlsplit(url).query)["right"]
        place = url.partition("?")[0]
        for number in range(0, len(right), max(1, len(right) // 40)):
            other = "A" if right[number] != "A" else "B"
            changed = right[:number] + other + right[number + 1 :]
            answer = stranger.ask(verb, f"{place}?right={quote(changed)}", data=b"x")
            # The last character of base64 may hold bits that mean nothing.
            assert answer.status_code == 403 or number == len(right) - 1, (name, number)
        for changed in ("", right[:-10], f"{right}.x", ".".join(reversed(right.split("."))), right.upper()):
            assert stranger.ask(verb, f"{place}?right={quote(changed)}", data=b"x").status_code in (400, 403), name
        assert stranger.ask(verb, place, data=b"x").status_code in (400, 403, 422), name


def test_a_path_leads_nowhere_else(town: Town, urls: dict[str, str]):
    """Whatever dots and slashes a path has, the right names one object."""
    url = urls["GET results"]
    right, mine = urlsplit(url).query, town.done["work_id"]
    for place in (
        f"works/{mine}/../{town.running['work_id']}/workload",
        f"works/{mine}/results/../workload",
        f"works/{mine}//results",
        f"works/{mine}/results/",
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "works/%2e%2e/service.key",
        f"works/{mine}%00/results",
        f"devices/{town.devices['ion0']['uuid']}/configuration",
        "",
    ):
        with raw(town.service) as connection:
            connection.sendall(
                f"GET /transfer/{place}?{right} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            said = answer(connection)
        assert said.split()[1] in (b"403", b"404", b"405", b"400"), (place, said[:200])
        assert RESULTS not in said
        assert b"root:" not in said


@pytest.mark.slow
def test_a_right_is_over_after_a_while(start):
    service = start(transfer_s=1.0)
    service.device("ion0")
    user = service.user()
    url = user.post("/workloads", json={"DeviceId": "ion0", "Priority": "LOW"}).json()["UploadUrl"]
    until(lambda: service.client().put(url + "x").status_code == 403)
    end = time.monotonic() + 2.2  # the signature counts whole seconds
    until(lambda: time.monotonic() > end)
    late = service.client().put(url, data=b"x")
    assert late.status_code == 403
    assert "over" in late.json()["ErrorMessage"]


def test_a_right_to_results_ends_with_the_attempt(town: Town, urls: dict[str, str]):
    work_id = town.running["work_id"]
    passing = {"attempt": 1, "kind": "device_fault", "message": "warm", "transient": True}
    assert town.ion.post(f"/v1/works/{work_id}/error", json=passing).status_code == 200
    assert town.service.client().put(urls["PUT results"], data=b"late").status_code == 409
    town.ion.post("/v1/devices/ion0/claim", json={"most": 1})
    assert town.service.client().put(urls["PUT results"], data=b"late").status_code == 409
    assert town.ada.get(f"/v1/works/{work_id}").json()["status"] == "EXECUTING"


def test_a_workload_is_taken_once(town: Town, urls: dict[str, str]):
    stranger = town.service.client()
    assert stranger.put(urls["PUT workload"], data=b"first").status_code == 200
    assert stranger.put(urls["PUT workload"], data=b"first").status_code == 200
    assert stranger.put(urls["PUT workload"], data=b"second").status_code == 409


def test_a_token_is_no_right_and_a_right_is_no_token(town: Town, urls: dict[str, str]):
    (right,) = parse_qs(urlsplit(urls["GET results"]).query)["right"]
    assert town.service.client(right).get("/v1/works").status_code == 401
    place = urls["GET results"].partition("?")[0]
    assert town.service.client().get(f"{place}?right={town.ada.token}").status_code == 403
