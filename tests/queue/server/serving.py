"""``conqure serve`` as a process of its own, and the administrator's commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from conqure.cli import app

CONQURE = [sys.executable, "-c", "from conqure.cli import main; main()"]
SITE = """
[qpu.sv0]
driver = "statevector"
qubits = 12
slots = 2
"""


@dataclass
class Served:
    """A service that runs as a process; ``facts`` is what it said when it was ready."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])


def conqure(*words: str, env: dict[str, str] | None = None, input: str | None = None) -> Result:
    """One command, to its end, in this process: a fresh one takes two seconds to start."""
    return CliRunner().invoke(app, words, prog_name="conqure", env=env, input=input)


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Served]:
    """``conqure serve`` with its files in this folder, until the end of the block or of the process."""
    site = folder / "site.toml"
    if not site.exists():
        site.write_text(SITE)
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [
                *CONQURE,
                *("serve", "--json", "--site", str(site), "--store", str(folder / "queue.db")),
                *("--state", str(folder / "state"), "--requests-per-minute", "0"),
                *(() if "--listen" in words else ("--listen", "127.0.0.1:0")),
                *words,
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it did not start: {(folder / 'log').read_text()[-2000:]}"
        yield Served(process, json.loads(line))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def add_admin(folder: Path, email: str = "root@lab.example") -> str:
    """The first administrator, by the command; returns the password that it made."""
    made = conqure("users", "add", email, "--admin", "--store", str(folder / "queue.db"), "--json")
    assert made.exit_code == 0, made.stderr
    return str(json.loads(made.stdout)["password"])
