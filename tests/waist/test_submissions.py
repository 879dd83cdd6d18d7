"""What is submitted once: the records of submissions, and what becomes of them when somebody dies in between."""

import os
import pickle
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qpu_executors import (
    QPU,
    DeviceError,
    DeviceFault,
    HeldDevice,
    QPUThreadPool,
    QuantumTask,
    RemoteFailed,
    open_device,
    run,
    submissions,
)
from qpu_executors.device import RemoteDevice
from qpu_executors.registry import driver
from qpu_executors.testing import BELL, ROTATION, DeviceContract

from .vendor import Vendor

TASK = QuantumTask(BELL, shots=100, seed=1, task_id="the-task")


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def records() -> list[Path]:
    return list(submissions._folder().glob("*/conqure-*.json"))


class TestTheVendorsDriver(DeviceContract):
    qpu = QPU("vendor0", "vendor", 10)

    @pytest.fixture
    def held(self, vendor: Vendor) -> HeldDevice:
        return HeldDevice(vendor.qpu())

    def test_it_is_a_remote_device(self, vendor: Vendor) -> None:
        assert isinstance(open_device(vendor.qpu()), RemoteDevice)


class TestTheSameTaskAgain:
    def test_is_submitted_once_and_has_the_same_counts(self, vendor: Vendor) -> None:
        first, again = HeldDevice(vendor.qpu()).run(TASK), HeldDevice(vendor.qpu()).run(TASK)
        assert first.counts == again.counts
        assert first.metadata["remote_id"] == again.metadata["remote_id"] == "job-1"
        assert (vendor.submissions, vendor.shots_billed) == (1, 100)

    def test_by_two_workers_at_once_is_submitted_once(self, vendor: Vendor) -> None:
        vendor.behave(hold=True)
        workers = [HeldDevice(vendor.qpu()) for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            futures = [threads.submit(worker.run, TASK) for worker in workers]
            until(lambda: vendor.submissions)
            vendor.behave(hold=False)
            ids = {future.result().metadata["remote_id"] for future in futures}
        assert (len(ids), vendor.submissions) == (1, 1)

    def test_is_another_one_with_other_rows_shots_seed_or_name(self, vendor: Vendor) -> None:
        held = HeldDevice(vendor.qpu())
        for changes in ({}, {"shots": 10}, {"seed": 2}, {"task_id": "another"}, {"parameter_values": [[], []]}):
            held.run(TASK.replace(**changes))
        assert vendor.submissions == 5

    def test_is_submitted_anew_after_the_machine_failed(self, vendor: Vendor) -> None:
        held = HeldDevice(vendor.qpu())
        vendor.behave(fail=2)
        for number in (1, 2):
            with pytest.raises(RemoteFailed, match=f"job-{number} on .* failed: the laser was off"):
                held.run(TASK)
        assert held.run(TASK).metadata["remote_id"] == "job-3"
        assert held.run(TASK).metadata["remote_id"] == "job-3"
        assert vendor.shots_billed == 100
        keys = [held.device.find(submissions.key_of(TASK, failures)) for failures in (0, 1, 2)]  # type: ignore[attr-defined]
        assert keys == ["job-1", "job-2", "job-3"], "a key means one submission"

    def test_attaches_to_what_runs_where_only_the_network_was_lost(self, vendor: Vendor) -> None:
        held = HeldDevice(vendor.qpu())
        vendor.behave(hold=True)
        with ThreadPoolExecutor(1) as thread:
            lost = thread.submit(held.run, TASK)
            until(lambda: vendor.submissions and submissions.submissions())
            vendor.behave(offline=True)
            with pytest.raises(DeviceFault, match="answers 503"):
                lost.result(60)
        vendor.behave(offline=False, hold=False)
        assert held.run(TASK).metadata["remote_id"] == "job-1"
        assert vendor.submissions == 1


DIES_BETWEEN = """
import os, sys
from qpu_executors import HeldDevice, QPU, QuantumTask, open_device

qpu = QPU("vendor0", "vendor", 10, options={"url": sys.argv[1]})
device = open_device(qpu)
submit = device.submit

def submit_and_die(*arguments):
    submit(*arguments)
    os._exit(7)

device.submit = submit_and_die
HeldDevice(qpu, device).run(QuantumTask.from_json(sys.argv[2]))
"""


def die_between_the_two_writes(vendor: Vendor) -> None:
    done = subprocess.run([sys.executable, "-c", DIES_BETWEEN, vendor.url, TASK.to_json()], timeout=60)
    assert (done.returncode, vendor.submissions) == (7, 1)
    assert [(one.task_id, one.remote_id) for one in submissions.submissions()] == [("the-task", "")]


class TestAProgramThatDiesBetweenTheTwoWrites:
    def test_is_found_by_its_key_where_the_machine_can_be_asked(self, vendor: Vendor) -> None:
        die_between_the_two_writes(vendor)
        assert HeldDevice(vendor.qpu()).run(TASK).metadata["remote_id"] == "job-1"
        assert (vendor.submissions, vendor.shots_billed) == (1, 100)

    def test_is_submitted_a_second_time_where_the_machine_cannot_be_asked(self, vendor: Vendor) -> None:
        die_between_the_two_writes(vendor)
        held = HeldDevice(vendor.qpu(can_search=False))
        assert [held.run(TASK).metadata["remote_id"] for _ in range(2)] == ["job-2", "job-2"]
        assert vendor.submissions == 2

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', '{"remote_id": 5}', "\xff"])
    def test_or_that_left_a_corrupted_record_is_found_too(self, vendor: Vendor, text: str) -> None:
        HeldDevice(vendor.qpu()).run(TASK)
        (record,) = records()
        record.write_bytes(text.encode("latin-1"))
        assert HeldDevice(vendor.qpu()).run(TASK).metadata["remote_id"] == "job-1"
        assert vendor.submissions == 1
        assert submissions.submissions()[0].remote_id == "job-1", "and the record is mended"


class TestWhereTheRecordsAre:
    def test_another_machine_with_the_same_folder_finds_what_was_submitted(
        self, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(submissions.FOLDER, str(tmp_path / "shared"))
        for home in ("one", "two"):
            monkeypatch.setenv("HOME", str(tmp_path / home))
            monkeypatch.delenv("XDG_STATE_HOME", raising=False)
            HeldDevice(vendor.qpu(can_search=False)).run(TASK)
        assert vendor.submissions == 1
        assert not (tmp_path / "one").exists()

    @pytest.mark.parametrize("said", ["the engine", "Slurm"])
    def test_a_retry_where_the_folder_is_not_seen_asks_the_machine(
        self, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
    ) -> None:
        HeldDevice(vendor.qpu()).run(TASK)
        monkeypatch.setenv(submissions.FOLDER, str(tmp_path / "elsewhere"))
        held = HeldDevice(vendor.qpu())
        if said == "Slurm":
            monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        else:
            held.metadata = {"attempts": 2}
        assert held.run(TASK).metadata["remote_id"] == "job-1"
        assert vendor.submissions == 1

    def test_only_their_owner_can_read_them(self, vendor: Vendor, tmp_path: Path) -> None:
        HeldDevice(vendor.qpu()).run(TASK)
        found = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in records()[0].parent.iterdir()}
        assert found == {".json": 0o600, ".lock": 0o600}
        assert stat.S_IMODE(records()[0].parent.stat().st_mode) == 0o700

    def test_a_folder_that_cannot_be_used_is_an_error_and_nothing_is_submitted(
        self, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv(submissions.FOLDER, str(tmp_path / "file"))
        with pytest.raises(DeviceError, match="Set CONQURE_SUBMISSIONS to a folder of yours that all workers see"):
            HeldDevice(vendor.qpu()).run(TASK)
        assert vendor.submissions == 0

    def test_a_device_whose_name_is_no_file_name_is_no_way_out_of_the_folder(
        self, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(submissions.FOLDER, str(tmp_path / "here"))
        name = "a/../../b"
        opened = driver("vendor")(name, 10, url=vendor.url)
        submissions.execute_once(opened, BELL, TASK)  # type: ignore[arg-type]
        assert [path.parent.parent for path in records()] == [tmp_path / "here"]

    def test_old_ones_are_forgotten(self, vendor: Vendor) -> None:
        held = HeldDevice(vendor.qpu())
        held.run(TASK)
        held.run(TASK.replace(task_id="new"))
        old = next(path for path in records() if "the-task" in path.read_text())
        os.utime(old, (0, 0))
        assert submissions.forget() == 1
        assert [one.task_id for one in submissions.submissions()] == ["new"]
        assert len(list(old.parent.iterdir())) == 2

    def test_forgetting_does_not_disturb_who_submits(self, vendor: Vendor) -> None:
        ended = threading.Event()

        def forget() -> None:
            while not ended.is_set():
                submissions.forget(-1)

        thread = threading.Thread(target=forget)
        thread.start()
        held = HeldDevice(vendor.qpu())
        for number in range(30):
            assert held.run(TASK.replace(task_id=str(number))).counts
        ended.set()
        thread.join()
        assert vendor.submissions == 30


class TestTheKey:
    @pytest.mark.parametrize(
        "task",
        [
            TASK,
            QuantumTask(ROTATION, parameter_values=[[0.1], [-0.0], [1e-300]], task_id="é"),
            QuantumTask(b"\x00\xff", "qpy", task_id="b"),
            QuantumTask("\ud800", "opaque", task_id="a lone surrogate"),
        ],
    )
    def test_is_the_same_on_the_other_side_of_a_wire(self, task: QuantumTask) -> None:
        key = submissions.key_of(task)
        assert len(key) == 40
        assert submissions.key_of(pickle.loads(pickle.dumps(task))) == key
        assert submissions.key_of(QuantumTask.from_json(task.to_json())) == key
        assert submissions.key_of(task, 1) != key

    def test_does_not_depend_on_who_runs_it_how_urgently_or_when(self) -> None:
        other = TASK.replace(device_id="tag:ion", priority="HIGH", created_at=1.0)
        assert submissions.key_of(other) == submissions.key_of(TASK)

    def test_is_stable_over_releases(self) -> None:
        task = QuantumTask("{}", "gates", "any", 10, [[0.5]], 3, task_id="t")
        assert submissions.key_of(task) == "conqure-17f412eeea34ae00e00be319dc4da1e0"


@pytest.mark.slow
def test_a_thread_pool_attaches_too(vendor: Vendor) -> None:
    with QPUThreadPool([vendor.qpu()]) as pool:
        results = [pool.submit(run, TASK).result(60) for _ in range(2)]
    assert results[0].counts == results[1].counts
    assert vendor.submissions == 1
