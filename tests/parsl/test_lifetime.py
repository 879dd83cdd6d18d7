"""However a program ends, nothing of it is left running; and it starts without the environment's bin on PATH."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

PROGRAM = """
import os, sys, time
import parsl
from conqure_parsl import open_engine, parsl_config, pool
from qpu_executors import QPU, QuantumTask, Site, run
from qpu_executors.testing import BELL, a_thousand

site = Site("test", (QPU("sv0", "fake", 5), QPU("sv1", "fake", 5)), cpu_workers=1)
mode, way = sys.argv[1:]

def work(qpus, cpus):
    assert qpus.submit(run, QuantumTask(BELL, shots=3)).result().shots == 3
    assert cpus.submit(a_thousand).result() == 1000
    assert os.listdir(".") == []
    if mode != "htex":
        qpus.submit(time.sleep, 1000)
    cpus.submit(time.sleep, 1000)
    print("working", flush=True)
    if way == "raise":
        raise SystemExit("the program ends by an error")
    if way != "leave":
        time.sleep(1000)

if way == "leave":  # neither `with` nor clean-up
    dfk = parsl.load(parsl_config(site, qpu_mode=mode, cpu_mode="htex"))
    from conqure_parsl.pools import ParslPool
    work(pool(dfk), ParslPool(dfk, ["cpu"], quantum=False))
    os._exit(0)
with open_engine(site, qpu_mode=mode, cpu_mode="htex") as pools:
    work(*pools)
"""

MARK = "TEST_OF_LIFETIME"


@pytest.fixture
def mark() -> Iterator[str]:
    """A word in the environment of a program and of everything that it starts."""
    mark = uuid.uuid4().hex
    yield mark
    for process in marked(mark):
        process.kill()


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def start(mark: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment: dict[str, Any] = os.environ | {MARK: mark, "PATH": "/usr/bin:/bin", "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    (folder / "cwd").mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder / "cwd",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short: the path of a socket has room for 107 characters."""
    with tempfile.TemporaryDirectory(prefix="life-") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "mode"),  # stock HTEX is in all of them, as the classical executor
    [
        ("SIGKILL", "workers"),
        pytest.param("SIGKILL", "htex", marks=pytest.mark.drill),
        ("SIGTERM", "workers"),
        pytest.param("SIGINT", "threads", marks=pytest.mark.drill),
        pytest.param("raise", "htex", marks=pytest.mark.drill),
        ("leave", "workers"),
    ],
)
def test_nothing_is_left_running_however_the_program_ends(way: str, mode: str, mark: str, short: Path) -> None:
    program = start(mark, short, mode, way)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "working\n", program.communicate()[1]
        if way.startswith("SIG"):
            assert len(marked(mark)) >= 4
            program.send_signal(getattr(signal, way))
        program.wait(timeout=60)
    finally:
        program.kill()
        _, stderr = program.communicate()
    deadline = time.monotonic() + 30
    while left := marked(mark):
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        time.sleep(0.05)
    if way == "SIGTERM":
        assert program.returncode == 128 + signal.SIGTERM
    if way in {"SIGTERM", "leave"}:
        assert stderr == ""
    if way in {"SIGTERM", "SIGINT", "raise"}:
        assert [name for name in os.listdir(short / "tmp") if "conqure" in name] == []
