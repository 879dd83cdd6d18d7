"""The AWS interface, through its own doors of a real service: a client that has only SideQICK's configuration files."""

import base64
import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from qiskit import QuantumCircuit

from conqure import InvalidWork, NotAllowed, NotLoggedIn, WorkCanceled, WorkNotDone
from conqure.queue.cognito import tokens_file
from conqure.queue.user_client import UserClient

from ..server.conftest import ADMIN, PASSWORD, Client, RunningService


@pytest.fixture
def lab(service: RunningService) -> tuple[str, Client]:
    """The UUID of a device, and who acts for it."""
    made, client = service.device("fpga-1")
    return made["uuid"], client


def configure(home: Path, url: str, username: str, device: str = "") -> None:
    (home / ".config").mkdir(exist_ok=True)
    text = f"[service]\ncognito_url={url}/cognito\nclientid=c\ncognito_userpool=p\napi_endpoint={url}\n"
    text += f"oauth_endpoint={url}\n[user]\nusername={username}\n"
    (home / ".config/qick.conf").write_text(text + (f"[device]\nid={device}\n" if device else ""))


@pytest.fixture
def aws(
    service: RunningService, home: Path, lab: tuple[str, Client], monkeypatch: pytest.MonkeyPatch
) -> Iterator[UserClient]:
    service.user()
    configure(home, service.url, "ada@lab.example", lab[0])
    monkeypatch.setenv("CONQURE_QUEUE_PASSWORD", PASSWORD)
    with UserClient() as client:
        yield client


def deliver(lab: Client, results: bytes) -> bytes:
    """What a lab's device does with its next work; returns the workload."""
    (work,) = lab.post("/v1/devices/fpga-1/claim", json={}).json()["works"]
    workload = lab.get(f"/v1/works/{work['work_id']}/workload").content
    lab.put(f"/v1/works/{work['work_id']}/results?attempt={work['attempts']}", data=results)
    return workload


def test_a_script_for_sideqick_runs_with_its_import_changed(
    aws: UserClient, lab: tuple[str, Client], capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.BytesIO(b"....pulses")
    file.read(4)
    work_id = aws.create_work(file, priority="LOW")
    assert file.closed
    with pytest.raises(RuntimeError, match="^get_results error: workload is not in DONE status$"):
        aws.get_results(work_id)
    assert aws.get_work(work_id)["WorkStatus"] == "READY"
    assert deliver(lab[1], b"\x89HDF") == b"....pulses"
    aws.wait_until_done(work_id, 0.05)
    assert capsys.readouterr().out.endswith("workload is DONE\n")
    with aws.get_results(work_id) as results:
        assert results.read() == b"\x89HDF"


def test_the_records_of_both_worlds_can_be_read(aws: UserClient) -> None:
    work_id = aws.create_work(io.BytesIO(b"x"), priority="HIGH")
    work = aws.get_work(work_id)
    assert {"WorkId", "WorkStatus", "CreatedAt", "ReadyAt", "WorkloadUrl", "WorkloadResultUrl"} <= set(work)
    assert (work.work_id, work.status) == (work_id, "READY")
    with pytest.raises(AttributeError):
        work.nothing  # noqa: B018
    several = [aws.create_work(io.BytesIO(b"y")) for _ in range(7)]
    assert [found.work_id for found in aws.list_work()] == [*several[::-1], work_id]
    assert [found.work_id for found in aws.list_work(priority="HIGH", limit=5)] == [work_id]


def test_errors_of_the_interface_are_logged_and_none_is_returned(
    aws: UserClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert aws.create_work(io.BytesIO(b"x"), device_id="ion7") is None
        assert aws.get_work("5e8d0a52-0000-4000-8000-000000000000") is None
        assert aws.get_soccfg() is None
        assert aws.add_user("eve@lab.example", "Eve") is None
    said = [record.getMessage() for record in caplog.records if "API error" in record.getMessage()]
    assert [line.split(",")[0] for line in said] == [
        "CreateWork API error: 404",
        "GetWork API error: 404",
        "GetDevice API error: 404",
        "AddUser API error: 403",
    ]


def test_devices_and_their_configuration(aws: UserClient, lab: tuple[str, Client]) -> None:
    assert {device["DeviceName"]: device["DeviceStatus"] for device in aws.get_devices()}["fpga-1"] == "OFFLINE"
    lab[1].put("/v1/devices/fpga-1/configuration?extension=json", data=b'{"fs": 430}')
    assert aws.get_soccfg() == aws.get_soccfg(lab[0]) == {"fs": 430}


def test_an_admin_is_shown_what_users_and_devices_put_into_their_files(
    service: RunningService,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(home, service.url, ADMIN)
    monkeypatch.setenv("CONQURE_QUEUE_PASSWORD", PASSWORD)
    with UserClient() as admin:
        assert admin.add_user("eve@lab.example", "Eve") is None
        assert admin.add_device("fpga-2", 30) is None
        shown = capsys.readouterr().out
        assert "[user]\nusername = eve@lab.example\n" in shown
        assert "[credentials]\nid = " in shown
        words = dict(line.split(" = ") for line in shown.splitlines() if " = " in line)
        assert service.device_token(words["id"], words["secret"])
        assert admin.list_work(device_id="fpga-2") == []
        with pytest.raises(InvalidWork, match="which device"):
            admin.get_soccfg()


def test_our_client_hears_how_a_work_really_ended(
    aws: UserClient, service: RunningService, lab: tuple[str, Client]
) -> None:
    work_id = aws.create_work(io.BytesIO(b"x"))
    service.admin.post(f"/v1/works/{work_id}/cancel", json={"reason": "the trap is cold"})
    with pytest.raises(WorkCanceled, match="the trap is cold"):
        aws.wait_until_done(work_id, 0.05, False)
    with pytest.raises(NotAllowed, match="has no way to"):
        aws.cancel_work(work_id)


def test_circuits_go_this_way_too(aws: UserClient, service: RunningService, bell: QuantumCircuit) -> None:
    work_id = aws.create_work(bell, "sv0", shots=20)
    aws.wait_until_done(work_id, 0.05, False, timeout=60)
    assert aws.get_results(work_id).shots == 20
    future = aws.submit([bell, bell], "sv0", shots=3)
    assert [result.shots for result in future.result(timeout=60)] == [3, 3]


def test_results_of_other_devices_are_arrays(aws: UserClient, lab: tuple[str, Client]) -> None:
    work_id = aws.create_work(b"pulses")
    deliver(lab[1], b"[[0, 1]]")
    assert numpy.asarray(aws.get_results(work_id)).tolist() == [[0, 1]]


def test_tokens_are_kept_for_the_next_program_and_for_nobody_else(
    aws: UserClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.get_devices()
    assert tokens_file() == home / ".cache/qick.tokens"
    assert stat.S_IMODE(tokens_file().stat().st_mode) == 0o600
    monkeypatch.setenv("CONQURE_QUEUE_PASSWORD", "wrong")
    with UserClient() as next_one:
        assert next_one.get_devices()


def test_a_token_that_is_nearly_over_is_refreshed_without_the_password(
    aws: UserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.get_devices()
    kept = json.loads(tokens_file().read_text())
    over = base64.b64encode(json.dumps({"exp": 1}).encode()).decode().rstrip("=")
    tokens_file().write_text(json.dumps(kept | {"AccessToken": f"a.{over}.b"}))
    monkeypatch.setenv("CONQURE_QUEUE_PASSWORD", "wrong")
    with UserClient() as next_one:
        assert next_one.get_devices()
    tokens_file().write_text(json.dumps(kept | {"AccessToken": f"a.{over}.b", "RefreshToken": "revoked"}))
    with UserClient() as refused, pytest.raises(NotLoggedIn, match="Login failed"):
        refused.get_devices()
    monkeypatch.setenv("CONQURE_QUEUE_PASSWORD", PASSWORD)
    with UserClient() as asks:
        assert asks.get_devices()


def test_tokens_of_another_user_are_not_used(aws: UserClient, service: RunningService, home: Path) -> None:
    aws.get_devices()
    service.user("eve@lab.example")
    configure(home, service.url, "eve@lab.example")
    with UserClient() as eve:
        work_id = aws.create_work(b"mine")
        assert eve.get_work(work_id) is None  # not hers


def test_without_a_terminal_or_a_variable_there_is_no_password(
    aws: UserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONQURE_QUEUE_PASSWORD")

    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    with pytest.raises(NotLoggedIn, match="Set CONQURE_QUEUE_PASSWORD"):
        aws.get_devices()


def test_results_before_the_end_are_refused_as_our_error_too(aws: UserClient) -> None:
    with pytest.raises(WorkNotDone):
        aws.get_results(aws.create_work(b"x"))
