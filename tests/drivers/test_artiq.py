"""Trapped-ion machines behind an ARTIQ master: programs go in, runs are followed, results are told from failures."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from qpu_executors import (
    QPU,
    DeviceError,
    DeviceFault,
    InvalidSite,
    InvalidTask,
    QuantumTask,
    RemoteFailed,
    as_task,
)
from qpu_executors.device import RemoteDevice
from qpu_executors.drivers import artiq_protocol
from qpu_executors.drivers.artiq import ARTIQDevice
from qpu_executors.drivers.artiq_protocol import MasterConnection, decode, encode
from qpu_executors.running import HeldDevice
from qpu_executors.submissions import key_of, submissions
from qpu_executors.testing import BELL, ROTATION, DeviceContract, gates
from qpu_executors.translation.dax import DaxProgram
from qpu_executors.translation.dax_writer import to_dax

from .artiq_master import ArtiqMaster

SOON_S = 30.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def qpu(master: ArtiqMaster, n_qubits: int = 5, **options: Any) -> QPU:
    programs = master.folder / "programs"
    programs.mkdir(exist_ok=True)
    known = {"results": str(master.folder / "results"), "programs": str(programs), "port": master.port}
    quick = {"poll_s": 0.005, "settle_s": 0.1, "outage_s": 0.2}
    return QPU("ion0", "artiq", n_qubits, options={**known, **quick, **options}, max_shots=10_000)


@pytest.fixture(autouse=True)
def _own_submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONQURE_SUBMISSIONS", str(tmp_path / "submissions"))


@pytest.fixture
def master(tmp_path: Path) -> Iterator[ArtiqMaster]:
    with ArtiqMaster(tmp_path) as running:
        yield running


@pytest.fixture
def held(master: ArtiqMaster) -> HeldDevice:
    return HeldDevice(qpu(master))


class TestContract(DeviceContract):
    """What every device does, by a machine behind a master."""

    seeds = False

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeldDevice]:
        with ArtiqMaster(tmp_path_factory.mktemp("lab")) as master:
            cls.qpu = qpu(master)
            yield HeldDevice(cls.qpu)


def test_a_task_of_several_rows_is_one_run_with_a_data_context_for_each(master: ArtiqMaster, held: HeldDevice) -> None:
    assert isinstance(held.device, RemoteDevice)
    result = held.run(QuantumTask(ROTATION, shots=20, parameter_values=[[0.0], [3.141592653589793], [0.0]]))
    assert result.counts == ({"0": 20}, {"1": 20}, {"0": 20})
    assert (len(master.submitted), result.metadata["remote_id"]) == (1, "1001")
    with h5py.File(result.metadata["artiq_file"]) as file:
        assert sorted(file["datasets/histogram_context/histogram/raw"]) == ["0", "1", "2"]
    assert master.submitted[0]["repo_rev"] == "0123456789abcdef"


@pytest.mark.parametrize("target", ["schedule", "master_schedule"])
def test_masters_before_and_since_artiq_8_are_spoken_to(target: str, tmp_path: Path) -> None:
    with ArtiqMaster(tmp_path, target=target) as master:
        assert HeldDevice(qpu(master)).run(QuantumTask(gates(3, ["x", [2]]), shots=7)).counts == ({"100": 7},)
        with MasterConnection("127.0.0.1", master.port, 5.0) as connection:
            assert connection.target == target


def test_a_dax_program_runs_as_it_is_and_gives_its_raw_rows_as_well(master: ArtiqMaster, held: HeldDevice) -> None:
    program = gates(2, ["x", [0]], ["measure", [1], [0]], ["measure", [0], [1]], registers=[["a", 1], ["b", 1]])
    text = to_dax(program, shots=6)
    assert DaxProgram.parse(text).order == (0, 1)
    result = held.run(as_task(text))
    assert result.counts == ({"1 0": 6},)
    assert json.loads(base64.b64decode(result.metadata["results_base64"])) == [[0, 1]] * 6


def test_a_dax_program_that_cannot_be_read_runs_if_its_header_says_what_its_values_are(held: HeldDevice) -> None:
    strange = to_dax(BELL, 10).replace("self.q.h(0)", "self.q.h(self.best_qubit())")
    prepared = held.device.prepare(strange, "dax")
    assert (prepared.stored.order, prepared.stored.shots) == ((0, 1), 10)
    headless = "\n".join(line for line in strange.splitlines() if not line.startswith("# conqure"))
    with pytest.raises(InvalidTask, match=r"line \d+: not a whole number.*# conqure: \{"):
        held.device.prepare(headless, "dax")


def test_shots_and_qubits_of_a_dax_program_are_checked(held: HeldDevice) -> None:
    with pytest.raises(InvalidTask, match="runs 10 shots, the task says 11"):
        held.run(as_task(to_dax(BELL, 10), shots=11))
    with pytest.raises(InvalidTask, match="has 6 qubits, device 'ion0' has 5"):
        held.run(as_task(to_dax(gates(6), 10)))


def test_photon_counts_become_bits_at_the_threshold(tmp_path: Path) -> None:
    with ArtiqMaster(tmp_path, dark=1, bright=9) as master:
        assert HeldDevice(qpu(master, threshold=3)).run(QuantumTask(gates(2, ["x", [1]]), shots=5)).counts == (
            {"10": 5},
        )


def test_programs_are_written_for_the_lasers_and_gates_of_the_machine(master: ArtiqMaster, tmp_path: Path) -> None:
    (tmp_path / "resources.toml").write_text('total_lasers = 2\ntotal_mirrors = 9\nrelative_time = "135,600"\n')
    options = {"resources": str(tmp_path / "resources.toml"), "basis": ["rz", "rphi", "xx"]}
    device = HeldDevice(qpu(master, **options))
    master.go.clear()
    running = threading.Thread(target=device.run, args=(QuantumTask(BELL, shots=50),))
    running.start()
    until(lambda: "running" in master.states.values())
    text = Path(master.submitted[0]["arguments"]["file"]).read_text()
    master.go.set()
    running.join(SOON_S)
    assert "self.q.xx(0, 1)" in text
    assert "with parallel:" in text
    assert not {"self.q.h(", "self.q.cnot("} & {line.strip()[:9] for line in text.splitlines()}
    (counts,) = device.run(QuantumTask(BELL, shots=500)).counts
    assert set(counts) == {"00", "11"}


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("build", "left no result file"),
        ("prepare", "left no result file"),
        ("run", "stored 10 of 20 values"),
    ],
)
def test_a_run_that_failed_is_told_from_one_that_succeeded_though_both_vanish(
    stage: str, sentence: str, master: ArtiqMaster, held: HeldDevice
) -> None:
    master.fail_in = stage
    task = QuantumTask(BELL, shots=10)
    with pytest.raises(RemoteFailed, match=f"run 1001 gave no counts.*{sentence}") as caught:
        held.run(task)
    assert caught.value.transient
    master.fail_in = ""
    assert sum(held.run(task).counts[0].values()) == 10, "trying again submits anew"
    assert len(master.submitted) == 2


def test_an_error_of_the_analysis_does_not_cost_the_data(master: ArtiqMaster, held: HeldDevice) -> None:
    master.fail_in = "analyze"
    assert held.run(QuantumTask(gates(1), shots=3)).counts == ({"0": 3},)


def test_a_deleted_run_is_a_failed_one(master: ArtiqMaster, held: HeldDevice) -> None:
    master.go.clear()
    device = held.device
    assert isinstance(device, ARTIQDevice)
    prepared = device.prepare(BELL, "gates")
    rid = device.submit(prepared, [[]], 10, None, "conqure-" + "ab" * 16)
    thread, failed = waiting(device, rid, prepared)
    until(lambda: master.states.get(1001) == "running")
    with MasterConnection("127.0.0.1", master.port, 5.0) as connection:
        connection.call("delete", 1001)
    thread.join(SOON_S)
    assert len(failed) == 1
    assert "left no result file" in str(failed[0])


def test_a_higher_priority_runs_sooner(master: ArtiqMaster) -> None:
    master.go.clear()
    devices = [ARTIQDevice("ion0", 5, **qpu(master, priority=priority).options) for priority in (0, 0, 7)]
    prepared = devices[0].prepare(BELL, "gates")
    rids = []
    for number, device in enumerate(devices):
        rids.append(device.submit(prepared, [[]], 10, None, f"conqure-{number:032x}"))
        until(lambda: "running" in master.states.values())
    master.go.set()
    for device, rid in zip(devices, rids, strict=True):
        assert sum(device.fetch(rid, prepared, 1)[0].values()) == 10
    assert master.ran == [int(rids[0]), int(rids[2]), int(rids[1])]


def test_a_run_is_found_by_its_key_in_the_schedule_and_when_it_is_over(master: ArtiqMaster, held: HeldDevice) -> None:
    device, key = held.device, "conqure-" + "ab" * 16
    assert isinstance(device, ARTIQDevice)
    assert device.find(key) == ""
    master.go.clear()
    prepared = device.prepare(BELL, "gates")
    rid = device.submit(prepared, [[]], 10, None, key)
    assert device.find(key) == rid
    assert device.find("conqure-" + "cd" * 16) == ""
    master.go.set()
    until(lambda: not master.states)
    assert device.find(key) == rid
    assert sum(device.fetch(rid, prepared, 1)[0].values()) == 10
    assert sum(device.fetch(rid, prepared, 1)[0].values()) == 10, "it can be fetched as often as one likes"


def test_programs_are_kept_as_long_as_somebody_may_try_their_tasks_again(master: ArtiqMaster, held: HeldDevice) -> None:
    held.run(QuantumTask(BELL, shots=10))
    (program,) = master.folder.glob("programs/*")
    HeldDevice(held.qpu)
    assert program.exists()
    os.utime(program, (0, 0))
    (master.folder / "programs" / "conqure-mine.py").touch()
    HeldDevice(held.qpu)
    assert [path.name for path in master.folder.glob("programs/*")] == ["conqure-mine.py"]


PROGRAM = """
import json, sys
from qpu_executors import QPU, QuantumTask
from qpu_executors.running import HeldDevice
options, program, task_id = json.loads(sys.argv[1])
print(HeldDevice(QPU("ion0", "artiq", 5, options=options)).run(QuantumTask(program, shots=10, task_id=task_id)).counts)
"""


@pytest.mark.slow
def test_who_tries_again_after_a_kill_attaches_to_what_runs(master: ArtiqMaster, held: HeldDevice) -> None:
    master.go.clear()
    argument = json.dumps([dict(held.qpu.options), BELL, "mine"])
    first = subprocess.Popen([sys.executable, "-c", PROGRAM, argument], env=os.environ)
    until(lambda: any(one.remote_id for one in submissions()))
    first.send_signal(signal.SIGKILL)
    assert first.wait(SOON_S) == -signal.SIGKILL
    master.go.set()
    result = held.run(QuantumTask(BELL, shots=10, task_id="mine"))
    assert sum(result.counts[0].values()) == 10
    assert (len(master.submitted), result.metadata["remote_id"]) == (1, "1001")


def test_who_died_between_submitting_and_writing_it_down_is_not_submitted_twice(
    master: ArtiqMaster, held: HeldDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process ended here."""

    task, submit = QuantumTask(BELL, shots=10), ARTIQDevice.submit

    def submit_and_die(*arguments: Any) -> str:
        submit(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ARTIQDevice, "submit", submit_and_die)
        with pytest.raises(Killed):
            held.run(task)
    assert [(one.key, one.remote_id) for one in submissions()] == [(key_of(task), "")]
    assert sum(held.run(task).counts[0].values()) == 10
    assert len(master.submitted) == 1


def waiting(device: ARTIQDevice, rid: str, prepared: Any) -> tuple[threading.Thread, list[Any]]:
    """Somebody who waits for a run, and what comes of it."""
    found: list[Any] = []

    def fetch() -> None:
        try:
            found.extend(device.fetch(rid, prepared, 1))
        except RemoteFailed as error:
            found.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    return thread, found


def test_a_master_that_is_away_for_a_while_does_not_matter(master: ArtiqMaster) -> None:
    master.go.clear()
    device = ARTIQDevice("ion0", 5, **qpu(master, outage_s=SOON_S).options)
    prepared = device.prepare(gates(1), "gates")
    rid = device.submit(prepared, [[]], 10, None, "conqure-" + "ab" * 16)
    thread, found = waiting(device, rid, prepared)
    until(lambda: master.states.get(1001) == "running")
    master.reachable.clear()
    master.go.set()
    until(lambda: not master.states)
    master.reachable.set()
    thread.join(SOON_S)
    assert found == [{"0": 10}]


def test_a_master_that_was_restarted_has_lost_its_runs(tmp_path: Path) -> None:
    with ArtiqMaster(tmp_path) as master:
        master.go.clear()
        device = ARTIQDevice("ion0", 5, **qpu(master, outage_s=SOON_S).options)
        prepared = device.prepare(gates(1), "gates")
        rid = device.submit(prepared, [[]], 10, None, "conqure-" + "ab" * 16)
        until(lambda: master.states.get(1001) == "running")
        thread, found = waiting(device, rid, prepared)
    with ArtiqMaster(tmp_path, port=master.port):
        thread.join(SOON_S)
    assert len(found) == 1
    assert "left no result file" in str(found[0])


def test_a_master_that_stays_away_is_a_passing_fault_and_the_run_goes_on(tmp_path: Path) -> None:
    with ArtiqMaster(tmp_path) as master:
        device = ARTIQDevice("ion0", 5, **qpu(master, outage_s=0.02).options)
    prepared = device.prepare(BELL, "gates")
    for call in (
        lambda: device.fetch("1001", prepared, 1),
        lambda: device.submit(prepared, [[]], 10, None, "conqure-" + "ab" * 16),
    ):
        with pytest.raises(DeviceFault, match="no ARTIQ master answers at 127.0.0.1:") as caught:
            call()
        assert not isinstance(caught.value, RemoteFailed)


def test_patience_ends_without_ending_the_run(master: ArtiqMaster) -> None:
    device = ARTIQDevice("ion0", 5, **qpu(master, patience_s=0.05).options)
    prepared = device.prepare(gates(1), "gates")
    master.go.clear()
    rid = device.submit(prepared, [[]], 10, None, "conqure-" + "ab" * 16)
    with pytest.raises(DeviceFault, match="run 1001 is running since .*artiq_client delete") as caught:
        device.fetch(rid, prepared, 1)
    assert not isinstance(caught.value, RemoteFailed)
    master.go.set()
    assert device.fetch(rid, prepared, 1) == [{"0": 10}]


def test_a_refusal_of_the_master_comes_with_its_words(master: ArtiqMaster) -> None:
    with (
        MasterConnection("127.0.0.1", master.port, 5.0) as connection,
        pytest.raises(DeviceError, match="refuses dance: AttributeError: 'Scheduler' object"),
    ):
        connection.call("dance")


GREETING = b'{"targets":["schedule"],"description":null,"features":["pyon_v2"]}\n'


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (b"SSH-2.0-OpenSSH_9.6\n", "no JSON of ARTIQ's"),
        (b'{"targets":["schedule"],"features":[]}\n', "greets with"),
        (b'{"targets":["hello"],"features":["pyon_v2"]}\n', r"has no schedule, but \['hello'\]"),
        (b"[" * 100_000 + b"\n", "no JSON of ARTIQ's"),
        (GREETING + b'{"__jsonclass__":["dict",[1,2,3]]}\n', "no JSON of ARTIQ's"),
        (b"x" * 100_000, "line of over"),
        (b'{"targets":', "closed the connection"),
        (GREETING + b'{}\n{"status":"ok","ret":[1]}\n', "for its schedule"),
        (GREETING + b"{}\n17\n", "answers '?17'? to get_status"),
    ],
    ids=str,
)
def test_what_is_no_master_is_said_to_be_none(
    says: bytes, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if says.startswith(b"x"):
        monkeypatch.setattr(artiq_protocol, "MAX_LINE", 50_000)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(says)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        serving = threading.Thread(target=serve)
        serving.start()
        (tmp_path / "results").mkdir()
        device = ARTIQDevice(
            "ion0",
            3,
            port=server.getsockname()[1],
            results=str(tmp_path / "results"),
            programs=str(tmp_path),
            outage_s=0,
        )
        with pytest.raises(DeviceFault, match=sentence):
            device._follow(1)
        serving.join(SOON_S)


def test_a_master_that_hangs_is_left_after_the_timeout(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(DeviceFault, match="does not answer: timed out"),
    ):
        MasterConnection("127.0.0.1", server.getsockname()[1], 0.05)


def test_values_of_other_kinds_than_json_has_are_marked_as_artiq_marks_them() -> None:
    value = {"a": (1, [2, {3: "x", 4: (5,)}]), "b": None}
    assert decode(json.loads(json.dumps(encode(value)))) == value
    array = {"__jsonclass__": ["nparray", [[1], "<i4", "AQAAAA=="]]}
    assert decode([array]) == [array], "what is not needed is not made"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"results": "/nowhere"}, "results = '/nowhere' is no folder here"),
        ({"programs": "/nowhere"}, "programs = '/nowhere' is no folder"),
        ({"port": "3251"}, "port must be from 1"),
        ({"priority": "HIGH"}, "priority must be a whole number"),
        ({"timeout_s": -1}, "timeout_s must be seconds"),
        ({"basis": ["xx", "gms"]}, "basis: DAX has no gate 'gms'"),
        ({"resources": "/nowhere.toml"}, "resources file '/nowhere.toml' cannot be read"),
        ({"hosst": "x"}, "Did you mean 'host'"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    known = {"results": str(tmp_path), "programs": str(tmp_path)}
    with pytest.raises(InvalidSite, match=sentence):
        HeldDevice(QPU("ion0", "artiq", 5, options={**known, **options}))


def test_a_gate_that_the_machine_cannot_do_is_refused_before_anything_is_submitted(master: ArtiqMaster) -> None:
    held = HeldDevice(qpu(master, basis=["rx", "ry", "rz"]))
    with pytest.raises(InvalidTask, match="no way to do gate 'cnot': it has rx, ry, rz"):
        held.run(QuantumTask(BELL, shots=10))
    assert not master.submitted


def test_the_stand_in_answers_nobody_who_does_not_say_what_artiq_s_clients_say(master: ArtiqMaster) -> None:
    async def talk(*lines: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", master.port)
        for line in lines:
            writer.write(line)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(talk(b"hello\n")) == b""
    assert asyncio.run(talk(b"ARTIQ pc_rpc\n", b"nothing pyon_v2\n")).count(b"\n") == 1
