"""How a device client runs works, keeps them, and knows itself: the parts, without a queue."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from conqure.queue.device_door import Credentials
from conqure.queue.device_runs import Cancellation, DriverRunner
from conqure.queue.held_works import MARK, HeldWorks
from conqure.queue.lab_program import ProgramRunner
from conqure.queue.outcome import Outcome
from conqure.queue.work import WorkloadFormat, WorkRecord, new_work_id
from qpu_executors import QPU, InvalidTask, QuantumResult, QuantumTask
from qpu_executors.errors import (
    DeviceBusy,
    DeviceError,
    DeviceFault,
    InvalidWork,
    NotAllowed,
    NotLoggedIn,
    WorkCanceled,
)
from qpu_executors.testing import BELL


def work(**facts) -> WorkRecord:
    return WorkRecord(new_work_id(), "ada@lab.example", "ion0", **({"attempts": 1} | facts))


def program(folder: Path, text: str) -> str:
    """A program of a lab, and the command that starts it."""
    path = folder / "lab program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"'{path}' {{workload}} {{results}}"


def run(runner: ProgramRunner, folder: Path, workload: bytes = b"pulse", canceled: Cancellation | None = None) -> bytes:
    place = folder / "run"
    place.mkdir(mode=0o700)
    return runner.run(work(), workload, place, canceled or Cancellation())


class TestAProgramOfTheLab:
    def test_reads_one_file_and_writes_another(self, tmp_path):
        assert run(ProgramRunner(program(tmp_path, 'tr a-z A-Z < "$1" > "$2"')), tmp_path) == b"PULSE"

    def test_sees_words_and_never_a_shell(self, tmp_path):
        command = program(tmp_path, 'printf %s "$3" > "$2"') + " '$(touch pwned); {format}'"
        assert run(ProgramRunner(command), tmp_path, b"x") == b"$(touch pwned); opaque"

    def test_that_fails_says_what_it_printed(self, tmp_path):
        with pytest.raises(DeviceError, match="exit code 3. It said: the laser is off") as caught:
            run(ProgramRunner(program(tmp_path, "echo the laser is off; exit 3")), tmp_path)
        assert not caught.value.transient

    def test_may_say_that_its_fault_passes(self, tmp_path):
        with pytest.raises(DeviceFault):
            run(ProgramRunner(program(tmp_path, "exit 75")), tmp_path)

    def test_must_leave_results(self, tmp_path):
        with pytest.raises(DeviceError, match="left no file of results"):
            run(ProgramRunner(program(tmp_path, "exit 0")), tmp_path)

    def test_cannot_pass_off_another_file_as_its_results(self, tmp_path):
        with pytest.raises(DeviceError, match="left no file of results"):
            run(ProgramRunner(program(tmp_path, 'ln -s /etc/passwd "$2"')), tmp_path)

    def test_is_ended_when_its_time_is_over(self, tmp_path):
        with pytest.raises(DeviceError, match=r"ended after 0\.2 s, the longest that the lab allows"):
            run(ProgramRunner(program(tmp_path, "exec sleep 60"), limit_s=0.2), tmp_path)

    @pytest.mark.parametrize("early", [True, False])
    def test_is_ended_with_its_children_when_its_owner_cancels(self, tmp_path, early):
        canceled = Cancellation()
        runner = ProgramRunner(program(tmp_path, "sleep 61 & echo $! > child; wait"))
        child = tmp_path / "run" / "child"
        if early:
            canceled.want(WorkCanceled())
        else:
            threading.Thread(target=lambda: (until(child.exists), canceled.want(WorkCanceled()))).start()
        with pytest.raises(DeviceError, match="by signal 15"):
            run(runner, tmp_path, canceled=canceled)
        if child.exists() and child.read_text():
            until(lambda: not _runs(int(child.read_text())))

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("prog {workload}", "must say where the files go"),
            ("'prog {workload} {results}", "is not a line of words"),
            ("no-such-program {workload} {results}", "there is no program 'no-such-program'"),
        ],
    )
    def test_is_checked_before_the_first_work(self, command, message):
        with pytest.raises(InvalidWork, match=message):
            ProgramRunner(command)


class TestADriver:
    @pytest.fixture
    def runner(self):
        runner = DriverRunner(QPU("ion0", "statevector", 4, tags=("ion",), slots=2, options={}))
        yield runner
        runner.close()

    def run(self, runner, workload: str, format: WorkloadFormat, canceled: Cancellation | None = None) -> bytes:
        return runner.run(work(format=format), workload.encode(), Path(), canceled or Cancellation())

    def test_runs_a_task_whatever_the_queue_calls_the_device(self, runner):
        task = QuantumTask(BELL, device_id="qubits>=100", shots=50, seed=1)
        result = QuantumResult.from_json(self.run(runner, task.to_json(), WorkloadFormat.TASK))
        assert (result.task_id, result.device_id, sum(result.counts[0].values())) == (task.task_id, "ion0", 50)

    def test_runs_a_list_until_its_owner_cancels(self, runner):
        tasks = f"[{QuantumTask(BELL).to_json()},{QuantumTask(BELL).to_json()}]"
        assert len(json.loads(self.run(runner, tasks, WorkloadFormat.TASKS))) == 2
        canceled = Cancellation()
        canceled.want(WorkCanceled())
        assert self.run(runner, tasks, WorkloadFormat.TASKS, canceled) == b""

    def test_refuses_what_it_cannot_read(self, runner):
        with pytest.raises(InvalidTask, match="does not read 'opaque'"):
            self.run(runner, "x", WorkloadFormat.OPAQUE)
        with pytest.raises(InvalidTask):
            self.run(runner, "[", WorkloadFormat.TASK)

    def test_tells_users_what_it_is_and_keeps_its_options(self):
        runner = DriverRunner(QPU("ion0", "emulated", 4, options={"job_s": 0.25}))
        said = runner.configuration()
        runner.close()
        assert json.loads(said)["qubits"] == 4
        assert b"job_s" not in said


class TestWhatIsHeld:
    def test_is_for_the_clients_account_alone(self, tmp_path):
        held = HeldWorks(tmp_path / "state")
        folder = held.begin(work())
        held.end(Outcome(folder.name.partition(".")[0], 1), b"results")
        modes = {path.stat().st_mode & 0o077 for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]}
        held.close()
        assert modes == {0}

    def test_outlives_the_client(self, tmp_path):
        here, gone = work(), work(attempts=2)
        first = HeldWorks(tmp_path)
        first.begin(here)
        first.end(done := Outcome(here.work_id, 1, ran_on="ion0"), b"results")
        first.begin(gone)
        first.close()
        second = HeldWorks(tmp_path)
        found = {outcome.work_id: (outcome, results) for outcome, results in second.left()}
        assert found[here.work_id] == (done, b"results")
        lost, _ = found[gone.work_id]
        assert (lost.kind, lost.transient, lost.attempt) == ("device_lost", True, 2)
        second.forget(done)
        second.forget(lost)
        assert list(second.left()) == []
        second.close()

    def test_what_is_half_written_is_no_outcome(self, tmp_path):
        held = HeldWorks(tmp_path)
        folder = held.begin(work())
        (folder / "outcome.json").write_text('{"work_id": "')
        (empty := tmp_path / "works" / "x.1").mkdir()
        assert [outcome.kind for outcome, _ in held.left()] == ["device_lost"]
        assert not empty.exists()
        held.close()

    def test_one_folder_has_one_client(self, tmp_path):
        held = HeldWorks(tmp_path)
        with pytest.raises(DeviceBusy, match="another device client uses"):
            HeldWorks(tmp_path)
        held.close()

    def test_a_program_that_a_lost_client_left_is_killed_before_the_next_one_runs(self, tmp_path):
        held = HeldWorks(tmp_path)
        folder = held.begin(work())
        words = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
        left = subprocess.Popen(words, env=os.environ | {MARK: str(folder)}, stdout=subprocess.PIPE)
        left.stdout.readline()
        assert [outcome.kind for outcome, _ in held.left()] == ["device_lost"]
        assert left.wait(10) == -9
        left.stdout.close()
        held.close()


class TestCredentials:
    @pytest.mark.parametrize(
        "text", ['{"client_id": "id", "client_secret": "s%c"}', "[credentials]\nid = id\nsecret = s%c\n"]
    )
    def test_are_read_from_either_form_and_never_shown(self, tmp_path, text):
        (path := tmp_path / "c").write_text(text)
        path.chmod(0o600)
        credentials = Credentials.read(path)
        assert (credentials.client_id, credentials.client_secret) == ("id", "s%c")
        assert "s%c" not in repr(credentials)

    def test_that_others_may_read_are_refused(self, tmp_path, monkeypatch):
        (path := tmp_path / "c").write_text('{"client_id": "id", "client_secret": "s"}')
        path.chmod(0o440)
        with pytest.raises(NotAllowed, match="chmod 600"):
            Credentials.read(path)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))  # but systemd keeps them so
        assert Credentials.read(path).client_id == "id"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"client_id": "x"}', "[credentials]\nid = x\n", "\0"])
    def test_that_are_none_are_named(self, tmp_path, text):
        (path := tmp_path / "c").write_text(text)
        path.chmod(0o600)
        with pytest.raises(NotLoggedIn, match=str(path)):
            Credentials.read(path)


def until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
