"""What an embedded queue keeps for the next program, with the stores that a person has."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from conqure import WorkNotDone
from conqure.queue.user_client import UserClient

SLOW_SITE = """
[engine]
name = "threads"
[qpu.ion0]
driver = "emulated"
qubits = 5
options = { driver = "statevector", job_s = 3.0 }
"""


@pytest.fixture(params=["tinydb", "sqlite"])
def store(request: pytest.FixtureRequest, home: Path) -> str:
    return f"{request.param}:{home / 'works'}"


def test_results_are_there_for_the_next_program(store: str, site: Path, bell: QuantumCircuit) -> None:
    with UserClient(store=store, site=site) as client:
        work_id = client.create_work(bell, shots=10)
        client.wait_until_done(work_id, progress=False)
    with UserClient(store=store, site=site) as client:
        assert client.get_results(work_id).shots == 10
        assert [work.work_id for work in client.list_work()] == [work_id]


def test_what_waits_is_run_by_the_next_program(store: str, site: Path, bell: QuantumCircuit) -> None:
    with UserClient(store=store, site=site, start=False) as client:
        work_ids = [client.create_work(bell, shots=n) for n in (1, 2, 3)]
        with pytest.raises(WorkNotDone):
            client.get_results(work_ids[0])
    with UserClient(store=store, site=site) as client:
        for work_id in work_ids:
            client.wait_until_done(work_id, progress=False, timeout=60)
        assert [client.get_results(work_id).shots for work_id in work_ids] == [1, 2, 3]


def test_two_programs_at_once_run_each_work_once(store: str, site: Path, bell: QuantumCircuit) -> None:
    with UserClient(store=store, site=site) as one, UserClient(store=store, site=site) as other:
        work_ids = [client.create_work(bell, shots=5) for client in (one, other) * 10]
        for work_id in work_ids:
            one.wait_until_done(work_id, progress=False, timeout=60)
        works = [other.get_work(work_id) for work_id in work_ids]
    assert {(work.status, work.attempts) for work in works} == {("DONE", 1)}


@pytest.mark.slow
def test_works_of_a_program_that_was_killed_are_run_again(
    store: str, home: Path, bell: QuantumCircuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "slow.toml").write_text(SLOW_SITE)
    program = f"""
import conqure.queue.own_pool as own_pool
own_pool.LEASE_S = 1.0
from conqure.queue.user_client import UserClient
client = UserClient(store={store!r}, site="slow.toml")
qasm = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;'
work_id = client.create_work(qasm, shots=3)
while client.get_work(work_id).status != "EXECUTING": pass
print(work_id, flush=True)
client.wait_until_done(work_id)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        work_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    monkeypatch.setattr("conqure.queue.own_pool.LEASE_S", 1.0)
    with UserClient(store=store, site="slow.toml") as client:
        assert client.get_work(work_id).status == "EXECUTING"
        client.wait_until_done(work_id, progress=False, timeout=60)
        assert (client.get_work(work_id).attempts, client.get_results(work_id).counts) == (2, ({"1": 3},))


@pytest.mark.slow
def test_a_program_that_ends_while_a_work_runs_gives_it_back(home: Path, bell: QuantumCircuit) -> None:
    (home / "slow.toml").write_text(SLOW_SITE)
    started = time.monotonic()
    with UserClient(store=f"sqlite:{home / 'works.db'}", site="slow.toml") as client:
        work_ids = [client.create_work(bell, shots=5) for _ in range(2)]
        client.wait_until_done(work_ids[0], progress=False, timeout=60)
    assert time.monotonic() - started < 20
    with UserClient(store=f"sqlite:{home / 'works.db'}", site="slow.toml", start=False) as client:
        assert client.get_work(work_ids[1]).status in ("DONE", "READY")
