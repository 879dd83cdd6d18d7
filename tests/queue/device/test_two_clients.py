"""Two clients of one device at the same time, on one real service: each has its own works, and leaves the other's."""

import signal
from pathlib import Path

import pytest

from conqure.queue.held_works import HeldWorks

from ..server.sideqick import SideqickDevice
from .conftest import until
from .test_client import ended, results, status


@pytest.fixture
def both(service, lab, tmp_path):
    """A device of two computers, and a work that runs on the first of them."""
    made, device = service.device("lab0", slots=2)
    user = service.user()
    with lab.client(service.url, made, state=tmp_path / "first") as first:
        work = user.create("lab0", f"wait {tmp_path / 'go'}")
        until(lambda: status(user, work) == "EXECUTING")
        yield made, device, user, first, work


def test_a_second_client_neither_gives_back_nor_runs_what_the_first_one_has(service, lab, tmp_path, both):
    made, _, user, first, work = both
    with lab.client(service.url, made, state=tmp_path / "second") as second:  # it looks when it starts and when it ends
        other = user.create("lab0", "pulse")
        assert ended(user, other)["status"] == "DONE"
        until(lambda: second.said("done"))
        record = user.get(f"/v1/works/{work['work_id']}").json()
        assert (record["status"], record["attempts"]) == ("EXECUTING", 1)
        assert not second.said("failed") + second.said("refused")
    record = user.get(f"/v1/works/{work['work_id']}").json()
    assert (record["status"], record["attempts"]) == ("EXECUTING", 1)  # also when the second has left
    assert service.admin.get("/v1/devices/lab0").json()["status"] == "BUSY"
    (tmp_path / "go").touch()
    assert ended(user, work)["attempts"] == 1
    until(lambda: first.said("done"))
    assert not first.said("refused")


def test_a_cancel_reaches_the_client_that_runs_the_work(service, lab, tmp_path, both):
    made, _, user, first, work = both
    with lab.client(service.url, made, state=tmp_path / "second") as second:
        assert ended(user, user.create("lab0", "pulse"))["status"] == "DONE"  # it has looked, and takes works
        user.post(f"/v1/works/{work['work_id']}/cancel")
        assert ended(user, work)["status"] == "CANCELED"
        until(lambda: first.said("canceled"))
        assert not second.said("canceled") + second.said("refused") + second.said("failed")


def test_a_client_cannot_answer_for_the_work_of_another_one(service, both):
    _, device, user, _, work = both
    path = f"/v1/works/{work['work_id']}"
    for headers in ({}, {"X-Conqure-Instance": "another"}):
        assert device.put(f"{path}/results?attempt=1", data=b"mine", headers=headers).status_code == 409
        fault = {"attempt": 1, "message": "mine", "transient": True}
        assert device.post(f"{path}/error", json=fault, headers=headers).status_code == 409
        assert device.get("/v1/works", headers=headers).json()["works"] == []
    assert status(user, work) == "EXECUTING"


def test_a_heartbeat_of_one_client_keeps_no_claims_of_another_that_fell_silent(service, lab, tmp_path):
    made, device = service.device("lab0", refresh_timeout_s=1)
    user = service.user()
    work = user.create("lab0", "pulse")
    gone = {"X-Conqure-Instance": "gone"}
    assert device.post("/v1/devices/lab0/claim", json={}, headers=gone).json()["works"]
    with lab.client(service.url, made, state=tmp_path / "second"):
        record = ended(user, work)
    assert (record["status"], record["attempts"]) == ("DONE", 2)
    assert results(user, work) == b"PULSE"


def test_a_client_of_the_aws_wire_and_one_of_ours_leave_each_other_alone(service, lab, tmp_path, both, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    made, _, user, first, work = both
    other = SideqickDevice(service.url, made["uuid"], made["client_id"], made["client_secret"])
    assert other.get_workload() is None  # not the work that the first client runs
    held = f"{other.url}/devices/{other.device_id}/workloads/{work['work_id']}"
    assert other.session.put(held).status_code == 409
    theirs = user.create("lab0", "pulse")  # the first one has a single slot, which is taken
    assert other.get_workload() == (theirs["work_id"], b"pulse") == other.get_workload()
    other.upload_results(theirs["work_id"], b"by the other")
    assert results(user, theirs) == b"by the other"
    other.update_status("OFFLINE")
    assert service.admin.get("/v1/devices/lab0").json()["status"] == "BUSY"
    (tmp_path / "go").touch()
    assert ended(user, work)["attempts"] == 1
    until(lambda: first.said("done"))
    assert not first.said("refused")
    other.close()


@pytest.mark.slow
def test_a_client_that_is_killed_has_its_works_again_after_its_restart_and_only_those(
    service, lab, tmp_path, both, starts
):
    made, _, user, first, work = both
    lab.state = tmp_path / "second"
    theirs = user.create("lab0", f"wait {tmp_path / 'go on'}")
    killed = starts(lab.start(service.url, made))
    until(lambda: status(user, theirs) == "EXECUTING")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    restarted = starts(lab.start(service.url, made))
    until(lambda: user.get(f"/v1/works/{theirs['work_id']}").json()["attempts"] == 2)
    Path(tmp_path / "go on").touch()
    assert ended(user, theirs)["status"] == "DONE"
    record = user.get(f"/v1/works/{work['work_id']}").json()
    assert (record["status"], record["attempts"]) == ("EXECUTING", 1)
    restarted.send_signal(signal.SIGTERM)
    assert restarted.wait(30) == 0
    (tmp_path / "go").touch()
    assert ended(user, work)["attempts"] == 1
    assert not first.said("refused")


def test_a_folder_keeps_the_name_of_its_client(tmp_path):
    names = []
    for folder in ("a", "a", "b"):
        held = HeldWorks(tmp_path / folder)
        names.append(held.instance)
        held.close()
    assert names[0] == names[1] != names[2]
    (tmp_path / "a" / "instance").write_text("half")
    held = HeldWorks(tmp_path / "a")
    held.close()
    assert held.instance not in (*names, "half")
