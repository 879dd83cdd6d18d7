"""The multi-start VQE on a real Slurm: its jobs in the records and the timeline, and what happens when they die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conqure import Site, open_engine
from conqure.workflows.vqe import MaxCut, solve
from conqure.workflows.vqe.optimizers import make_optimizer

from .conftest import Slurm
from .sites import site_on

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

engines = pytest.mark.parametrize("engine", ["parsl", "dask"])
one_engine = pytest.mark.parametrize("engine", ["parsl", pytest.param("dask", marks=pytest.mark.drill)])
OPTIONS = ("--device", "tag:ion", "--starts", "3", "--seed", "7", "--optimizer", "spsa", "--iterations", "6")


class Program:
    """``conqure vqe maxcut`` as a process of its own; its run folder is ``run``."""

    def __init__(self, slurm: Slurm, site: Site, engine: str, *options: str) -> None:
        assert site.path is not None
        self.slurm, self.folder = slurm, site.path.parent
        command = [sys.executable, "-m", "conqure", "vqe", "maxcut", "--site", str(site.path), "--engine", engine]
        self.errors = self.folder / f"errors-{time.monotonic()}"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, *options], cwd=self.folder, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    @property
    def said(self) -> str:
        """On standard error."""
        return self.errors.read_text()

    def wait_for(self, circuits: int) -> None:
        """Until its log holds so many."""

        def seen() -> bool:
            assert self.process.poll() is None, self.said
            return len([line for line in log_of(self.folder) if line["kind"] == "circuit"]) >= circuits

        self.slurm.wait_until(seen, 60, f"{circuits} circuits in the log")

    def finish(self, code: int = 0) -> str:
        """Its standard output, once it has ended."""
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == code, self.said
        return output


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of the log."""
    log = folder / "run" / "evaluations.jsonl"
    whole = log.read_bytes().rpartition(b"\n")[0] if log.exists() else b""
    return [json.loads(line) for line in whole.splitlines()]


def times_in_log(folder: Path) -> Counter[tuple[str, int, int, int]]:
    """How often each node of the graph stands in the log."""
    return Counter(
        (line["kind"], line["start"], line["link"], line.get("task", 0))
        for line in log_of(folder)
        if line["kind"] in ("circuit", "step")
    )


def my_jobs(slurm: Slurm) -> dict[str, str]:
    """Jobs that run or wait: number to name."""
    return dict(line.split() for line in slurm.run("squeue", "--noheader", "--me", "--format=%i %j").splitlines())


def no_job_is_left(slurm: Slurm) -> None:
    slurm.wait_until(lambda: not my_jobs(slurm), 20, "all jobs end with their program")


Start = Callable[..., Program]


@pytest.fixture
def start(slurm: Slurm) -> Iterator[Start]:
    """``start(site, engine, *options)``: a `Program`, which does not outlive the test."""
    started: list[Program] = []

    def new(*arguments: Any) -> Program:
        started.append(Program(slurm, *arguments))
        return started[-1]

    yield new
    for program in started:
        program.process.kill()
        program.process.communicate()


@pytest.fixture(scope="module")
def undisturbed() -> list[dict[str, Any]]:
    """What the run with `OPTIONS` comes to: the same on every engine."""
    with open_engine("threads", "laptop") as opened:
        optimizer = make_optimizer("spsa", iterations=6)
        result = solve(
            MaxCut.read("maxcut7"), None, optimizer, qpus=opened.qpus, cpus=opened.cpus, starts=3, shots=100, seed=7
        )
    return json.loads(json.dumps(result.to_dict()["starts"]))


@engines
def test_a_run_records_the_jobs_that_held_its_qpu_and_its_workers(
    engine: str, start: Start, slurm: Slurm, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    shown = start(site_on(tmp_path), engine, *OPTIONS, "--plot", "--out", "run").finish()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["starts"] == undisturbed
    assert result["cpus"] == 4

    nodes = [line for line in log_of(tmp_path) if line["kind"] in ("circuit", "step")]
    assert all(line["job"] and line["queued_at"] <= line["started_at"] for line in nodes)
    (ion,) = (use for use in result["slurm_jobs"] if use["device_id"] == "ion0")
    assert slurm.field(ion["job"], "NodeList") == "q1"
    assert {line["job"] for line in nodes if line["kind"] == "circuit"} == {ion["job"]}
    assert ion["started_at"] == min(line["started_at"] for line in nodes if line["kind"] == "circuit")
    classical = [use for use in result["slurm_jobs"] if use["group"] == "cpu"]
    assert {line["job"] for line in nodes if line["kind"] == "step"} <= {use["job"] for use in classical}
    assert all(slurm.field(use["job"], "Partition") == "cpu" for use in classical)
    assert 0 < result["qpu_busy_of_held"] <= 1

    assert (tmp_path / "run" / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert "queue wait" in shown
    assert f"ion0: {ion['job']}" in shown
    no_job_is_left(slurm)


@pytest.mark.drill
@engines
def test_a_run_whose_whole_allocation_was_killed_goes_on_where_it_was(
    engine: str, start: Start, slurm: Slurm, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    site = site_on(tmp_path)
    program = start(site, engine, *OPTIONS, "--out", "run")
    program.wait_for(circuits=20)
    slurm.run("scancel", *my_jobs(slurm))
    program.process.kill()
    program.process.communicate(timeout=30)
    measured = times_in_log(tmp_path)
    no_job_is_left(slurm)

    result = json.loads(start(site, engine, "--resume", "run", "--json").finish())
    assert result["starts"] == undisturbed
    assert measured <= times_in_log(tmp_path)
    assert set(times_in_log(tmp_path).values()) == {1}
    assert len({use["job"] for use in result["slurm_jobs"] if use["device_id"]}) == 2
    no_job_is_left(slurm)


@pytest.mark.drill
@engines
def test_a_run_whose_jobs_are_all_cancelled_ends_right_by_itself(
    engine: str, start: Start, slurm: Slurm, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    program = start(site_on(tmp_path), engine, *OPTIONS, "--out", "run", "--json")
    program.wait_for(circuits=20)
    cancelled = my_jobs(slurm)
    assert {"conqure-ion0", "conqure-cpu"} <= set(cancelled.values())
    slurm.run("scancel", *cancelled)
    result = json.loads(program.finish())
    assert result["starts"] == undisturbed
    assert set(times_in_log(tmp_path).values()) == {1}
    jobs = {use["job"] for use in result["slurm_jobs"]}
    assert jobs & set(cancelled)
    assert jobs - set(cancelled)
    no_job_is_left(slurm)


@one_engine
def test_a_run_says_what_it_waits_for(engine: str, start: Start, slurm: Slurm, tmp_path: Path) -> None:
    blocker = slurm.submit("sleep 120", "--partition=quantum", "--gres=qpu:ion:1")
    try:
        slurm.wait_until(lambda: slurm.state(blocker) == "RUNNING", 10, "somebody else holds the QPU")
        program = start(site_on(tmp_path), engine, *OPTIONS, "--out", "run")
        slurm.wait_until(lambda: "for 'ion0'" in program.said and "(Resources)" in program.said, 60, "the reason")
    finally:
        slurm.run("scancel", blocker)
    program.finish()


@one_engine
def test_a_qpu_that_nobody_offers_ends_a_run_with_one_message(
    engine: str, start: Start, slurm: Slurm, tmp_path: Path
) -> None:
    program = start(site_on(tmp_path, resource="qpu:photon:1"), engine, *OPTIONS, "--out", "run")
    program.finish(code=1)
    assert program.said.count("Requested node configuration is not available") == 1
    assert "[qpu.ion0]" in program.said or "qpu.ion0.resource" in program.said
    assert "Traceback" not in program.said


@one_engine
def test_workers_that_never_start_end_a_run_with_the_end_of_their_log(
    engine: str, start: Start, slurm: Slurm, tmp_path: Path
) -> None:
    site = site_on(tmp_path, partition='partition = "cpu"\nlines = ["echo no such module >&2; exit 3"]')
    program = start(site, engine, *OPTIONS, "--out", "run")
    program.finish(code=1)
    assert "no such module" in program.said
    assert "Traceback" not in program.said


@one_engine
def test_sigterm_ends_a_run_and_all_its_jobs(engine: str, start: Start, slurm: Slurm, tmp_path: Path) -> None:
    program = start(site_on(tmp_path), engine, *OPTIONS, "--out", "run")
    program.wait_for(circuits=5)
    program.process.send_signal(signal.SIGTERM)
    program.finish(code=130)
    assert "conqure vqe maxcut --resume run" in program.said
    no_job_is_left(slurm)
