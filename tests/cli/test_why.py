"""`conqure why` without a Slurm that answers; tests/slurm/test_sites.py asks a real one."""

import os

import pytest

from qpu_executors.slurm.ledger import Ledger


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch, folder):
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))


@pytest.fixture
def ledger(folder):
    ledger = Ledger("parsl", "lab", folder / "lab.toml")
    yield ledger
    ledger.close()


def test_where_no_program_uses_slurm_it_says_what_else_to_ask(conqure):
    done = conqure("why")
    assert (done.code, conqure("why", "--json").json) == (0, [])
    assert done.out.startswith("None of your programs on this machine has jobs of Slurm. For a job that you know:")


def test_a_program_in_which_nothing_waits_is_listed(conqure, ledger):
    head, line = conqure("why").out.splitlines()
    assert head.endswith(f"(process {os.getpid()}, parsl, site lab)")
    assert line == "  Nothing waits. Jobs: none."


def test_a_slurm_that_cannot_be_asked_is_a_reason_not_an_error(conqure, ledger):
    ledger.waiting({"ion0": 1, "cpu": 3})
    done = conqure("why")
    assert done.code == 0
    _, first, second = done.out.splitlines()
    assert first.startswith(
        "  1 task waits for 'ion0': 'squeue' is not on PATH, so this machine is no login node of Slurm."
    )
    assert second.startswith("  3 tasks wait for 'cpu': ")


def test_what_slurm_refused_comes_first_and_also_without_tasks(conqure, ledger):
    ledger.waiting({"cpu": 2})
    ledger.trouble("ion0", "sbatch says: Invalid license specification")
    (program,) = conqure("why", "--json").json
    waits = {wait["name"]: wait for wait in program["waits"]}
    assert waits["ion0"]["tasks"] == 0
    assert waits["ion0"]["reasons"][0] == "sbatch says: Invalid license specification"
    assert waits["cpu"]["tasks"] == 2
    assert (program["engine"], program["site"], program["pid"]) == ("parsl", "lab", os.getpid())


def test_a_program_that_has_closed_its_engine_is_not_listed(conqure, folder):
    Ledger("parsl", "lab").close()
    assert conqure("why", "--json").json == []


def test_a_job_cannot_be_asked_about_without_slurm(conqure):
    done = conqure("why", "4711")
    assert done.code == 1
    assert done.err.startswith("NoSlurm: 'squeue' is not on PATH")
