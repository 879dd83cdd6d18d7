"""What an import costs: a script that only wants `conqure` pays for no engine and no SDK."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ENGINES = {"parsl", "dask", "distributed", "tornado", "zmq"}
SDKS = {"qiskit", "qiskit_aer", "pennylane"}
HEAVY = {"numpy", "scipy", "networkx", "matplotlib", "rich", "typer"}

PROBE = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition('.')[0] for name in set(sys.modules) - before}}))
"""


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("conqure", ENGINES | SDKS | HEAVY),
        ("qpu_executors", ENGINES | SDKS | HEAVY),
        ("conqure_parsl", SDKS | {"dask", "distributed", "scipy", "matplotlib"}),
        ("conqure_dask", SDKS | {"parsl", "scipy", "matplotlib"}),
        ("conqure.cli", ENGINES | SDKS | {"numpy", "scipy", "networkx", "matplotlib"}),
    ],
)
def test_an_import_brings_only_what_it_is_about(module: str, without: set[str], run_python: Callable[..., str]) -> None:
    assert not set(run_python(PROBE.format(module=module)).split()) & without


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["conqure", "--help"], ENGINES | SDKS | {"numpy", "sqlalchemy", "fastapi"}),
        (["openmpq-run", "-q", "true"], ENGINES | SDKS | {"sqlalchemy", "fastapi"}),
    ],
    ids=["conqure", "openmpq-run"],
)
def test_a_command_loads_only_what_it_needs(command: list[str], without: set[str]) -> None:
    program = Path(sys.executable).with_name(command[0])
    told = [sys.executable, "-X", "importtime", str(program), *command[1:]]
    done = subprocess.run(told, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(re.findall(r"^import time:.*\| +(\w+)", done.stderr, re.MULTILINE))
    assert "typer" in loaded
    assert not loaded & without
