"""What makes two calls the same for Parsl's memoisation, for the types that quantum programs have as arguments."""

from __future__ import annotations

import hashlib
import importlib
import pickle
import sys
from functools import cache
from typing import Any

from parsl.dataflow.memoization import id_for_memo

from qpu_executors import QuantumResult, QuantumTask


def _task_id_for_memo(task: QuantumTask, output_ref: bool = False) -> bytes:
    """What is computed; not when it was asked, under which name, and how urgently."""
    return pickle.dumps((task.program, task.language, task.device_id, task.shots, task.parameter_values, task.seed))


def _result_id_for_memo(result: QuantumResult, output_ref: bool = False) -> bytes:
    return pickle.dumps((result.device_id, [sorted(counts.items()) for counts in result.counts]))


def _array_id_for_memo(array: Any, output_ref: bool = False) -> bytes:
    return pickle.dumps((str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()))


def _scalar_id_for_memo(scalar: Any, output_ref: bool = False) -> bytes:
    return pickle.dumps(scalar.item())


def _circuit_id_for_memo(circuit: Any, output_ref: bool = False) -> bytes:
    from qpu_executors.translation import translate

    return pickle.dumps(tuple(translate(circuit)))


_FOREIGN = (  # taught when the program uses them; Parsl itself knows text, numbers, lists and dicts
    ("numpy", "ndarray", _array_id_for_memo),
    ("numpy", "generic", _scalar_id_for_memo),
    ("qiskit", "QuantumCircuit", _circuit_id_for_memo),
    ("pennylane.tape", "QuantumScript", _circuit_id_for_memo),
)


def teach_memoizer() -> None:
    """Register the types of the frameworks that are imported by now with Parsl's `id_for_memo`; ours are already."""
    for module, name, function in _FOREIGN:
        if module in sys.modules:
            _teach(module, name, function)


@cache
def _teach(module: str, name: str, function: Any) -> None:
    id_for_memo.register(getattr(importlib.import_module(module), name), function)


id_for_memo.register(QuantumTask, _task_id_for_memo)
id_for_memo.register(QuantumResult, _result_id_for_memo)
