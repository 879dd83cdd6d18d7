"""The AWS wire, by clients that know nothing else."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator

import pytest
import requests

from .conftest import ADMIN, PASSWORD, RunningService, running_service, until
from .sideqick import CognitoAuth, SideqickDevice, SideqickUser, claims

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def ada(service: RunningService) -> Iterator[SideqickUser]:
    service.user("ada@lab.example")
    user = SideqickUser(service.url, "ada@lab.example", PASSWORD)
    yield user
    user.close()


@pytest.fixture
def root(service: RunningService) -> Iterator[SideqickUser]:
    user = SideqickUser(service.url, ADMIN, PASSWORD)
    yield user
    user.close()


@pytest.fixture
def ion(root: SideqickUser) -> Iterator[SideqickDevice]:
    made = root.add_device("ion0", 30)
    device = SideqickDevice(root.url, made["DeviceId"], made["ClientId"], made["ClientSecret"])
    yield device
    device.close()


def test_a_work_goes_from_an_old_client_to_an_old_device_and_back(ada: SideqickUser, ion: SideqickDevice) -> None:
    ion.update_status("ONLINE", {"soc": 1})
    assert ada.get_soccfg(ion.device_id) == {"soc": 1}
    assert ion.get_workload() is None
    work_id = ada.create_work(io.BytesIO(b"\x1f\x8bpulse"), ion.device_id, "HIGH")
    assert ada.get_work(work_id)["WorkStatus"] == "READY"

    assert ion.get_workload() == (work_id, b"\x1f\x8bpulse")
    assert ada.get_work(work_id)["WorkStatus"] == "EXECUTING"
    assert ion.get_workload() == (work_id, b"\x1f\x8bpulse")  # it crashed and asks again
    ion.update_status("BUSY")
    ion.upload_results(work_id, b"\x89HDF")

    ada.wait_until_done(work_id)
    with ada.get_results(work_id) as results:
        assert results.read() == b"\x89HDF"


def test_a_device_whose_upload_was_cut_off_gets_its_work_again(ada: SideqickUser, ion: SideqickDevice) -> None:
    work_id = ada.create_work(io.BytesIO(b"x"), ion.device_id)
    ion.get_workload()
    answer = ion.session.put(f"{ion.url}/devices/{ion.device_id}/workloads/{work_id}")
    assert set(answer.json()) == {"WorkId", "UploadUrl"}
    assert ada.get_work(work_id)["WorkStatus"] == "UPLOADING"
    assert ion.get_workload() == (work_id, b"x")
    ion.upload_results(work_id, b"y")
    assert ada.get_work(work_id)["WorkStatus"] == "DONE"


def test_results_of_a_work_that_is_not_done_are_refused_by_the_client(ada: SideqickUser, ion: SideqickDevice) -> None:
    work_id = ada.create_work(io.BytesIO(b"x"), ion.device_id)
    with pytest.raises(RuntimeError, match="not in DONE status"):
        ada.get_results(work_id)
    assert requests.get(ada.get_work(work_id)["WorkloadResultUrl"], timeout=30).status_code == 404


def test_the_queue_is_by_priority_and_then_by_the_time_of_upload(ada: SideqickUser, ion: SideqickDevice) -> None:
    slow = ada.session.post(f"{ada.url}/workloads", json={"DeviceId": ion.device_id, "Priority": "LOW"}).json()
    low = ada.create_work(io.BytesIO(b"low"), ion.device_id)
    high = ada.create_work(io.BytesIO(b"high"), ion.device_id, "HIGH")
    requests.put(slow["UploadUrl"], data=b"slow", timeout=30)
    order = []
    while got := ion.get_workload():
        order.append(got[0])
        ion.upload_results(got[0], b"")
    assert order == [high, low, slow["WorkId"]]


def test_devices_look_as_that_service_shows_them(ada: SideqickUser, ion: SideqickDevice) -> None:
    (new,) = ada.get_devices()
    assert set(new) == {"DeviceId", "DeviceName", "DeviceStatus", "LastRefreshed", "RefreshTimeout"}
    assert (new["DeviceStatus"], new["LastRefreshed"], new["RefreshTimeout"]) == ("OFFLINE", 0, 30)
    assert UUID.fullmatch(new["DeviceId"])
    assert "DeviceConfigurationUrl" not in ada._get(f"/devices/{ion.device_id}")
    ion.update_status("BUSY", {})
    one = ada._get(f"/devices/{ion.device_id}")
    assert one["DeviceStatus"] == "BUSY"
    assert ISO.fullmatch(one["LastRefreshed"])
    assert ISO.fullmatch(one["ConfigurationLastRefreshed"])


def test_qpus_of_the_site_have_ids_too(service: RunningService, ada: SideqickUser) -> None:
    service.site_device("sv0")
    (device,) = ada.get_devices()
    assert UUID.fullmatch(device["DeviceId"])
    work_id = ada.create_work(io.BytesIO(b"x"), device["DeviceId"])
    assert service.store.get(work_id).device_id == "sv0"
    assert ada.list_work(device["DeviceId"])[0]["DeviceId"] == device["DeviceId"]


def test_works_are_listed_five_at_a_time_newest_first(ada: SideqickUser, ion: SideqickDevice) -> None:
    made = [ada.create_work(io.BytesIO(b"x"), ion.device_id) for _ in range(12)]
    listed = ada.list_work(ion.device_id)
    assert [work["WorkId"] for work in listed] == made[::-1]
    assert set(listed[0]) == {
        "WorkId", "UserGivenName", "Priority", "DeviceId", "ReadyAt", "WorkStatus", "CreatedAt",
    }  # fmt: skip
    assert (listed[0]["UserGivenName"], listed[0]["DeviceId"]) == ("Ada", ion.device_id)
    assert ISO.fullmatch(listed[0]["CreatedAt"])


def test_an_account_is_what_the_id_token_says(ada: SideqickUser, root: SideqickUser, ion: SideqickDevice) -> None:
    theirs = ada.create_work(io.BytesIO(b"x"), ion.device_id)
    mine = root.create_work(io.BytesIO(b"x"), ion.device_id)
    assert [work["WorkId"] for work in root.list_work(ion.device_id)] == [mine, theirs]
    account = claims(ada.session.auth.tokens["IdToken"])["sub"]  # type: ignore[union-attr]
    assert [work["WorkId"] for work in root.list_work(ion.device_id, account)] == [theirs]
    assert [work["WorkId"] for work in ada.list_work(ion.device_id)] == [theirs]


def test_every_token_can_be_read_with_the_other_base64_alphabet(service: RunningService) -> None:
    service.user("zoe@lab.example", full_name="Zoë ??? ~~~ >>>")
    for _ in range(40):
        auth = CognitoAuth(f"{service.url}/cognito", "zoe@lab.example", PASSWORD)
        auth.initial_auth()
        assert claims(auth.tokens["IdToken"])["email"] == "zoe@lab.example"
        assert claims(auth.tokens["AccessToken"])["exp"] > time.time()


def test_an_old_client_refreshes_its_token(start, tmp_path) -> None:
    service = start(token_s=50.0)
    user = SideqickUser(service.url, ADMIN, PASSWORD)
    user.get_devices()
    user.get_devices()
    assert user.session.auth.calls == ["USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH"]  # type: ignore[union-attr]
    user.close()


def test_a_wrong_password_is_a_failed_login(service: RunningService) -> None:
    with pytest.raises(RuntimeError, match="Login failed"):
        SideqickUser(service.url, ADMIN, "wrong wrong wrong").get_devices()


def test_a_failed_work_is_done_for_clients_that_would_wait_for_ever(
    service: RunningService, ada: SideqickUser, ion: SideqickDevice
) -> None:
    work_id = ada.create_work(io.BytesIO(b"x"), ion.device_id)
    service.admin.post(f"/v1/works/{work_id}/cancel", json={"reason": "the trap is open"})
    ada.wait_until_done(work_id)
    with ada.get_results(work_id) as results:
        document = json.loads(results.read())
    assert "the trap is open" in str(document)
    assert ada.list_work(ion.device_id)[0]["WorkStatus"] == "DONE"

    ada.session.headers["X-Conqure-Client"] = "1"  # a client that knows better
    assert ada.get_work(work_id)["WorkStatus"] == "CANCELED"
    assert ada.list_work(ion.device_id)[0]["WorkStatus"] == "CANCELED"


def test_the_switch_for_old_clients_can_be_off(tmp_path) -> None:
    with running_service(tmp_path, legacy_done=False) as service:
        root = SideqickUser(service.url, ADMIN, PASSWORD)
        work_id = root.create_work(io.BytesIO(b"x"), root.add_device("ion0")["DeviceId"])
        service.admin.post(f"/v1/works/{work_id}/cancel", json={})
        assert root.get_work(work_id)["WorkStatus"] == "CANCELED"
        root.close()


def test_a_silent_device_is_offline_and_its_work_goes_round(
    service: RunningService, ada: SideqickUser, root: SideqickUser
) -> None:
    made = root.add_device("quick", 1)
    device = SideqickDevice(service.url, made["DeviceId"], made["ClientId"], made["ClientSecret"])
    device.update_status("ONLINE")
    work_id = ada.create_work(io.BytesIO(b"x"), made["DeviceId"])
    assert device.get_workload()
    until(lambda: ada.get_devices()[0]["DeviceStatus"] == "OFFLINE")
    until(lambda: ada.get_work(work_id)["WorkStatus"] == "READY")
    assert device.get_workload() == (work_id, b"x")
    device.close()


def test_what_is_unknown_is_404_and_what_is_wrong_is_400(ada: SideqickUser, ion: SideqickDevice) -> None:
    for path in ("/workloads/nothing", "/devices/nothing", f"/workloads/{ion.device_id}"):
        answer = ada.session.get(ada.url + path)
        assert (answer.status_code, list(answer.json())) == (404, ["ErrorMessage"])
    for body in ({"DeviceId": ion.device_id}, {"DeviceId": ion.device_id, "Priority": "URGENT"}, []):
        assert ada.session.post(f"{ada.url}/workloads", json=body).status_code == 400
    unknown = ada.session.post(f"{ada.url}/workloads", json={"DeviceId": "nothing", "Priority": "LOW"})
    assert unknown.status_code == 404
    other = ion.session.put(f"{ion.url}/devices/{ion.device_id}/workloads/{ion.device_id}")
    assert other.status_code == 404


def test_web_pages_elsewhere_may_ask(ada: SideqickUser) -> None:
    asked = ada.session.options(f"{ada.url}/workloads")
    assert asked.status_code == 200
    for answer in (asked, ada.session.get(f"{ada.url}/devices"), requests.get(f"{ada.url}/devices", timeout=30)):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "*" in answer.headers["Access-Control-Allow-Headers"]


def test_an_address_is_good_for_one_object_one_verb_and_a_while(start) -> None:
    service = start(transfer_s=4.0)
    root = SideqickUser(service.url, ADMIN, PASSWORD)
    device = root.add_device("ion0")["DeviceId"]
    made = root.session.post(f"{service.url}/workloads", json={"DeviceId": device, "Priority": "LOW"}).json()
    other = root.session.post(f"{service.url}/workloads", json={"DeviceId": device, "Priority": "LOW"}).json()
    url = made["UploadUrl"]
    assert requests.get(url, timeout=30).status_code == 403
    assert requests.put(url.replace(made["WorkId"], other["WorkId"]), data=b"x", timeout=30).status_code == 403
    # Not its last character, some bits of which mean nothing.
    forged = url[:-9] + ("A" if url[-9] != "A" else "B") + url[-8:]
    assert requests.put(forged, data=b"x", timeout=30).status_code == 403
    assert requests.put(url, data=b"x", timeout=30).status_code == 200
    until(lambda: requests.put(url, data=b"x", timeout=30).status_code == 403)
    root.close()
