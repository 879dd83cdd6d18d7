"""``conqure vqe`` as it is typed."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from conqure.cli import app

FAST = ["--engine", "threads", "--starts", "2", "--seed", "1"]


@pytest.fixture
def conqure_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Conqure":
    monkeypatch.chdir(tmp_path)
    return Conqure()


class Conqure:
    """The command, in an empty folder."""

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["vqe", *arguments])

    def json(self, *arguments: str) -> dict:
        done = self(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


def test_a_run_prints_its_starts_its_solution_and_how_busy_the_qpus_were(conqure_: Conqure) -> None:
    done = conqure_("maxcut", *FAST, "--out", "run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["START", "EVALUATIONS", "ENERGY", "(CUT", "WEIGHT)", "NOISELESS", "MOST", "FREQUENT",
                                "SHARE", "ON", "OPTIMUM"]  # fmt: skip
    assert [line.split()[:2] for line in lines[1:3]] == [["0", "84"], ["1", "84"]]
    for word in (
        "solution",
        "cut 9 of at most 9: 0 2 4 5 | 1 3 6",
        "exact minimum",
        "% busy, 170 circuits",
        "run folder",
    ):
        assert word in done.stdout
    assert "start 0 done after 84 evaluations" in done.stderr
    assert sorted(path.name for path in Path("run").iterdir()) == ["evaluations.jsonl", "result.json", "run.json"]


def test_json_is_the_whole_of_standard_output(conqure_: Conqure) -> None:
    result = conqure_.json("maxcut", *FAST)
    assert result["best"]["start"] in (0, 1)
    assert result["exact_energy"] == -9
    assert result["starts"][0]["history"][0][0] == 3
    assert 0 < result["qpu_utilisation"] <= 1
    run = Path(result["run"])
    assert run.parent == Path("runs")
    assert run.name.endswith("-maxcut7")
    kept = json.loads((run / "run.json").read_text())
    assert kept["engine"] == "threads"
    assert kept["site"]["name"] == "laptop"
    assert "[qpu.sv0]" in kept["site_text"]


def test_a_graph_of_ones_own_with_another_ansatz_and_optimizer(conqure_: Conqure) -> None:
    Path("my.edges").write_text("a b 1\nb c 2\nc a 3\n")
    options = ["--ansatz", "qaoa", "--layers", "2", "--iterations", "30", "--shots", "200"]
    result = conqure_.json("maxcut", "my.edges", *FAST, *options, "--batch")
    assert result["ansatz"] == "qaoa(2)"
    assert result["optimizer"]["name"] == "spsa"
    assert result["batched"] is True
    assert result["exact_energy"] == -5
    assert result["best"]["energy"] < -3.5


@pytest.mark.slow
def test_a_molecule_from_the_command_line(conqure_: Conqure) -> None:
    result = conqure_.json("molecule", "H2", "--bond", "0.9", *FAST, "--final-shots", "4000")
    assert result["problem"] == "H2-0.9"
    assert result["unit"] == "hartree"
    assert result["best"]["energy"] == pytest.approx(result["exact_energy"], abs=0.02)
    assert all(start["noiseless"] - result["exact_energy"] < 1.6e-3 for start in result["starts"])


@pytest.mark.slow
def test_figures_are_drawn_and_can_be_drawn_later(conqure_: Conqure) -> None:
    conqure_.json("maxcut", *FAST, "--out", "run")
    assert not Path("run/convergence.png").exists()
    done = conqure_("maxcut", "--resume", "run", "--plot")
    assert done.exit_code == 0, done.output
    for name in ("convergence.png", "timeline.png"):
        assert Path("run", name).read_bytes().startswith(b"\x89PNG")
        assert name in done.stdout


@pytest.mark.slow
def test_a_resumed_run_is_the_run_it_was(conqure_: Conqure) -> None:
    whole = conqure_.json("maxcut", "petersen", *FAST, "--optimizer", "powell", "--iterations", "40", "--out", "run")
    log = Path("run/evaluations.jsonl")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:60]))
    again = conqure_.json("maxcut", "--resume", "run", "--device", "tag:fast")
    assert again["starts"] == whole["starts"]
    assert again["problem"] == "petersen"


def test_options_that_would_make_it_another_run_are_refused_on_resume(conqure_: Conqure) -> None:
    conqure_.json("maxcut", *FAST, "--out", "run")
    done = conqure_("maxcut", "petersen", "--resume", "run", "--shots", "5")
    assert done.exit_code == 2
    assert "InvalidProblem: --resume goes on with the run as it was, so graph, shots cannot be given" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["maxcut", "nowhere.edges"], "InvalidProblem: no graph file 'nowhere.edges', and no shipped graph"),
        (["maxcut", "--optimizer", "sgd"], "InvalidProblem: no optimizer 'sgd'"),
        (
            ["maxcut", "--ansatz", "qaoa", "-o", "rotosolve"],
            "InvalidProblem: rotosolve needs an energy that is a short Fourier series",
        ),
        (["maxcut", "--sweeps", "3", "-o", "spsa"], "InvalidProblem: optimizer 'spsa' has no setting 'sweeps'"),
        (["maxcut", "--device", "ion7"], "UnknownDevice: no device 'ion7'"),
        (["maxcut", "--engine", "slurm"], "UnknownEngine: no engine 'slurm'"),
        (["maxcut", "--site", "mars"], "UnknownSite:"),
        (["maxcut", "--priority", "URGENT"], "Invalid value for '--priority'"),
        (["molecule", "H3"], "InvalidProblem: no molecule 'H3'"),
        (["molecule", "LiH", "--active", "two"], "InvalidProblem: --active is ELECTRONS,ORBITALS"),
        (["maxcut", "--shots", "0"], "Invalid value for '--shots'"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(arguments: list[str], message: str, conqure_: Conqure) -> None:
    done = conqure_(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_a_folder_without_a_run_cannot_be_resumed(conqure_: Conqure) -> None:
    done = conqure_("maxcut", "--resume", "nothing")
    assert done.exit_code == 1
    assert "CannotResume: nothing holds no run" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["maxcut"], ["molecule"]])
def test_the_help_explains_every_option_and_gives_examples(arguments: list[str], conqure_: Conqure) -> None:
    text = conqure_(*arguments, "--help").stdout
    if arguments:
        assert "Examples:" in text
        for option in ("--engine", "--site", "--device", "--optimizer", "--ansatz", "--resume", "--out", "--plot"):
            assert option in text
    else:
        assert "maxcut" in text
        assert "molecule" in text


@pytest.mark.slow
def test_on_a_terminal_there_are_bars_and_a_coloured_table(tmp_path: Path) -> None:
    """A real pseudo-terminal: bars while it runs, the best start marked in the table."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "conqure", "vqe", "maxcut", *FAST, "--out", "run"]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(command, cwd=tmp_path, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end has closed
            break
        shown += part
    os.close(master)
    assert process.wait(30) == 0
    text = shown.decode()
    assert "━" in text
    assert "85/85" in text
    assert "\x1b[1;32m" in text
