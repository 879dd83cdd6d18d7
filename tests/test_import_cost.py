"""What an import costs: a script that only wants `conqure` pays for no engine and no SDK."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ENGINES = {"parsl", "dask", "distributed", "tornado", "zmq"}
SDKS = {"qiskit", "qiskit_aer", "pennylane"}
HEAVY = {"numpy", "scipy", "networkx", "matplotlib", "rich", "typer"}

Alone = Callable[[str], tuple[float, set[str]]]

PROBE = """
import sys, time
before = set(sys.modules)
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
print(*sorted({{name.partition('.')[0] for name in set(sys.modules) - before}}))
"""


@pytest.fixture
def import_alone(run_python: Callable[..., str], tmp_path: Path) -> Alone:
    """Seconds that `import module` takes beyond starting Python, and the top-level packages that come with it."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what counts is the cost from the second time on

    def measure(module: str) -> tuple[float, set[str]]:
        seconds, names = run_python(PROBE.format(module=module), environment=environment).splitlines()
        return float(seconds), set(names.split())

    return measure


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
def test_an_import_brings_only_what_it_is_about(module: str, without: set[str], import_alone: Alone) -> None:
    _, loaded = import_alone(module)
    assert not loaded & without


@pytest.mark.parametrize("module", ["conqure", "qpu_executors"])
def test_an_import_of_the_front_door_takes_under_a_tenth_of_a_second(module: str, import_alone: Alone) -> None:
    best = min(import_alone(module)[0] for _ in range(5))
    assert best < 0.1
