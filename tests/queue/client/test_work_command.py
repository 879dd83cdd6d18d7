"""``conqure work``: the queue from the shell. Each command is a process of its own, as for a user."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..server.conftest import PASSWORD, RunningService

pytestmark = pytest.mark.slow

QASM = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; x q[0]; measure q -> c;'
Conqure = Callable[..., str]


@pytest.fixture
def conqure(home: Path, site: Path) -> Conqure:
    (home / "x.qasm").write_text(QASM)

    def run(*words: str, code: int = 0, stdin: str | None = None) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("conqure"), *words],
            cwd=home,
            env={**os.environ, "CONQURE_SITE": str(site), "CONQURE_STORE": "sqlite:works.db"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_a_work_is_kept_by_create_run_by_wait_and_shown_by_results(conqure: Conqure) -> None:
    work_id = conqure("work", "create", "x.qasm", "--shots", "50", "--name", "mine", "--priority", "high").strip()
    shown = json.loads(conqure("work", "show", work_id[:8], "--json"))
    assert (shown["status"], shown["priority"], shown["name"], shown["shots"]) == ("READY", "HIGH", "mine", 50)
    assert "workload is DONE" in conqure("work", "wait", work_id)
    table = conqure("work", "results", work_id)
    assert "50 shots" in table
    assert "01" in table
    assert json.loads(conqure("work", "results", work_id, "--json"))["counts"] == [{"01": 50}]
    assert "mine" in conqure("work", "list", "--status", "done")
    assert [work["work_id"] for work in json.loads(conqure("work", "list", "--json"))] == [work_id]


def test_circuits_come_from_standard_input_too(conqure: Conqure) -> None:
    work_id = conqure("work", "create", "-", "--shots", "3", stdin=QASM).strip()
    assert conqure("work", "wait", work_id, "--quiet") == ""
    conqure("work", "results", work_id, "--out", "out.json")
    assert json.loads(Path("out.json").read_text())["counts"] == [{"01": 3}]


def test_a_work_is_canceled_and_wait_says_so_with_exit_code_1(conqure: Conqure) -> None:
    work_id = conqure("work", "create", "x.qasm").strip()
    assert conqure("work", "cancel", work_id, "--reason", "not needed") == f"work {work_id} is CANCELED\n"
    assert "WorkCanceled" in conqure("work", "wait", work_id, code=1)
    assert "WorkNotDone" in conqure("work", "results", work_id, code=1)


def test_mistakes_end_with_exit_code_2_and_a_sentence(conqure: Conqure) -> None:
    assert "there is no file 'y.qasm'" in conqure("work", "create", "y.qasm", code=2)
    assert "UnknownDevice" in conqure("work", "create", "x.qasm", "--device", "ion7", code=2)
    assert "UnknownWork: none of your newest works begins with 'abc'" in conqure("work", "show", "abc", code=2)
    assert "priority must be one of" in conqure("work", "create", "x.qasm", "--priority", "now", code=2)
    assert conqure("work", "list") == ""


def test_logging_out_without_having_logged_in_is_harmless(conqure: Conqure) -> None:
    assert conqure("logout") == "Not logged in.\n"


def test_the_same_commands_speak_with_a_service_after_logging_in(conqure: Conqure, service: RunningService) -> None:
    service.user()
    said = conqure("login", service.url, "--email", "ada@lab.example", stdin=f"{PASSWORD}\n")
    assert "Logged in as ada@lab.example" in said
    work_id = conqure("work", "create", "x.qasm", "--shots", "5").strip()
    conqure("work", "wait", work_id, "--quiet")
    assert json.loads(conqure("work", "results", work_id, "--json"))["counts"] == [{"01": 5}]
    assert work_id in conqure("work", "list", "--mine")
    assert conqure("logout") == f"Logged out of {service.url}.\n"
    assert conqure("work", "list") == ""  # the embedded queue again
