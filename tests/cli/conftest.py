"""The command line, run in this process, as a program of its own, or on a terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conqure.cli import app

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""

ROTATIONS = """OPENQASM 3.0;
include "stdgates.inc";
input float theta;
input float phi;
qubit[2] q;
bit[2] c;
ry(theta) q[0];
ry(phi) q[1];
c = measure q;
"""


class Done:
    """What a command left: its exit code and what it printed."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path) -> Path:
    """The working folder: two circuits, and a site of QPUs that open at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "bell.qasm").write_text(BELL)
    (tmp_path / "rotations.qasm").write_text(ROTATIONS)
    (tmp_path / "lab.toml").write_text(
        'description = "a lab"\n'
        '[qpu.sv0]\ndriver = "statevector"\nqubits = 5\ntags = ["fast"]\n'
        '[qpu.sv1]\ndriver = "statevector"\nqubits = 9\n'
    )
    return tmp_path


@pytest.fixture
def conqure():
    """Runs a command in this process: ``conqure("sites", "list")``."""

    def run(*arguments, stdin=None):
        result = CliRunner().invoke(app, arguments, input=stdin, prog_name="conqure")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def program():
    """Runs a command as the program that users start."""

    def run(*arguments, stdin=None, **environment):
        command = [Path(sys.executable).with_name("conqure"), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, env=os.environ | environment
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal():
    """Runs a command on a terminal of 100 columns; what it showed."""

    def run(*arguments):
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        command = [Path(sys.executable).with_name("conqure"), *arguments]
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"COLUMNS": "100", "TERM": "xterm"}
        )
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        os.close(ours)
        return Done(process.wait(timeout=60), shown.decode().replace("\r\n", "\n"), "")

    return run


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the other end is closed
        return b""
