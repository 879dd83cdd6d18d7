"""Parsl, started and ended for the tests of one module or one test."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import parsl
import pytest
from parsl.dataflow.dflow import DataFlowKernel

from conqure_parsl import QPUExecutor, parsl_config
from qpu_executors import QPU, Site

Load = Callable[..., Any]

# Two QPUs that need 50 ms for a circuit and complain when they get two at once, and a fast one.
QPUS = (
    QPU("ion0", "fake", 7, tags=("ion",), options={"delay_s": 0.05}),
    QPU("ion1", "fake", 7, tags=("ion",), options={"delay_s": 0.05}),
    QPU("sv0", "statevector", 10),
)


@contextmanager
def loaded(qpus: tuple[QPU, ...] = QPUS, **options: Any) -> Iterator[DataFlowKernel]:
    """A running Parsl with these QPUs; without classical workers, which take seconds to start."""
    with parsl.load(parsl_config(Site("test", qpus), **({"cpu_workers": 0} | options))) as dfk:
        yield dfk


def qpu_executor(dfk: DataFlowKernel) -> QPUExecutor:
    executor = dfk.executors["qpu"]
    assert isinstance(executor, QPUExecutor)
    return executor


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _nobodys_own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Folders that other machines could see are made in the cache of the person who runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def workers() -> Iterator[DataFlowKernel]:
    """Parsl with QPUs on workers, for all tests of a module."""
    with loaded(qpu_mode="workers") as dfk:
        yield dfk


@pytest.fixture(scope="module", params=["workers", "threads"])
def dfk(request: pytest.FixtureRequest) -> Iterator[DataFlowKernel]:
    """Parsl with both kinds of QPU executor in turn."""
    with loaded(qpu_mode=request.param) as dfk:
        yield dfk
