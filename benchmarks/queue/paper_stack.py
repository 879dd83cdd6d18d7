"""The paper's stack, started here: MariaDB with a folder of its own, Flask's development server, requests as client."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pymysql
import requests

from .paper_server import DATABASE

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
_SERVER = (
    "--no-defaults",
    "--skip-networking",
    "--innodb-flush-log-at-trx-commit=1",  # durable: flushed to the disk before the answer
    "--max-connections=256",
    "--max-allowed-packet=64M",
)


class PaperClient:
    """The client as the paper has it: requests, one session.

    Attributes:
        server: the process number of Flask.
    """

    def __init__(self, url: str, server: int) -> None:
        self.url, self.server = url, server
        self._session = requests.Session()

    def create_work(self, workload: str, device_id: str = "ion0", priority: str = "LOW", *, job: str = "python") -> str:
        """``job``: one of `paper_server.JOBS`, to see what the process costs."""
        answer = self._session.post(
            f"{self.url}/create_work?job={job}",
            json={"workload": workload, "device_id": device_id, "priority": priority},
        )
        answer.raise_for_status()
        return str(answer.json()["job_id"])

    def rest(self) -> None:
        """Return when the jobs have ended, so that they disturb nobody else's measurement."""
        while _children(self.server):
            time.sleep(0.001)

    def put_results(self, job_id: str, results: bytes) -> None:
        self._session.put(f"{self.url}/put_results/{job_id}", data=results).raise_for_status()

    def get_results(self, job_id: str) -> bytes:
        answer = self._session.get(f"{self.url}/get_results/{job_id}")
        answer.raise_for_status()
        return answer.content

    def close(self) -> None:
        self._session.close()


@contextlib.contextmanager
def paper_stack(folder: Path) -> Iterator[PaperClient]:
    """The whole stack on this machine, its data below ``folder`` (a short path: a socket lies there too)."""
    server = (sys.executable, "-m", "benchmarks.queue.paper_server")
    with mariadb(folder / "mariadb") as socket, started([*server, str(socket)], folder / "paper.log") as (url, pid):
        client = PaperClient(url, pid)
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[Path]:
    """A MariaDB with an empty database; gives its socket."""
    for program in ("mariadb-install-db", "mariadbd"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed. Type: sudo requirements/system")
    folder.mkdir(parents=True)
    data, socket, user = folder / "data", folder / "s", f"--user={os.environ.get('USER') or 'root'}"
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", user, "--skip-test-db"]
    with (folder / "log").open("w") as log:
        subprocess.run([*install, "--auth-root-authentication-method=normal"], check=True, stdout=log, stderr=log)
        command = ["mariadbd", *_SERVER, f"--datadir={data}", f"--socket={socket}", f"--pid-file={folder}/pid", user]
        with ended(subprocess.Popen(command, stdout=log, stderr=log)) as server:
            _create_database(socket, server, folder / "log")
            yield socket


def _create_database(socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with pymysql.connect(unix_socket=str(socket), user="root", ssl_disabled=True) as database:
                database.cursor().execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
                return
        except pymysql.err.OperationalError as error:
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError(f"MariaDB does not answer: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.05)


@contextlib.contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[tuple[str, int]]:
    """A service as a process that logs to a file; gives the first line that it prints, where it is, and its number."""
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=lines)
        with ended(process):
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended before it said where it is: {log.read_text()[-2000:]}")
            yield line, process.pid


def _children(pid: int) -> str:
    children = ""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            children += task.read_text()
    return children


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended in the end."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
