"""What a transpiler may use on a QPU, found out without opening it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from qiskit.circuit import Delay, ForLoopOp, IfElseOp, Measure, Parameter, Reset, SwitchCaseOp, WhileLoopOp
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError
from qpu_executors.registry import driver
from qpu_executors.translation.gates import GATES

_HELD_BY_JOBS = ("gres", "license", "partition")
_NAMES_BACKEND = {"qiskit": ("backend", "arguments"), "aer": ("noise", "noise_arguments")}  # options of drivers
_CONTROL_FLOW = {"if_else": IfElseOp, "for_loop": ForLoopOp, "while_loop": WhileLoopOp, "switch_case": SwitchCaseOp}


def target_of(qpus: Sequence[QPU]) -> Target:
    """The target of one QPU, or what serves all of several that a selector fits.

    One QPU whose site entry names a Qiskit backend (driver ``qiskit``, or ``aer`` with the noise of a backend) has
    that backend's target: its couplings, gates and errors. Such a backend is built here only if that holds nothing:
    a fake one, or one that is not held by jobs of Slurm. All others have every gate of the language `gates` between
    any qubits, as their drivers compile what the QPU lacks.
    """
    if len(qpus) == 1 and (backend := _backend_of(qpus[0])) is not None:
        return backend.target
    return all_to_all(max(qpu.n_qubits for qpu in qpus) or None, with_control_flow=_all_branch(qpus))


def languages_of(qpu: QPU) -> tuple[str, ...] | None:
    """What a QPU's driver reads; None if that cannot be told here, as for the devices of a queue."""
    name = qpu.options.get("driver", qpu.driver) if qpu.driver == "emulated" else qpu.driver
    try:
        languages: Any = getattr(driver(str(name)), "languages", None)
    except ConqureError:  # not installed here; the worker may have it
        return None
    return languages if isinstance(languages, tuple) else None


def all_to_all(n_qubits: int | None, *, with_control_flow: bool = False) -> Target:
    """Every gate of the language `gates` on all qubits, measure, reset and delay; None where the size is not known.

    >>> all_to_all(5).build_coupling_map() is None
    True
    """
    target = Target(num_qubits=n_qubits, description="all to all")
    library = get_standard_gate_name_mapping()
    for name, (width, _) in GATES.items():
        if n_qubits is None or width <= n_qubits:
            target.add_instruction(library[name], name=name)
    for other in (Measure(), Reset(), Delay(Parameter("duration"))):
        target.add_instruction(other)
    if with_control_flow:
        for name, operation in _CONTROL_FLOW.items():
            target.add_instruction(operation, name=name)
    return target


def _all_branch(qpus: Sequence[QPU]) -> bool:
    return all("qpy" in (languages_of(qpu) or ()) for qpu in qpus)


def _backend_of(qpu: QPU) -> BackendV2 | None:
    backend_option, arguments_option = _NAMES_BACKEND.get(qpu.driver, ("", ""))
    named = qpu.options.get(backend_option)
    if not isinstance(named, str) or (qpu.reach in _HELD_BY_JOBS and "fake" not in named):
        return None
    found = _built(named, _Arguments(qpu.options.get(arguments_option) or {}))
    # A site may offer less than the whole machine; then the couplings of the rest would promise too much.
    return found if found is not None and found.num_qubits == qpu.n_qubits else None


class _Arguments(dict[str, Any]):
    """Arguments of a backend's constructor, hashable by what they say."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items())))


_building = threading.Lock()


@lru_cache(maxsize=32)
def _built(named: str, arguments: _Arguments) -> BackendV2 | None:
    from qpu_executors.drivers.circuits import call_by_name

    try:
        with _building:
            found = call_by_name("backend", named, arguments)
    except ConqureError:  # its package is on the workers only, or the vendor does not answer
        return None
    return found if isinstance(found, BackendV2) else None
