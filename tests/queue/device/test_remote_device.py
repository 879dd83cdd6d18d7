"""The driver `queue`: a QPU of another laboratory's queue as a QPU of this site."""

import json
import subprocess
import sys
import threading
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from conqure.queue.device_runs import DriverRunner
from conqure.queue.remote_device import QueueDevice
from qpu_executors import QPU, HeldDevice, InvalidSite, InvalidTask, QuantumTask, Site, open_device, registry, run
from qpu_executors.device import RemoteDevice
from qpu_executors.errors import DeviceFault, NotLoggedIn, WorkCanceled, WorkTimeout
from qpu_executors.testing import BELL

from ..server.conftest import running_service
from .conftest import until


@pytest.fixture(autouse=True)
def _the_driver_is_installed(monkeypatch):
    known = registry._entry_points() | {
        "queue": EntryPoint("queue", "conqure.queue.remote_device:QueueDevice", registry.GROUP)
    }
    monkeypatch.setattr(registry, "_entry_points", lambda: known)


@pytest.fixture
def ada(service, tmp_path):
    """A user of the other laboratory's queue, and the file with her personal token."""
    user = service.user()
    token = user.post("/v1/tokens", json={"name": "for the other site", "days": 2}).json()["token"]
    (tmp_path / "lab.token").write_text(token)
    (tmp_path / "lab.token").chmod(0o600)
    return user


@pytest.fixture
def site(service, ada, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(f"""
[queue]
url = "{service.url}"
token_file = "{tmp_path / "lab.token"}"

[qpu.lab_ion0]
driver = "queue"
qubits = 11
reach = "queue"
slots = 4
options = {{ device_id = "ion0" }}
""")
    return path


def held(site, **options) -> HeldDevice:
    qpu = Site.load(site).qpu("lab_ion0")
    return HeldDevice(QPU("lab_ion0", "queue", 11, options={**qpu.options, **options}))


def works(ada, n=1):
    """The works of the queue, newest first, once there are so many."""
    return until(lambda: len(found := ada.get("/v1/works").json()["works"]) >= n and found)


class TestASiteWithAQPUElsewhere:
    def test_conqure_run_gives_counts(self, service, lab, site, tmp_path):
        from conqure.cli import app

        made, _ = service.device("ion0", 11)
        (tmp_path / "bell.json").write_text(BELL)
        words = ["run", str(tmp_path / "bell.json"), "--site", str(site), "--shots", "200", "--seed", "1", "--json"]
        with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
            done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout)
        assert result["device_id"] == "lab_ion0"
        assert sum(result["counts"][0].values()) == 200
        assert result["metadata"]["device_id"] == "ion0"

    def test_its_pool_waits_there_with_as_many_circuits_as_it_has_slots(self, service, lab, site, ada):
        from conqure import open_engine

        made, _ = service.device("ion0", 11)
        with open_engine("threads", Site.load(site)) as engine:
            futures = [engine.qpus.submit(run, QuantumTask(BELL, shots=10, task_id=f"t{n}")) for n in range(5)]
            assert len(works(ada, 4)) == 4
            with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
                results = [future.result(60) for future in futures]
        assert [result.task_id for result in results] == [f"t{n}" for n in range(5)]
        assert len({result.metadata["work_id"] for result in results}) == 5

    def test_where_its_queue_is_stands_once_in_the_file(self, site, service):
        assert Site.load(site).qpu("lab_ion0").options == {
            "url": service.url,
            "token_file": str(site.parent / "lab.token"),
            "device_id": "ion0",
        }


TASK = QuantumTask(BELL, shots=50, task_id="the-task")


class TestTheSameTaskAgain:
    def test_is_the_same_work_whatever_is_known_here(self, service, lab, site, ada, monkeypatch, tmp_path):
        made, _ = service.device("ion0", 11)
        with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
            results = []
            for machine in ("one", "one", "two"):
                monkeypatch.setenv("CONQURE_SUBMISSIONS", str(tmp_path / machine))
                device = held(site)
                results.append(device.run(TASK))
                device.close()
        assert len({str(result.counts) for result in results}) == 1
        (work,) = works(ada)
        assert {result.metadata["work_id"] for result in results} == {work["work_id"]}
        assert {result.metadata["remote_id"] for result in results} == {work["work_id"]}

    def test_is_found_by_its_key(self, service, site, ada):
        service.device("ion0", 11)
        device = open_device(Site.load(site).qpu("lab_ion0"))
        assert isinstance(device, RemoteDevice)
        assert device.find("a key") == ""
        work_id = device.submit((BELL, "gates"), ((),), 10, None, "a key")
        assert device.find("a key") == work_id
        assert device.submit((BELL, "gates"), ((),), 10, None, "a key") == work_id
        assert len(works(ada)) == 1
        device.close()

    def test_is_another_work_after_the_first_one_was_canceled(self, service, lab, site, ada):
        made, _ = service.device("ion0", 11)
        device = held(site, timeout_s=0.3)
        with pytest.raises(WorkTimeout):
            device.run(TASK)
        device.close()
        device = held(site)
        with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
            assert sum(device.run(TASK).counts[0].values()) == 50
        device.close()
        assert [work["status"] for work in works(ada)] == ["DONE", "CANCELED"]

    def test_is_the_same_work_after_the_program_that_waited_was_killed(self, service, lab, site, ada):
        made, _ = service.device("ion0", 11)
        words = [sys.executable, "-c", WAITS, str(site), TASK.to_json()]
        with subprocess.Popen(words) as program:
            works(ada)
            program.kill()
        device = held(site)
        with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
            assert sum(device.run(TASK).counts[0].values()) == 50
        device.close()
        assert len(works(ada)) == 1


WAITS = """
import sys
from qpu_executors import HeldDevice, QuantumTask, Site
from conqure.queue.remote_device import QueueDevice

qpu = Site.load(sys.argv[1]).qpu("lab_ion0")
HeldDevice(qpu, QueueDevice("lab_ion0", 11, **qpu.options)).run(QuantumTask.from_json(sys.argv[2]))
"""


class TestErrors:
    def test_are_those_of_the_qpu_there(self, service, lab, site, ada):
        class Failing:
            slots = 1
            errors = iter([InvalidTask("that gate is none of mine"), *[DeviceFault("the trap is warm")] * 3])

            def configuration(self):
                return b"{}"

            def run(self, work, workload, folder, canceled):
                raise next(self.errors)

            def close(self): ...

        made, _ = service.device("ion0", 11)
        device = held(site)
        with lab.client(service.url, made, Failing()):
            with pytest.raises(InvalidTask, match="that gate is none of mine") as refused:
                device.run(QuantumTask(BELL))
            with pytest.raises(DeviceFault, match="the trap is warm") as failed:
                device.run(QuantumTask(BELL))
        device.close()
        assert (refused.value.transient, failed.value.transient) == (False, True)
        assert works(ada)[0]["work_id"] in str(failed.value)

    def test_a_work_that_takes_too_long_is_canceled_there(self, service, site, ada):
        service.device("ion0", 11)
        device = held(site, timeout_s=0.3)
        with pytest.raises(WorkTimeout, match=r"not done in 0\.3 s"):
            device.run(QuantumTask(BELL))
        device.close()
        assert [work["status"] for work in works(ada)] == ["CANCELED"]

    def test_a_work_that_is_canceled_there_is_canceled_here(self, service, site, ada):
        service.device("ion0", 11)
        device = held(site)
        found = _in_background(device, QuantumTask(BELL))
        ada.post(f"/v1/works/{works(ada)[0]['work_id']}/cancel", json={"reason": "the trap is open"})
        with pytest.raises(WorkCanceled, match="the trap is open"):
            found()
        device.close()

    def test_closing_it_cancels_what_somebody_waits_for(self, service, site, ada):
        service.device("ion0", 11)
        device = held(site)
        found = _in_background(device, QuantumTask(BELL))
        works(ada)
        device.close()
        with pytest.raises(WorkCanceled):
            found()
        assert works(ada)[0]["status"] == "CANCELED"

    @pytest.mark.slow
    def test_a_restart_of_that_queue_is_waited_out(self, lab, tmp_path):
        with running_service(tmp_path) as service:
            made, _ = service.device("ion0", 11)
            token = service.admin_token
            port = int(service.url.rpartition(":")[2])
            (tmp_path / "t").write_text(token)
            (tmp_path / "t").chmod(0o600)
            device = QueueDevice("far", 11, device_id="ion0", url=service.url, token_file=str(tmp_path / "t"))
            found = _in_background(HeldDevice(QPU("far", "queue", 11), device), QuantumTask(BELL, shots=10))
            works(service.admin)
        with running_service(tmp_path, port=port) as service:
            with lab.client(service.url, made, DriverRunner(QPU("ion0", "statevector", 11))):
                assert sum(found().counts[0].values()) == 10
            assert len(works(service.admin)) == 1
            device.close()

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"url": ""}, InvalidSite, r"\[qpu.far.options\] lacks url"),
            ({"token_file": ""}, InvalidSite, "lacks token_file. Write it in"),
            ({"priority": "URGENT"}, InvalidSite, "priority must be one of HIGH, MEDIUM, LOW"),
            ({"token_file": "/no/such.token"}, NotLoggedIn, "such.token cannot be read"),
        ],
    )
    def test_a_mistake_in_its_options_is_named(self, tmp_path, options, error, message):
        (tmp_path / "t").write_text("token")
        (tmp_path / "t").chmod(0o600)
        given = {"url": "http://127.0.0.1:1", "token_file": str(tmp_path / "t")} | options
        with pytest.raises(error, match=message):
            QueueDevice("far", 11, **given)


def _in_background(device: HeldDevice, task: QuantumTask):
    """Runs a task in a thread; what comes of it is got by calling what this returns."""
    outcome = []

    def work():
        try:
            outcome.append(device.run(task))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def found():
        thread.join(60)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return found
