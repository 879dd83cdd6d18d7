"""Runs that are killed, and go on as if they had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conqure import Engine
from conqure.engines import ENGINE_NAMES
from conqure.workflows.vqe import CannotResume, InvalidProblem, MaxCut, VQEResult, make_optimizer, solve
from conqure.workflows.vqe.optimizers import OPTIMIZERS
from conqure.workflows.vqe.record import LOG, RUN, RunFolder

GRAPH = MaxCut.of("square", [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2, 0.5)])
SHORT = {"rotosolve": {}, "spsa": {"iterations": 20}, "adam": {"iterations": 4}}

SITE = """
[cpu]
workers = 2
[qpu.ion0]
driver = "emulated"
qubits = 7
options = { job_s = 0.004 }
[qpu.ion1]
driver = "emulated"
qubits = 7
options = { job_s = 0.004 }
"""


def settings_for(name: str) -> dict[str, Any]:
    optimizer = make_optimizer(name, **SHORT.get(name, {"iterations": 30}))
    return {"problem": GRAPH, "optimizer": optimizer, "starts": 3, "shots": 50, "seed": 11}


def same(one: VQEResult, other: VQEResult) -> bool:
    return all(
        a.history == b.history and np.array_equal(a.parameters, b.parameters) and a.counts == b.counts
        for a, b in zip(one.starts, other.starts, strict=True)
    )


def cut_short(folder: Path, share: float, torn: bytes = b"") -> int:
    """Leave only the first lines of the log, as a kill would; returns how many circuits they hold."""
    lines = (folder / LOG).read_bytes().splitlines(keepends=True)
    kept = lines[: int(share * len(lines))]
    (folder / LOG).write_bytes(b"".join(kept) + torn)
    return sum(json.loads(line)["kind"] == "circuit" for line in kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(name: str, engine: Engine, tmp_path: Path) -> None:
    """For every optimiser: the same trajectory as without the cut, and no circuit that the log holds runs again."""
    pools = {"qpus": engine.qpus, "cpus": engine.cpus}
    whole = solve(**settings_for(name), **pools, out=tmp_path)
    for share, torn in ((0.5, b'{"kind":"step","sta'), (0.9, b""), (0.02, b"{")):
        kept = cut_short(tmp_path, share, torn)
        resumed = solve(**settings_for(name), **pools, resume=tmp_path)
        assert same(resumed, whole)
        assert len(resumed.circuits) == len(whole.circuits)
        assert sum(circuit.session == 0 for circuit in resumed.circuits) <= kept


def test_a_log_of_an_older_version_is_read(engine: Engine, tmp_path: Path) -> None:
    """Before there were jobs of Slurm in it: no jobs, no waits, no attempts, no wakes."""
    pools = {"qpus": engine.qpus, "cpus": engine.cpus}
    whole = solve(**settings_for("spsa"), **pools, out=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    since = ("job", "queued_at", "attempts", "group")
    older = [{key: line[key] for key in line if key not in since} for line in lines if line["kind"] != "wake"]
    (tmp_path / LOG).write_text("".join(json.dumps(line) + "\n" for line in older[: len(older) // 2]))
    resumed = solve(**settings_for("spsa"), **pools, resume=tmp_path)
    assert same(resumed, whole)
    assert {circuit.queued_at is None for circuit in resumed.circuits} == {True, False}
    assert resumed.jobs == []


def test_resuming_a_finished_run_runs_nothing(engine: Engine, tmp_path: Path) -> None:
    whole = solve(**settings_for("spsa"), qpus=engine.qpus, cpus=engine.cpus, out=tmp_path)
    again = solve(**settings_for("spsa"), qpus=None, cpus=None, resume=tmp_path)  # type: ignore[arg-type]
    assert same(again, whole)
    assert again.wall_s == pytest.approx(whole.wall_s)


def test_the_folder_says_everything_needed_to_repeat_the_run(engine: Engine, tmp_path: Path) -> None:
    solve(**settings_for("cobyla"), qpus=engine.qpus, cpus=engine.cpus, out=tmp_path, about={"site": "here"})
    run, result = (json.loads((tmp_path / name).read_text()) for name in (RUN, "result.json"))
    assert run["identity"]["seed"] == 11
    assert run["identity"]["optimizer"] == {"name": "cobyla", "iterations": 30}
    assert MaxCut.from_dict(run["identity"]["problem"]) == GRAPH
    assert run["versions"]["python"]
    assert run["versions"]["numpy"] == np.__version__
    assert run["site"] == "here"
    assert len(result["starts"]) == 3
    assert result["best"]["solution"].startswith("cut ")
    kinds = {json.loads(line)["kind"] for line in (tmp_path / LOG).read_text().splitlines()}
    assert kinds - {"wake"} == {"session", "circuit", "step"}  # workers that are awake are not woken


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 12}, "another seed: 11 there, 12 here"),
        ({"shots": 51}, "another shots: 50 there, 51 here"),
        ({"problem": MaxCut.of("square", [(0, 1), (1, 2), (2, 3)])}, "another problem"),
        ({"optimizer": make_optimizer("adam")}, "another optimizer"),
    ],
)
def test_another_run_is_not_resumed(changes: dict[str, Any], message: str, engine: Engine, tmp_path: Path) -> None:
    solve(**settings_for("spsa"), qpus=engine.qpus, cpus=engine.cpus, out=tmp_path)
    with pytest.raises(CannotResume, match=message):
        solve(**settings_for("spsa") | changes, qpus=engine.qpus, cpus=engine.cpus, resume=tmp_path)


def test_a_folder_that_holds_a_run_is_not_written_over(engine: Engine, tmp_path: Path) -> None:
    solve(**settings_for("rotosolve"), qpus=engine.qpus, cpus=engine.cpus, out=tmp_path)
    with pytest.raises(InvalidProblem, match="already holds a run"):
        solve(**settings_for("rotosolve"), qpus=engine.qpus, cpus=engine.cpus, out=tmp_path)


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(CannotResume, match="holds no run that can be resumed"):
        RunFolder.resume(tmp_path)
    (tmp_path / RUN).write_text("[]")
    with pytest.raises(CannotResume, match="was not written by conqure vqe"):
        RunFolder.resume(tmp_path)


def test_damage_before_the_last_line_is_told_and_left_alone(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {"identity": {}}).close()
    damaged = b'{"kind":"session"}\n{"kin\n{"kind":"session"}\n'
    (tmp_path / LOG).write_bytes(damaged)
    folder = RunFolder.resume(tmp_path)
    with pytest.raises(CannotResume, match="line 2 is damaged"):
        list(folder.records())
    folder.close()
    assert (tmp_path / LOG).read_bytes() == damaged


@pytest.mark.parametrize("torn", [b"", b"{", b'{"long": "' + b"x" * 200_000])
def test_a_torn_last_line_of_any_length_is_cut_off(torn: bytes, tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {"identity": {}}).close()
    for whole in (b"", b'{"kind":"session"}\n', b'{"kind":"session"}\n' * 5000):
        (tmp_path / LOG).write_bytes(whole + torn)
        folder = RunFolder.resume(tmp_path)
        assert len(list(folder.records())) == whole.count(b"\n")
        folder.append({"kind": "next"})
        folder.close()
        assert (tmp_path / LOG).read_bytes() == whole + b'{"kind":"next"}\n'


def test_two_processes_do_not_write_to_one_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {"identity": {}})
    with pytest.raises(CannotResume, match="another process is writing"):
        RunFolder.resume(tmp_path)
    folder.close()
    RunFolder.resume(tmp_path).close()


# Real processes, killed -----------------------------------------------------------------------------------------------


class Process:
    """``conqure vqe maxcut`` as a process of its own, with slow QPUs."""

    def __init__(self, folder: Path, *options: str, engine: str = "threads") -> None:
        (folder / "site.toml").write_text(SITE)
        command = [sys.executable, "-m", "conqure", "vqe", "maxcut", *options, "--engine", engine]
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, "--site", "site.toml"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group of its own, as a terminal gives it
        )

    def signal_after(self, lines: int, number: signal.Signals, everybody: bool = False) -> tuple[int, str]:
        """Wait for so many lines in the log, send the signal to it, or to its workers too; exit code and errors."""
        log = self.folder / "run" / LOG
        while not log.exists() or log.read_bytes().count(b"\n") < lines:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        (os.killpg if everybody else os.kill)(self.process.pid, number)
        _, error = self.process.communicate(timeout=30)
        return self.process.returncode, error

    def finish(self) -> dict[str, Any]:
        output, error = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, error
        return json.loads(output)


OPTIONS = ("--seed", "4", "--starts", "4", "--optimizer", "cobyla", "--iterations", "60")


@pytest.mark.slow
def test_a_process_killed_twice_with_kill_9_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    """SciPy's COBYLA. The killed run has lost nothing but circuits in flight, two on each of the two QPUs at most."""
    (tmp_path / "whole").mkdir()
    whole = Process(tmp_path / "whole", *OPTIONS, "--out", "run", "--json").finish()
    code, _ = Process(tmp_path, *OPTIONS, "--out", "run").signal_after(60, signal.SIGKILL)
    assert code == -signal.SIGKILL
    code, _ = Process(tmp_path, "--resume", "run").signal_after(150, signal.SIGKILL)
    assert code == -signal.SIGKILL
    resumed = Process(tmp_path, "--resume", "run", "--json").finish()
    assert resumed["starts"] == whole["starts"]
    assert resumed["circuits"] == whole["circuits"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    code, error = Process(tmp_path, *OPTIONS, "--out", "run").signal_after(60, number)
    assert code == 130
    assert "Traceback" not in error
    assert "conqure vqe maxcut --resume run" in error
    resumed = Process(tmp_path, "--resume", "run", "--json").finish()
    assert len(resumed["starts"]) == 4


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_ctrl_c_in_a_terminal_reaches_all_workers_and_still_ends_cleanly(engine: str, tmp_path: Path) -> None:
    """A terminal sends the signal to the engine's processes as well."""
    process = Process(tmp_path, *OPTIONS, "--out", "run", engine=engine)
    code, error = process.signal_after(60, signal.SIGINT, everybody=True)
    assert code == 130
    assert "KeyboardInterrupt" not in error  # no traceback of the program or of a worker
    assert "conqure vqe maxcut --resume run" in error
