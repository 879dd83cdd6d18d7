"""PennyLane's own test suite for devices (`pl-device-test`) passes on our QPUs."""

import importlib.util
from types import ModuleType

import pytest

from ..conftest import REPOSITORY


def suite() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pennylane_suite", REPOSITORY / "tools" / "pennylane_suite.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pennylanes_own_suite_passes() -> None:
    tool = suite()
    counts, _, output = tool.run_suite(10_000, *tool.OURS)
    assert counts["failed"] == 0, output[-5000:]
    assert counts["passed"] >= 363  # the rest are for exact simulators, other interfaces and other kinds of machines
