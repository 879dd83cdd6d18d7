"""The device client against a real service: what it runs, what it hands in, and what happens when things break."""

import json
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from conqure.queue.device_runs import DriverRunner
from conqure.queue.held_works import HeldWorks
from conqure.queue.outcome import Outcome
from conqure.queue.work import WorkRecord
from qpu_executors import QPU, QuantumResult, QuantumTask
from qpu_executors.errors import NotLoggedIn
from qpu_executors.testing import BELL

from ..server.conftest import running_service
from .conftest import until


def status(user, work) -> str:
    return user.get(f"/v1/works/{work['work_id']}").json()["status"]


def results(user, work) -> bytes:
    answer = user.get(f"/v1/works/{work['work_id']}/results")
    assert answer.status_code == 200, answer.text
    return answer.content


def ended(user, work, seconds=20):
    """The record, as soon as it is final."""

    def look():
        record = user.get(f"/v1/works/{work['work_id']}?wait=1&seen=EXECUTING").json()
        return record if record["status"] in ("DONE", "ERROR", "CANCELED") else None

    return until(look, seconds)


class TestRunning:
    def test_an_opaque_work_goes_through_the_labs_program(self, service, lab):
        made, _ = service.device("lab0")
        user = service.user()
        with lab.client(service.url, made) as client:
            work = user.create("lab0", "pulse one")
            record = ended(user, work)
            assert (record["status"], record["ran_on"], record["attempts"]) == ("DONE", "lab0", 1)
            assert results(user, work) == b"PULSE ONE"
            until(lambda: client.said("done"))
        assert not list((lab.state / "works").iterdir())

    def test_tasks_run_on_a_driver_whatever_their_selector_says(self, service, lab):
        made, _ = service.device("sv7", tags=["exact"])
        user = service.user()
        with lab.client(service.url, made, DriverRunner(QPU("sv7", "statevector", 7))):
            task = QuantumTask(BELL, shots=100, device_id="tag:exact")
            work = user.create("tag:exact", task.to_json(), format="task")
            assert ended(user, work)["status"] == "DONE"
            result = QuantumResult.from_json(results(user, work))
        assert (result.task_id, result.device_id, sum(result.counts[0].values())) == (task.task_id, "sv7", 100)

    def test_as_many_works_at_once_as_there_are_slots(self, service, lab):
        class Meeting:
            """Each run waits for the other one."""

            slots = 2
            _both = threading.Barrier(2)

            def configuration(self):
                return b"{}"

            def run(self, work, workload, folder, canceled):
                self._both.wait(20)
                return workload

            def close(self): ...

        made, _ = service.device("lab0", slots=2)
        user = service.user()
        with lab.client(service.url, made, Meeting()):
            works = [user.create("lab0", f"part {n}") for n in range(4)]
            assert {ended(user, work)["status"] for work in works} == {"DONE"}

    def test_once_means_one(self, service, lab):
        made, _ = service.device("lab0")
        user = service.user()
        first, second = user.create("lab0", "a"), user.create("lab0", "b")
        with lab.client(service.url, made, once=True) as client:
            client.thread.join(20)
            assert not client.thread.is_alive()
        assert (status(user, first), status(user, second)) == ("DONE", "READY")

    def test_a_failure_says_why_and_a_passing_one_is_tried_three_times(self, service, lab):
        made, _ = service.device("lab0")
        user = service.user()
        with lab.client(service.url, made) as client:
            record = ended(user, user.create("lab0", "exit 3"))
            assert (record["status"], record["error_kind"], record["attempts"]) == ("ERROR", "device_error", 1)
            assert "exit code 3. It said: it is" in record["error"]
            record = ended(user, user.create("lab0", "exit 75"))
            assert (record["status"], record["error_kind"], record["attempts"]) == ("ERROR", "device_fault", 3)
            until(lambda: len(client.said("failed")) == 4)

    def test_whatever_a_driver_raises_is_the_error_of_its_work(self, service, lab):
        class Broken:
            slots = 1

            def configuration(self):
                return b"{}"

            def run(self, work, workload, folder, canceled):
                raise ZeroDivisionError("the laser was divided by zero")

            def close(self): ...

        made, _ = service.device("lab0")
        user = service.user()
        with lab.client(service.url, made, Broken()):
            record = ended(user, user.create("lab0", "x"))
        assert (record["status"], record["error"]) == ("ERROR", "ZeroDivisionError: the laser was divided by zero")


class TestBeingSeen:
    def test_it_shows_what_it_is_and_whether_it_is_there(self, service, lab, tmp_path):
        made, _ = service.device("lab0")
        user = service.user()
        device = lambda: user.get("/v1/devices/lab0").json()  # noqa: E731
        with lab.client(service.url, made) as client:
            until(lambda: device()["status"] == "ONLINE")
            assert user.get("/v1/devices/lab0/configuration").json()["program"].startswith("python")
            go = tmp_path / "go"
            work = user.create("lab0", f"wait {go}")
            until(lambda: device()["status"] == "BUSY")
            go.touch()
            assert ended(user, work)["status"] == "DONE"
            client.stop()
            assert device()["status"] == "OFFLINE"

    def test_it_keeps_its_claim_through_a_run_longer_than_the_devices_timeout(self, service, lab, tmp_path):
        made, _ = service.device("lab0", refresh_timeout_s=1)
        user = service.user()
        with lab.client(service.url, made, beat_s=60):  # it goes by the timeout that it hears of
            work = user.create("lab0", f"wait {tmp_path / 'go'}")
            until(lambda: status(user, work) == "EXECUTING")
            end = time.monotonic() + 2.5
            until(lambda: time.monotonic() > end)
            (tmp_path / "go").touch()
            record = ended(user, work)
        assert (record["status"], record["attempts"]) == ("DONE", 1)

    def test_a_cancel_ends_the_program(self, service, lab, tmp_path):
        made, _ = service.device("lab0")
        user = service.user()
        with lab.client(service.url, made) as client:
            work = user.create("lab0", f"wait {tmp_path / 'never'}")
            until(lambda: status(user, work) == "EXECUTING")
            assert user.post(f"/v1/works/{work['work_id']}/cancel").json()["cancel_requested"]
            record = ended(user, work)
            assert record["status"] == "CANCELED"
            until(lambda: client.said("canceled"))
            assert ended(user, user.create("lab0", "next"))["status"] == "DONE"

    def test_a_token_that_was_revoked_is_replaced(self, service, lab):
        made, _ = service.device("lab0")
        user = service.user()
        with lab.client(service.url, made):
            assert ended(user, user.create("lab0", "a"))["status"] == "DONE"
            service.app.state.service.accounts.revoke(time.time(), device=made["uuid"])
            service.app.state.service.forget()
            assert ended(user, user.create("lab0", "b"))["status"] == "DONE"

    def test_wrong_credentials_end_it_with_advice(self, service, lab):
        made, _ = service.device("lab0")
        with lab.client(service.url, made | {"client_secret": "wrong"}) as client:
            client.thread.join(20)
        assert isinstance(client.error, NotLoggedIn)
        assert "conqure devices secret NAME" in str(client.error)

    def test_new_credentials_end_the_client_that_has_the_old_ones(self, service, lab):
        made, _ = service.device("lab0")
        with lab.client(service.url, made) as client:
            until(lambda: service.admin.get("/v1/devices/lab0").json()["status"] == "ONLINE")
            assert service.admin.post("/v1/devices/lab0/secret").status_code == 200
            client.thread.join(20)
            assert not client.thread.is_alive()
        assert isinstance(client.error, NotLoggedIn)


class TestLosses:
    @pytest.mark.slow
    def test_results_wait_on_disk_for_a_service_that_is_away(self, lab, tmp_path):
        with running_service(tmp_path) as service:
            made, _ = service.device("lab0")
            user = service.user()
            work = user.create("lab0", f"wait {tmp_path / 'go'}")
            port = int(service.url.rpartition(":")[2])
            client = lab.client(service.url, made)
            at_work = client.__enter__()
            until(lambda: status(user, work) == "EXECUTING")
        (tmp_path / "go").touch()
        until(lambda: list(lab.state.glob("works/*/outcome.json")))
        until(lambda: at_work.said("waiting"))
        with running_service(tmp_path, port=port) as service:
            record = ended(service.log_in("ada@lab.example"), work)
            client.__exit__(None, None, None)
        assert (record["status"], record["attempts"]) == ("DONE", 1)
        assert at_work.said("back")

    def test_a_client_that_is_killed_hands_in_after_its_restart_what_has_run(self, service, lab):
        made, _ = service.device("lab0")
        user = service.user()
        work = user.create("lab0", "pulse")
        door = service.device_token(made["client_id"], made["client_secret"])
        (claimed,) = service.client(door).post("/v1/devices/lab0/claim", json={"most": 1}).json()["works"]
        _left_behind(lab.state, claimed, b"PULSE")
        with lab.client(service.url, made) as client:
            assert ended(user, work)["status"] == "DONE"
            until(lambda: client.said("done"))
        assert results(user, work) == b"PULSE"

    @pytest.mark.slow
    def test_a_work_that_ran_when_the_client_was_killed_runs_again_and_its_program_is_gone(
        self, service, lab, tmp_path, starts
    ):
        made, _ = service.device("lab0")
        user = service.user()
        work = user.create("lab0", f"wait {tmp_path / 'go'}")
        first = starts(lab.start(service.url, made))
        messages = lambda: "".join(path.read_text() for path in lab.state.glob("works/*/messages"))  # noqa: E731
        until(lambda: "it is" in messages())
        program = int(messages().split()[2])
        first.kill()
        first.wait()
        assert Path(f"/proc/{program}").exists()  # it is in a session of its own
        second = starts(lab.start(service.url, made))
        until(lambda: not Path(f"/proc/{program}").exists() or _is_zombie(program))
        (tmp_path / "go").touch()
        record = ended(user, work)
        assert (record["status"], record["attempts"]) == ("DONE", 2)
        second.send_signal(signal.SIGTERM)
        out, errors = second.communicate(timeout=30)
        events = [json.loads(line)["event"] for line in out.splitlines()]
        assert (second.returncode, events[:2], set(events[2:]), errors) == (
            0,
            ["failed", "claimed"],
            {"done", "ending"},
            "",
        )

    @pytest.mark.slow
    def test_a_second_ctrl_c_gives_back_what_runs(self, service, lab, tmp_path, starts):
        made, _ = service.device("lab0")
        user = service.user()
        work = user.create("lab0", f"wait {tmp_path / 'never'}")
        client = starts(lab.start(service.url, made))
        until(lambda: status(user, work) == "EXECUTING")
        client.send_signal(signal.SIGINT)
        until(lambda: json.loads(client.stdout.readline())["event"] == "ending")
        client.send_signal(signal.SIGINT)
        assert client.wait(30) == 0
        record = user.get(f"/v1/works/{work['work_id']}").json()
        assert (record["status"], record["attempts"]) == ("READY", 1)
        assert user.get("/v1/devices/lab0").json()["status"] == "OFFLINE"

    def test_a_work_whose_handout_was_lost_on_the_way_is_given_back(self, service, lab):
        made, device = service.device("lab0")
        user = service.user()
        work = user.create("lab0", "pulse")
        as_it = {"X-Conqure-Instance": _instance(lab.state)}
        assert device.post("/v1/devices/lab0/claim", json={}, headers=as_it).json()["works"]  # and nobody hears of it
        with lab.client(service.url, made):
            record = ended(user, work)
        assert (record["status"], record["attempts"]) == ("DONE", 2)

    def test_who_has_left_while_waiting_for_a_work_gets_none(self, service, lab):
        made, device = service.device("lab0")
        user = service.user()
        host, _, port = service.url.removeprefix("http://").partition(":")
        waiting = service.app.state.service.notices._waiting
        with socket.create_connection((host, int(port))) as lost:
            head = f"POST /v1/devices/lab0/claim HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {device.token}\r\n"
            head += "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
            lost.sendall(head.encode() + b'{"wait": 60}')
            until(lambda: waiting)
        work = user.create("lab0", "pulse")
        until(lambda: not waiting)
        assert status(user, work) == "READY"
        with lab.client(service.url, made):
            assert ended(user, work)["attempts"] == 1

    def test_results_that_come_too_late_change_nothing(self, service, lab):
        made, device = service.device("lab0", refresh_timeout_s=1)
        user = service.user()
        work = user.create("lab0", "pulse")
        (claimed,) = device.post("/v1/devices/lab0/claim", json={"most": 1}).json()["works"]
        until(lambda: status(user, work) == "READY")  # it was silent for a second
        _left_behind(lab.state, claimed, b"STALE")
        with lab.client(service.url, made) as client:
            assert ended(user, work)["status"] == "DONE"
            until(lambda: client.said("refused"))
        assert results(user, work) == b"PULSE"

    def test_results_that_are_too_large_are_the_error_of_the_work(self, start, lab):
        service = start(max_workload=1000)
        made, _ = service.device("lab0")
        user = service.user()

        class Large:
            slots = 1

            def configuration(self):
                return b"{}"

            def run(self, work, workload, folder, canceled):
                return b"x" * 2000

            def close(self): ...

        with lab.client(service.url, made, Large()):
            record = ended(user, user.create("lab0", "pulse"))
        assert (record["status"], record["error_kind"]) == ("ERROR", "too_large")


def _left_behind(state: Path, claimed: dict, found: bytes) -> None:
    """What a client that was killed between the run and the handing in leaves on its disk."""
    held = HeldWorks(state)
    work = WorkRecord.from_values(claimed)
    held.begin(work)
    held.end(Outcome(work.work_id, work.attempts), found)
    held.close()


def _instance(state: Path) -> str:
    held = HeldWorks(state)
    held.close()
    return held.instance


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
