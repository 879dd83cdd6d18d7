"""The README's session of a service: started, logged in to, given a device, and used, as it is printed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import REPOSITORY

pytestmark = pytest.mark.slow

BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
(SESSION,) = [text for text in BLOCKS if text.startswith("conqure users add")]
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_service_of_the_readme_takes_a_work_and_the_device_client_runs_it(tmp_path: Path) -> None:
    port = free_port()
    session = SESSION.replace("8585", str(port)).replace(
        "--store queue.db  ", f"--store queue.db --listen 127.0.0.1:{port} "
    )
    add_user, serve, login, add_device, device_client = session.splitlines()
    environment = os.environ | {
        f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")
    }
    command = Path(sys.executable).with_name("conqure")

    def run(line: str, **options: object) -> str:
        words = line.replace("conqure ", f"{command} ", 1).partition(" #")[0]
        done = subprocess.run(
            words, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, **options
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)

    def start(line: str) -> subprocess.Popen[str]:
        words = line.partition(" #")[0].split()[1:]
        log = (tmp_path / f"{words[0]}.log").open("w")
        with log:
            return subprocess.Popen([command, *words], cwd=tmp_path, env=environment, stdout=log, stderr=log, text=True)

    password = run(add_user.replace("--listen", "#")).rpartition(": ")[2]
    started = [start(serve)]
    try:
        until(lambda: "answers at" in (tmp_path / "serve.log").read_text(), started[0])
        run(login, input=f"ada@lab.example\n{password.strip()}\n")
        run(add_device)
        started.append(start(device_client))
        (tmp_path / "bell.qasm").write_text(BELL)
        work_id = json.loads(run("conqure work create bell.qasm --device ion9 --shots 100 --json"))["work_id"]
        run(f"conqure work wait {work_id}")
        assert "ion9" in run(f"conqure work show {work_id}")
        assert "11" in run(f"conqure work results {work_id}")
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
