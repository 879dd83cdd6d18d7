"""What every test stands on: no site of the person who runs them, and nothing left running when they end."""

import contextlib
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).parent.parent

gc.disable()  # until all tests are collected, which then stay

# A shell that starts us in the background has us ignore Ctrl-C, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that took long on a busy machine is no finding. On CI, Hypothesis's own profile stays underneath.
settings.register_profile("patient", parent=settings.default, deadline=None)
settings.load_profile("patient")


# The longest files. They go first, those that wait for Slurm beside those that compile, so that all end together.
LONG_FIRST = [
    "slurm/test_dask.py",
    "openmpq/test_examples.py",
    "openmpq/test_install.py",
    "slurm/test_parsl.py",
    "openmpq/test_run.py",
    "test_wheel.py",
    "slurm/test_vqe.py",
    "openmpq/test_unit.py",
    "openmpq/test_regions.py",
    "slurm/test_readme.py",
    "test_readme.py",
    "slurm/test_mpi.py",
    "queue/device/test_drill.py",
    "queue/security/test_schema.py",
    "slurm/test_slurm_sim.py",
    "queue/test_store_kill.py",
]


# Fixtures that start a service or a cluster, or compile: a test that asks for one is slow without saying so.
SERVICES = {"service", "town", "lab", "plain_http", "mariadb", "postgresql", "slurm", "shared_cluster", "new_cluster"}
SERVICES |= {"bridge", "compiler", "either", "six", "traps"}
BUILT = "TESTS_BUILT"  # the folder of programs that tests compile, the same for all processes of a run


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that starts the others
        os.environ[BUILT] = tempfile.mkdtemp(prefix="conqure-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(BUILT), ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before the option -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if SERVICES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    for marker in ("beside", "drill"):  # they take long, so each has a command of its own
        if marker not in config.option.markexpr:
            apart = {item for item in items if item.get_closest_marker(marker)}
            config.hook.pytest_deselected(items=apart)
            items[:] = [item for item in items if item not in apart]
    rank = {str(REPOSITORY / "tests" / name): number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: rank.get(str(item.path), len(rank)))


def pytest_collection_finish() -> None:
    """Some 5,000 tests and the SDKs they import are here to stay: the garbage collector need not look at them again."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_tests() -> Iterator[None]:
    """Engines start interchanges, workers and nannies; each is gone when its test is, or the whole run fails here."""
    yield
    children = psutil.Process().children(recursive=True)
    _, alive = psutil.wait_procs([process for process in children if not _is_pythons_own(process)], timeout=5)
    left = [_command_line(process) for process in alive]
    assert not any(left), "still running at the end of the tests:\n" + "\n".join(left)


def _is_pythons_own(process: psutil.Process) -> bool:
    """The trackers and the fork server of multiprocessing live as long as the interpreter that uses them; what the
    fork server has forked does not."""
    words = _command_line(process)
    with contextlib.suppress(psutil.NoSuchProcess):
        return "_tracker import" in words or ("forkserver import" in words and process.ppid() == os.getpid())
    return False


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.fixture(autouse=True)
def _nobodys_own_site(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A site file or a variable of the person who runs the tests must not decide what they see, nor a test before."""
    for logger in map(logging.getLogger, ("conqure", "uvicorn")):  # `conqure serve` sets them up for its process
        for name in ("handlers", "propagate"):
            monkeypatch.setattr(logger, name, getattr(logger, name))
    for name in [name for name in os.environ if name.startswith("CONQURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / f"state-{uuid.uuid4().hex}"))


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., str]:
    """Runs a program text in a fresh interpreter, in an empty folder, and returns what it printed."""

    def run(program: str, *, environment: Mapping[str, str] = os.environ, timeout: float = 60) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
