"""A real service, and device clients that run beside a test, in its process or in one of their own."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conqure.queue.device_client import DeviceClient
from conqure.queue.device_door import Credentials, DeviceDoor
from conqure.queue.device_runs import Runner
from conqure.queue.held_works import HeldWorks
from conqure.queue.http import Line
from conqure.queue.lab_program import ProgramRunner

from ..server.conftest import RunningService, service, start, until

__all__ = ["AtWork", "Lab", "RunningService", "lab", "service", "start", "until"]

# What a lab's program does is what the workload says, so that a test can say it.
PROGRAM = """\
import os, sys, time
said = open(sys.argv[1]).read()
print("it is", os.getpid(), flush=True)
word, _, rest = said.partition(" ")
if word == "wait":
    while not os.path.exists(rest):
        time.sleep(0.01)
if word == "exit":
    sys.exit(int(rest))
open(sys.argv[2], "w").write(said.upper())
"""


@dataclass
class AtWork:
    """A client that runs in a thread; ``events`` is what it has said."""

    client: DeviceClient
    thread: threading.Thread
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: BaseException | None = None

    def said(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in list(self.events) if name == event]

    def stop(self) -> None:
        self.client.stop()
        self.thread.join(30)
        assert not self.thread.is_alive(), "the device client did not end"


class Lab:
    """A laboratory with a device: its files, and clients for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "device"
        (folder / "program.py").write_text(PROGRAM)

    @property
    def command(self) -> str:
        words = [sys.executable, str(self.folder / "program.py")]
        return f"{shlex.join(words)} {{workload}} {{results}}"

    def credentials(self, made: dict[str, Any]) -> Path:
        path = self.folder / f"{made['device_id']}.json"
        path.write_text(json.dumps({name: made[name] for name in ("client_id", "client_secret")}))
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return path

    @contextmanager
    def client(
        self,
        url: str,
        made: dict[str, Any],
        runner: Runner | None = None,
        *,
        once: bool = False,
        state: Path | None = None,
        **settings: Any,
    ) -> Iterator[AtWork]:
        door = DeviceDoor(Line(url, patience_s=0), made["device_id"], Credentials.read(self.credentials(made)))
        events: list[tuple[str, dict[str, Any]]] = []
        client = DeviceClient(
            door,
            runner or ProgramRunner(self.command),
            HeldWorks(state or self.state),
            say=lambda event, /, **facts: events.append((event, facts)),
            **({"poll_s": 0.5, "beat_s": 0.1, "grace_s": 5.0} | settings),
        )

        def work() -> None:
            try:
                client.run(once=once)
            except BaseException as error:
                running.error = error

        running = AtWork(client, threading.Thread(target=work, name="device client"), events)
        running.thread.start()
        try:
            yield running
        finally:
            running.stop()
            client.close()

    def start(self, url: str, made: dict[str, Any], *words: str) -> subprocess.Popen[str]:
        """The command, as a process: it speaks JSON on its standard output."""
        command = [sys.executable, "-m", "conqure", "device-client", "--url", url, "--device", made["device_id"]]
        command += ["--credentials", str(self.credentials(made)), "--state", str(self.state), "--json", "--poll", "1"]
        how = words or ("--command", self.command)
        return subprocess.Popen([*command, *how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def starts() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that end with the test."""
    with ExitStack() as stack:

        def begin(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
            stack.callback(_end, process)
            return process

        yield begin


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
