"""What a run will cost, and that it costs no more than it may: --dry-run, --budget-shots, --budget-s."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from conqure.cli import app
from qpu_executors import BudgetExceeded
from qpu_executors.testing import BELL

ION0 = 'driver = "emulated"\nqubits = 9\noptions = { shot_s = 0.01, job_s = 1.0, clock = "virtual" }'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conqure.toml").write_text(f'[qpu.ion0]\n{ION0}\n[qpu.sv0]\ndriver = "statevector"\nqubits = 9\n')
    (tmp_path / "bell.json").write_text(BELL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def conqure(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def in_json(*words: str) -> dict:
    done = conqure(*words, "--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_a_dry_run_says_what_a_circuit_would_cost(folder: Path) -> None:
    said = conqure("run", "bell.json", "-n", "500", "--device", "ion0", "--dry-run")
    assert said.exit_code == 0
    assert "nothing was run" in said.stdout
    assert "500" in said.stdout
    assert "about 6 s" in said.stdout
    found = in_json("run", "bell.json", "-n", "500", "--device", "sv0", "--dry-run")
    assert found == {"device_id": "sv0", "circuits": 1, "shots": 500, "seconds": None}


@pytest.mark.parametrize("option", [("--budget-shots", "499"), ("--budget-s", "5.9")])
def test_a_circuit_that_would_cost_more_is_not_run(folder: Path, option: tuple[str, str]) -> None:
    done = conqure("run", "bell.json", "-n", "500", "--device", "ion0", *option)
    assert done.exit_code == 1
    assert isinstance(done.exception, BudgetExceeded) or "BudgetExceeded" in done.output


def test_a_circuit_within_the_budget_is_run(folder: Path) -> None:
    words = ("run", "bell.json", "-n", "500", "--device", "ion0", "--budget-shots", "500", "--budget-s", "6.1")
    assert sum(in_json(*words)["counts"][0].values()) == 500


VQE = ("vqe", "maxcut", "--device", "ion0", "--engine", "threads", "--starts", "2", "--sweeps", "1", "--no-exact")


def test_a_dry_run_of_a_vqe_says_what_it_costs(folder: Path) -> None:
    said = in_json(*VQE, "--dry-run")
    assert not (folder / "runs").exists()
    ran = in_json(*VQE, "--budget-shots", str(said["shots"]), "--out", "run")
    assert said["circuits"] == ran["circuits"]
    assert said["shots"] == ran_shots(folder / "run")
    assert said["seconds"] == pytest.approx(said["circuits"] * 1.0 + said["shots"] * 0.01)


def test_a_vqe_ends_when_its_budget_is_spent_and_can_go_on(folder: Path) -> None:
    done = conqure(*VQE, "--budget-shots", "2000", "--out", "run")
    assert done.exit_code == 1
    assert isinstance(done.exception, BudgetExceeded) or "BudgetExceeded" in done.output
    assert 0 < ran_shots(folder / "run") <= 2000
    assert conqure("vqe", "maxcut", "--resume", "run", "--no-exact").exit_code == 0


def ran_shots(run: Path) -> int:
    records = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    return sum(record["shots"] * record.get("rows", 1) for record in records if "shots" in record)
