"""Functions that workers import."""

from qpu_executors import QPUHandle, QuantumResult
from qpu_executors.testing import BELL


def bell() -> str:
    return BELL


def run_bell(qpu: QPUHandle) -> QuantumResult:
    return qpu.run(BELL)
