"""Sites, the doctor and `conqure why` with a real Slurm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conqure import open_engine
from conqure.cli import app
from conqure.doctor import FAILED, NOTE, OK, Check
from conqure.rendering import render
from conqure.site_checks import check_site_file
from conqure.slurm import check_slurm
from conqure.why import Wait, why, why_job
from qpu_executors import SlurmError, run
from qpu_executors.records import QuantumTask
from qpu_executors.slurm import client
from qpu_executors.slurm.ledger import Ledger
from qpu_executors.testing import BELL

from .conftest import Slurm
from .sites import site_on

Checks = dict[str, list[Check]]


def conqure(*words: str) -> Any:
    return CliRunner().invoke(app, words, prog_name="conqure")


def checked(checks: Iterator[Check]) -> Checks:
    """The checks by name."""
    found: Checks = {}
    for check in checks:
        found.setdefault(check.name, []).append(check)
    return found


@pytest.fixture
def ledger(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger of a program whose jobs a test submits by itself."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ledger = Ledger("parsl", "cluster", site_on(tmp_path).path)
    yield ledger
    client.cancel(job.job_id for job in client.jobs(ledger.comment).values() if not job.ended)
    ledger.close()


@pytest.fixture
def submit(slurm: Slurm, ledger: Ledger, tmp_path: Path) -> Callable[..., str]:
    def submit(name: str, *options: str, command: str = "sleep 60") -> str:
        words = [f"--job-name=conqure-{name}", f"--comment={ledger.comment}", f"--output={tmp_path}/%j.out"]
        return slurm.run("sbatch", "--parsable", *words, *options, f"--wrap={command}").strip()

    return submit


@pytest.fixture
def drained(slurm: Slurm) -> Iterator[None]:
    slurm.run("scontrol", "update", "nodename=q1", "state=drain", "reason=calibration")
    yield
    if "DRAIN" in slurm.run("scontrol", "show", "node", "q1"):
        slurm.run("scontrol", "update", "nodename=q1", "state=resume")


def only_wait(name: str) -> Wait:
    """What `why` says of one QPU or group of the one program."""
    (program,) = why()
    return next(wait for wait in program.waits if wait.name == name)


def test_the_shipped_example_is_right_on_the_test_cluster(slurm: Slurm) -> None:
    done = conqure("sites", "check", "slurm_gres")
    assert done.exit_code == 0, done.stdout
    for name, node in ("cpu", r"c\d"), ("ion0", "q1"):
        assert re.search(
            rf"ok      {name} +its job would start at \S+ using \d processors on nodes {node}", done.stdout
        )


@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_slurm_would_take_the_scripts_of_both_engines(slurm: Slurm, tmp_path: Path, engine: str) -> None:
    scripts = render(site_on(tmp_path), engine)
    assert set(scripts) == {"ion0", "sc0", "cloud0", "cpu"}
    for script in scripts.values():
        assert "to start at" in client.test_only(script)


def test_slurm_takes_a_script_that_holds_both(slurm: Slurm, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = render(site_on(tmp_path), "slurm", "ion0", "cpu")["co-allocation"]
    *lines, _ = script.splitlines()
    (tmp_path / "job.sh").write_text("\n".join([*lines, f"echo $SLURM_HET_SIZE $CONQURE_HELD > {out}", ""]))
    slurm.run("sbatch", "--wait", f"--output={tmp_path}/log", str(tmp_path / "job.sh"))
    assert out.read_text() == "2 cpu,ion0\n"


@pytest.mark.parametrize(
    ("replaced", "name", "said", "place"),
    [
        (
            {"resource": "qpu:ino:1"},
            "ion0",
            "configuration is not available",
            "'qpu.ion0.resource' (line ",
        ),
        ({"memory": 'memory = "100G"'}, "cpu", "configuration is not available", "'slurm.memory' (line 5)"),
        (
            {"interface": 'directives = ["--qpu=ion_a"]'},
            "ion0",
            "unrecognized option '--qpu=ion_a'",
            "'slurm.directives' (line 7)",
        ),
        ({"interface": 'constraint = "gpu"'}, "cpu", "Invalid feature specification", "'slurm.constraint' (line 7)"),
    ],
)
def test_a_refusal_is_slurms_own_words_and_the_line_to_change(
    slurm: Slurm, tmp_path: Path, replaced: dict[str, str], name: str, said: str, place: str
) -> None:
    site = site_on(tmp_path, **replaced)
    failed = [check for check in checked(check_site_file(site))[name] if check.topic == "jobs"]
    assert failed[0].state == FAILED
    assert said in failed[0].detail
    assert place in failed[0].fix
    assert str(site.path) in failed[0].fix


@pytest.mark.parametrize(
    ("replaced", "name", "said", "place"),
    [
        (
            {"partition": 'partition = "cpus"'},
            "cpu",
            "Slurm has no partition 'cpus'. Partitions: cpu, quantum, quantum_hi",
            "'group.cpu.partition' (line 10)",
        ),
        (
            {"resource": "qpu:ino:1"},
            "quantum",
            "no node of partition quantum has the GRES 'qpu:ino'. They have: qpu, qpu:ion, qpu:sc",
            "'qpu.ion0.resource' (line 21) and 'group.quantum.partition' (line 14)",
        ),
        (
            {"interface": 'reservation = "course"'},
            "cpu",
            "Slurm has no reservation 'course'. There are: none",
            "'slurm.reservation' (line 7)",
        ),
        (
            {"interface": 'licenses = ["matlab:1"]'},
            "cpu",
            "Slurm has no licence 'matlab'. Licences: qpu_cloud",
            "'slurm.licenses' (line 7)",
        ),
    ],
)
def test_the_doctor_compares_the_site_with_what_slurm_knows(
    slurm: Slurm, tmp_path: Path, replaced: dict[str, str], name: str, said: str, place: str
) -> None:
    found = checked(check_slurm(site_on(tmp_path, **replaced)))[name][0]
    assert (found.state, found.detail) == (FAILED, said)
    assert place in found.fix


def test_the_doctor_is_content_with_the_test_cluster(slurm: Slurm, tmp_path: Path) -> None:
    found = checked(check_slurm(site_on(tmp_path)))
    states = {
        name: checks[0].state for name, checks in found.items() if name not in ("shared folder", "python", "root")
    }
    assert set(states.values()) == {OK}, found
    assert {"commands", "slurm.conf", "munge", "controller", "cpu", "quantum", "cpu_for_cloud"} <= set(states)


def test_a_walltime_that_the_partition_does_not_allow_is_found_before_a_job_waits_for_ever(
    slurm: Slurm, tmp_path: Path
) -> None:
    slurm.run("scontrol", "update", "partitionname=quantum", "maxtime=5")
    try:
        (found,) = checked(check_slurm(site_on(tmp_path)))["quantum"]
    finally:
        slurm.run("scontrol", "update", "partitionname=quantum", "maxtime=infinite")
    assert found.detail == "walltime 00:10:00 is longer than the 00:05:00 of partition quantum"
    assert "'slurm.walltime' (line 4)" in found.fix


def test_a_drained_qpu_is_no_mistake_of_the_file(slurm: Slurm, drained: None, tmp_path: Path) -> None:
    found = checked(check_site_file(site_on(tmp_path)))
    assert [check.state for check in found["quantum"]] == [OK, NOTE]
    assert found["quantum"][1].detail == "1 of 2 nodes can be used: q1 is drained (calibration)"
    (job,) = [check for check in found["ion0"] if check.topic == "jobs"]
    assert (job.state, job.detail) == (NOTE, "its jobs would wait: q1 is drained (calibration)")
    assert [check.state for check in found["sc0"]] == [OK, OK]


def test_a_controller_that_is_away_is_one_finding(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(slurm.env["SLURM_CONF"]).read_text()
    elsewhere = tmp_path / "slurm.conf"
    elsewhere.write_text(re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=1", text))
    monkeypatch.setenv("SLURM_CONF", str(elsewhere))
    found = checked(check_slurm(site_on(tmp_path)))
    assert found["controller"][0].state == FAILED
    assert "DOWN" in found["controller"][0].detail
    assert "quantum" not in found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_a_probe_runs_a_task_in_each_kind_of_job(slurm: Slurm, tmp_path: Path, engine: str) -> None:
    site = site_on(tmp_path, engine=engine).only("ion0")
    probes = {check.name: check for check in check_site_file(site, probe=True) if check.topic == "probes"}
    assert {name: check.state for name, check in probes.items()} == {"cpu": OK, "cpu_for_cloud": OK, "ion0": OK}
    assert re.fullmatch(
        r"started in \d+\.\d s, round trip \d+ ms, of which 5\d ms on the QPU: ion0 answered in job \d+",
        probes["ion0"].detail,
    )
    assert re.fullmatch(r"started in \d+\.\d s, round trip \d+ ms: node \S+ answered in job \d+", probes["cpu"].detail)


@pytest.mark.slow
def test_the_shipped_example_runs_a_vqe(slurm: Slurm, tmp_path: Path) -> None:
    words = ["vqe", "maxcut", "--site", "slurm_gres", "--starts", "2", "--sweeps", "1", "--shots", "20", "--json"]
    command = [str(Path(sys.executable).with_name("conqure")), *words, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_a_task_that_waits_for_a_drained_qpu_says_so(
    slurm: Slurm, drained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with open_engine("parsl", site_on(tmp_path)) as engine:
        future = engine.qpus.submit(run, QuantumTask(BELL, shots=10, device_id="ion0"))
        slurm.wait_until(lambda: _reasons_of("ion0"), 30, "a job that waits for the QPU")
        wait = only_wait("ion0")
        assert wait.tasks == 1
        assert re.match(r"Job \d+ waits: ", wait.reasons[0])
        assert "Node q1 is drained (calibration)." in wait.reasons[0]
        slurm.run("scontrol", "update", "nodename=q1", "state=resume")
        assert future.result(60).device_id == "ion0"


def _reasons_of(name: str) -> list[str]:
    said = [reason for program in why() for wait in program.waits if wait.name == name for reason in wait.reasons]
    return [reason for reason in said if "q1" in reason]


def test_a_job_that_waits_for_a_licence_says_who_to_ask(
    slurm: Slurm, ledger: Ledger, submit: Callable[..., str]
) -> None:
    submit("other", "--licenses=qpu_cloud:1")
    waits = submit("cloud0", "--licenses=qpu_cloud:1")
    ledger.waiting({"cloud0": 4})
    slurm.wait_until(lambda: client.jobs()[waits].reason == "Licenses", 30, "the reason Licenses")
    wait = only_wait("cloud0")
    assert (wait.tasks, wait.next_step) == (4, "")
    assert wait.reasons[0].startswith(f"Job {waits} waits: its licences are in use (Licenses). See who has them:")
    assert why_job(waits) == wait.reasons[0]


def test_tasks_behind_workers_that_are_busy_say_where_more_workers_are_written(
    slurm: Slurm, ledger: Ledger, submit: Callable[..., str], tmp_path: Path
) -> None:
    job = submit("cpu")
    ledger.waiting({"cpu": 9})
    slurm.wait_until(lambda: slurm.state(job) == "RUNNING", 30, "the job runs")
    wait = only_wait("cpu")
    assert wait.reasons == (
        f"Job {job} runs on {client.jobs()[job].nodes}.",
        "Its workers are busy with other tasks, or are starting.",
    )
    assert wait.next_step == (
        "For more at the same time, raise 'jobs' (2) or 'workers' (2): "
        f"'group.cpu.jobs' (line 12) and 'group.cpu.workers' (line 11) in {tmp_path}/cluster.toml"
    )


def test_tasks_without_a_job_say_so_and_what_was_the_last_one(
    slurm: Slurm, ledger: Ledger, submit: Callable[..., str]
) -> None:
    ledger.waiting({"cpu": 1})
    assert only_wait("cpu").reasons == ("No job has been submitted for it yet: the program has just begun.",)
    job = submit("cpu", command="exit 3")
    slurm.wait_until(lambda: client.jobs()[job].ended, 30, "the job ends")
    wait = only_wait("cpu")
    assert re.match(rf"No job holds it now: Job {job} is FAILED", wait.reasons[0])
    assert "--probe" in wait.next_step


def test_a_job_that_is_nobodys_is_told_from_those_there_are(slurm: Slurm, submit: Callable[..., str]) -> None:
    job = submit("cpu", "--hold")
    assert why_job(job).startswith(f"Job {job} waits: you hold it (JobHeldUser). Let it go: scontrol release {job}.")
    with pytest.raises(SlurmError, match=rf"Slurm knows no job '999999' of yours\. Those that have not ended: .*{job}"):
        why_job("999999")
    done = conqure("why", job, "--json")
    assert json.loads(done.stdout)["reason"] == why_job(job)
