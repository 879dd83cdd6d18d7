"""The processes of a cloud queue, each one that may be killed: service, dispatcher with its workers, device client."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

ADMIN = "root@lab.example"
MARK = "CONQURE_DRILL"  # in the environment of the dispatcher, and so of all that it starts
_START_S = 60.0
_SITE = """
[qpu.sv0]
driver = "emulated"
qubits = 4
slots = 2
options = { job_s = 0.03 }

[cpu]
workers = 1

[queue]
logins_per_minute = 0
requests_per_minute = 0
"""


class Processes:
    """A service on SQLite, a dispatcher with a pool of an engine, and a client for the device ``lab0``.

    Attributes:
        url, token: where the service answers, and a token of its administrator. database: the SQLite file.
    """

    def __init__(self, folder: Path, engine: str, lab: Sequence[str]) -> None:
        self.folder, self.engine = folder, engine
        self._lab = f"{shlex.join(lab)} {{workload}} {{results}} {folder / 'lab.log'}"
        self.database = folder / "queue.db"
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.token = ""
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "site.toml").write_text(_SITE)

    def __enter__(self) -> Self:
        try:
            password = json.loads(self._conqure("users", "add", ADMIN, "--admin", "--store", self.database, "--json"))
            self._start("service")
            said = {"email": ADMIN, "password": password["password"]}
            login = self._ask("POST", "/v1/login", said)["token"]
            self.token = login
            self.token = self._ask("POST", "/v1/tokens", {"name": "drill", "days": 2})["token"]
            device = {"device_id": "lab0", "refresh_timeout_s": 4}
            self._write_secret(self._ask("POST", "/v1/devices", device))
            self.restart()
            if not self.until(self._is_complete, _START_S):
                raise RuntimeError(
                    f"the dispatcher does not start: {(self.folder / 'dispatcher.log').read_text()[-2000:]}"
                )
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def kill(self, name: str) -> int:
        """``kill -9``; returns how many processes that met. ``workers`` are what the dispatcher has started."""
        if name == "workers":
            workers = self._workers()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()
            return len(workers)
        process = self._running.get(name)
        if process is None or process.poll() is not None:
            return 0
        process.kill()
        process.wait()
        return 1

    def restart(self) -> None:
        """Start what is not running."""
        for name in ("service", "dispatcher", "device client"):
            if name not in self._running or self._running[name].poll() is not None:
                self._start(name)

    def end(self) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _, alive = psutil.wait_procs(self._workers(), timeout=10)
        for worker in alive:
            worker.kill()

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Whether a condition holds in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.1)
        return False

    def _start(self, name: str) -> None:
        words = {
            "service": ["serve", "--no-dispatch", "--listen", f"127.0.0.1:{self._port}", "--quiet"],
            "dispatcher": ["dispatch", "--engine", self.engine],
            "device client": ["device-client", "--url", self.url, "--device", "lab0", "--command", self._lab],
        }[name]
        if name == "device client":
            words += ["--credentials", str(self.folder / "lab0.json"), "--state", str(self.folder / "device")]
            words += ["--poll", "2"]
        else:
            words += ["--site", str(self.folder / "site.toml"), "--store", str(self.database)]
            words += ["--state", str(self.folder / "state")]
        with open(self.folder / f"{name.replace(' ', '-')}.log", "ab") as log:
            command = [sys.executable, "-m", "conqure", *words]
            environment = os.environ | ({MARK: str(self.folder)} if name == "dispatcher" else {})
            self._running[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        if name == "service":
            self._wait_for_the_service()

    def _is_complete(self) -> bool:
        """Whether both devices are there."""
        seen = {device["device_id"]: device["status"] for device in self._ask("GET", "/v1/devices")["devices"]}
        return seen.get("sv0") == "ONLINE" and seen.get("lab0") in ("ONLINE", "BUSY")

    def _wait_for_the_service(self) -> None:
        def answers() -> bool:
            try:
                return bool(self._ask("GET", "/ready"))
            except (OSError, urllib.error.URLError):
                return False

        if not self.until(answers, _START_S):
            raise RuntimeError(f"the service does not answer: {(self.folder / 'service.log').read_text()[-2000:]}")

    def _workers(self) -> list[psutil.Process]:
        """What the dispatcher has started: what runs circuits, and what starts and watches those."""
        dispatcher = self._running.get("dispatcher")
        mine = str(self.folder)
        return [
            each for each in psutil.process_iter() if _mark(each) == mine and each.pid != getattr(dispatcher, "pid", 0)
        ]

    def _write_secret(self, made: dict[str, Any]) -> None:
        path = self.folder / "lab0.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({name: made[name] for name in ("client_id", "client_secret")}, file)

    def _ask(self, method: str, path: str, values: Any = None) -> Any:
        body = None if values is None else json.dumps(values).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _conqure(self, *words: Any) -> str:
        command = [sys.executable, "-m", "conqure", *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _mark(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(MARK, ""))
    except psutil.Error:
        return ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


__all__ = ["ADMIN", "Processes"]
