"""The fault drill: a multi-start VQE while something dies, twenty rounds; what was lost or left, how long it took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..harness import Measure, measure
from .cluster import Cluster, cluster

ROUNDS = 20
CIRCUIT_S, LONG_S = 0.05, 0.9
ENDS_WITHIN_S = 300.0
QUIET_WITHIN_S = 20.0


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. ``happen`` makes it so and returns what undoes it; ``long``: it takes a minute."""

    name: str
    happen: Callable[[Cluster, subprocess.Popen[bytes]], Callable[[], Any]]
    long: bool = False
    fatal: bool = False  # to the program, which is resumed
    lasts_s: float | None = None  # after this it is undone; by default at the end of the run


@dataclass(frozen=True)
class Round:
    """How a round went. ``recovery_s``: the longest time after the fault in which no circuit began."""

    fault: str
    right: bool
    left: tuple[str, ...]
    recovery_s: float
    attempts: int


def measures() -> Iterable[Measure]:
    for engine in ("parsl", "dask"):
        yield from drill(engine)


def drill(engine: str) -> Iterator[Measure]:
    """Twenty rounds with one engine."""
    with cluster() as here:
        rounds = list(_rounds(here, engine))
    took: dict[str, list[float]] = defaultdict(list)
    for each in rounds:
        took[each.fault].append(each.recovery_s)
    wrong = [each.fault for each in rounds if not each.right]
    left = [f"{each.fault}: {', '.join(each.left)}" for each in rounds if each.left]
    title = f"fault drill with {engine.capitalize()}, {len(rounds)} rounds"
    yield measure(
        f"{title}: runs that ended wrong", [float(len(wrong))], "runs", goal=("<=", 0.0), note="; ".join(wrong)
    )
    yield measure(
        f"{title}: jobs, processes and QPUs left behind", [float(len(left))], "", goal=("<=", 0.0), note="; ".join(left)
    )
    for fault, seconds in took.items():
        yield measure(f"{title}: longest pause of the QPU after: {fault}", seconds, "s")


def _rounds(here: Cluster, engine: str) -> Iterator[Round]:
    truth = {circuit_s: _undisturbed(here, engine, circuit_s) for circuit_s in (CIRCUIT_S, LONG_S)}
    number = 0
    while number < ROUNDS:
        for fault in FAULTS:
            if number == ROUNDS or (fault.long and number >= len(FAULTS)):
                continue
            number += 1
            outcome = _round(here, engine, fault, number, truth[LONG_S if fault.long else CIRCUIT_S])
            print(f"  {engine} {number}: {outcome}", file=sys.stderr, flush=True)
            yield outcome


def _undisturbed(here: Cluster, engine: str, circuit_s: float) -> list[float]:
    folder = here.folder / f"{engine}-true-{circuit_s}"
    assert _start(here, engine, circuit_s, folder).wait(ENDS_WITHIN_S) == 0
    return _energies(folder)


def _round(here: Cluster, engine: str, fault: Fault, number: int, truth: list[float]) -> Round:
    folder = here.folder / f"{engine}-{number}"
    program = _start(here, engine, LONG_S if fault.long else CIRCUIT_S, folder)
    _until(lambda: len(_log(folder, "circuit")) >= 12 or program.poll() is not None, ENDS_WITHIN_S)
    at = time.time()
    undo = fault.happen(here, program)
    try:
        if fault.fatal:
            program.wait()
            left_early = _left_behind(here)
            program = _start(here, engine, CIRCUIT_S, folder, resume=True)
        else:
            left_early = ()
        if fault.lasts_s is None:
            program.wait(ENDS_WITHIN_S)
        else:
            time.sleep(fault.lasts_s)
    except subprocess.TimeoutExpired:
        program.kill()
    finally:
        undo()
    code = _wait(program)
    right = code == 0 and _energies(folder) == truth
    moments = [at, *sorted(t for line in _log(folder, "circuit") if (t := line["started_at"]) > at)]
    recovery = max((later - earlier for earlier, later in pairwise(moments)), default=0.0)
    attempts = max((line.get("attempts", 1) for line in _log(folder, "circuit")), default=1)
    return Round(fault.name, right, (*left_early, *_left_behind(here)), recovery, attempts)


def _wait(program: subprocess.Popen[bytes]) -> int | None:
    try:
        return program.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        program.kill()
        return None


def _start(here: Cluster, engine: str, circuit_s: float, folder: Path, resume: bool = False) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "conqure", "vqe", "maxcut"]
    if resume:
        words += ["--resume", str(folder)]
    else:
        site = here.site(circuit_s, idle_s=30)
        words += ["--site", str(site.path), "--engine", engine, "--starts", "3", "--sweeps", "1", "--seed", "7"]
        words += ["--no-exact", "--out", str(folder)]
    with open(f"{folder}.log", "ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _log(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The records of a run so far."""
    try:
        lines = (folder / "evaluations.jsonl").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # being written
            continue
        if record["kind"] == kind:
            found.append(record)
    return found


def _energies(folder: Path) -> list[float]:
    try:
        return [start["energy"] for start in json.loads((folder / "result.json").read_text())["starts"]]
    except (OSError, ValueError):
        return []


def _left_behind(here: Cluster) -> tuple[str, ...]:
    """What is still there some seconds after the end of a program: jobs, and processes of jobs."""
    _until(lambda: not here.jobs() and not _processes(here), QUIET_WITHIN_S)
    return (*(f"job {job}" for job in here.jobs()), *_processes(here))


def _processes(here: Cluster) -> list[str]:
    """Processes that belong to jobs of this cluster, or to programs of the drill."""
    mark, found = f"SLURM_CONF={os.environ['SLURM_CONF']}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in variables and any(v.startswith(b"SLURM_JOB_ID=") for v in variables) and "slurm" not in words[:40]:
            found.append(words[:80])
    return found


def _until(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def _running(partition: str) -> tuple[str, str]:
    """A job that runs in a partition, and its node."""
    words = ["squeue", "-h", "-t", "R", "-p", partition, "-o", "%A %N"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    job, node = lines[0].split()
    return job, node


def _scancel(partition: str, here: Cluster, _: Any) -> Callable[[], Any]:
    subprocess.run(["scancel", _running(partition)[0]], check=True)
    return lambda: None


def _kill_node(partition: str, here: Cluster, _: Any) -> Callable[[], Any]:
    node = _running(partition)[1]
    here.sim("kill", node)

    def back() -> None:
        here.sim("start", node)
        words = ["sinfo", "-h", "-N", "-n", node, "-o", "%t"]
        _until(lambda: b"idle" in subprocess.run(words, capture_output=True).stdout, 60)

    return back


def _cut_walltime(here: Cluster, _: Any) -> Callable[[], Any]:
    subprocess.run(["scontrol", "update", f"JobId={_running('quantum')[0]}", "TimeLimit=1"], check=True)
    return lambda: None


def _kill_program(_: Cluster, program: subprocess.Popen[bytes]) -> Callable[[], Any]:
    program.send_signal(signal.SIGKILL)
    return lambda: None


def _kill_everything(here: Cluster, program: subprocess.Popen[bytes]) -> Callable[[], Any]:
    program.send_signal(signal.SIGKILL)
    subprocess.run(["scancel", *here.jobs()], check=True)
    return lambda: None


def _restart_controller(here: Cluster, _: Any) -> Callable[[], Any]:
    here.sim("restart", "slurmctld")
    return lambda: None


def _drain(here: Cluster, _: Any) -> Callable[[], Any]:
    """For calibration; the job that holds the QPU is ended with it."""
    job, node = _running("quantum")
    here.sim("drain", node, "--reason", "calibration")
    subprocess.run(["scancel", job], check=True)
    return partial(here.sim, "resume", node)


FAULTS = (
    Fault("the QPU's job is cancelled", partial(_scancel, "quantum")),
    Fault("a classical job is cancelled", partial(_scancel, "cpu")),
    Fault("a classical node dies", partial(_kill_node, "cpu")),
    Fault("the QPU's node dies, and is back after 5 s", partial(_kill_node, "quantum"), lasts_s=5.0),
    Fault("the walltime of the QPU's job is over", _cut_walltime, long=True),
    Fault("kill -9 of the program, resumed", _kill_program, fatal=True),
    Fault("kill -9 of the program and of all jobs, resumed", _kill_everything, fatal=True),
    Fault("slurmctld is killed and restarted", _restart_controller),
    Fault("the QPU is drained for 5 s", _drain, lasts_s=5.0),
)
