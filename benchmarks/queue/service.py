"""Our service, started here as people start it: ``conqure serve`` on SQLite, a user, and a device that is not there."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from conqure.queue.user_client import UserClient

from .paper_stack import ROOT, PaperClient, paper_stack, started

DEVICE, SITE_DEVICE = "ion0", "sim0"
USER = "ada@lab.example"
SITE = f"""
name = "lab"
[qpu.{SITE_DEVICE}]
driver = "fake"
qubits = 100
[engine]
name = "threads"
"""


@dataclass(frozen=True)
class Ours:
    """The running service, a user of it, and its administrator's way in.

    Attributes:
        client: the user's. secrets: what the device logs in with.
    """

    url: str
    token: str
    client: UserClient
    database: Path
    secrets: tuple[str, str]

    def works(self) -> int:
        """How many works are on disk, as another process sees it."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return int(database.execute("SELECT count(*) FROM works").fetchone()[0])

    def done(self, workload: str, results: bytes) -> str:
        """A work that the device has run; it must be the only one that waits."""
        work_id = str(self.client.create_work(workload, DEVICE))
        told = requests.post(
            f"{self.url}/oauth2/token", data={"grant_type": "client_credentials"}, auth=self.secrets, timeout=30
        )
        headers = {"Authorization": f"Bearer {told.json()['access_token']}"}
        claimed = ask("POST", f"{self.url}/v1/devices/{DEVICE}/claim", headers, {"most": 1})["works"]
        assert [work["work_id"] for work in claimed] == [work_id]
        where = f"{self.url}/v1/works/{work_id}/results?attempt={claimed[0]['attempts']}"
        requests.put(where, data=results, headers=headers, timeout=30).raise_for_status()
        return work_id


@contextlib.contextmanager
def both(*, dispatcher: bool = False) -> Iterator[tuple[PaperClient, Ours]]:
    """The paper's stack and ours, side by side on the same disk."""
    with tempfile.TemporaryDirectory(prefix="cq-") as name:
        folder = Path(name)
        compile_packages()
        with paper_stack(folder) as paper, service(folder, dispatcher=dispatcher) as ours:
            yield paper, ours


@contextlib.contextmanager
def service(folder: Path, *, dispatcher: bool = False) -> Iterator[Ours]:
    """Without a limit of requests, which a benchmark would soon meet; everything else as it comes."""
    conqure, database = str(Path(sys.executable).parent / "conqure"), folder / "queue.db"
    made = subprocess.run(
        [conqure, "users", "add", USER, "--admin", "--store", str(database), "--json"],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    serve = ["serve", "--site", str(site_file(folder)), "--store", str(database), "--state", str(folder / "state")]
    serve += ["--listen", "127.0.0.1:0", "--requests-per-minute", "0", "--json"]
    serve += [] if dispatcher else ["--no-dispatch"]
    with started([conqure, *serve], folder / "conqure.log") as (line, _):
        url = str(json.loads(line)["url"])
        login = {"email": USER, "password": json.loads(made.stdout)["password"]}
        token = str(ask("POST", f"{url}/v1/login", {}, login)["token"])
        device = ask("POST", f"{url}/v1/devices", {"Authorization": f"Bearer {token}"}, {"device_id": DEVICE})
        with UserClient(url, token=token) as client:
            yield Ours(url, token, client, database, (device["client_id"], device["client_secret"]))


def site_file(folder: Path) -> Path:
    path = folder / "lab.toml"
    path.write_text(SITE)
    return path


def ask(method: str, url: str, headers: dict[str, str], values: Any) -> Any:
    answer = requests.request(method, url, headers=headers, json=values, timeout=60)
    answer.raise_for_status()
    return answer.json()


def compile_packages() -> None:
    """Bytecode for both sides, also where Python is told not to write any (PYTHONDONTWRITEBYTECODE)."""
    folders = [str(ROOT / name) for name in ("benchmarks", "conqure", "qpu_executors")]
    packages = [str(Path(sys.modules["requests"].__file__ or "").parents[1])]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-m", "compileall", "-qq", *folders, *packages], check=False, env=environment)
