"""pytket circuits on the pool: `ConqureBackend` stands where any other backend of pytket stood.

>>> backend = ConqureBackend("laptop")
>>> compiled = backend.get_compiled_circuit(circuit)
>>> backend.run_circuit(compiled, n_shots=1000).get_counts()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import TimeoutError as FutureTimeout
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytket.architecture import FullyConnected
from pytket.backends import Backend, CircuitNotRunError, CircuitStatus, ResultHandle, StatusEnum
from pytket.backends.backendinfo import BackendInfo
from pytket.backends.backendresult import BackendResult
from pytket.backends.resulthandle import _ResultIdTuple
from pytket.circuit import Bit, Circuit
from pytket.passes import (
    AutoRebase,
    BasePass,
    DecomposeBoxes,
    FullPeepholeOptimise,
    RemoveRedundancies,
    SequencePass,
    SynthesiseTket,
)
from pytket.predicates import (
    GateSetPredicate,
    MaxNQubitsPredicate,
    NoClassicalControlPredicate,
    NoSymbolsPredicate,
    Predicate,
)
from pytket.utils.outcomearray import OutcomeArray

from qpu_executors.records import Priority, QuantumResult
from qpu_executors.site import Site
from qpu_executors.translation import as_task
from qpu_executors.translation.pytket import GATE_SET

from .door import Door, door


class ConqureBackend(Backend):
    """Runs pytket's circuits on a QPU of a site, several at the same time where it has room for them.

    Args:
        site, engine, pool: as of `conqure.interop.door.Door`.
        device: the name of a QPU, or a selector such as ``"qubits>=7"``.
        seed: for simulators; ``process_circuits(…, seed=…)`` goes first.
        priority: HIGH, MEDIUM or LOW.
    """

    _supports_shots = False
    _supports_counts = True
    _persistent_handles = False

    def __init__(
        self,
        site: Site | str | Path | None = None,
        *,
        device: str = "any",
        engine: str | None = None,
        pool: Executor | None = None,
        seed: int | None = None,
        priority: Priority | str = Priority.MEDIUM,
    ) -> None:
        super().__init__()
        self.door = door(site, engine=engine, pool=pool)
        self._n_qubits = max(qpu.n_qubits for qpu in self.door.select(device))
        self._fields: dict[str, Any] = {"device_id": device, "seed": seed, "priority": priority}

    @property
    def required_predicates(self) -> list[Predicate]:
        return [
            NoSymbolsPredicate(),
            NoClassicalControlPredicate(),
            GateSetPredicate(GATE_SET),
            MaxNQubitsPredicate(self._n_qubits),
        ]

    def rebase_pass(self) -> BasePass:
        return AutoRebase(GATE_SET)

    def default_compilation_pass(self, optimisation_level: int = 2) -> BasePass:
        """0: only gates that can be run; 1: light optimisation; 2: all that pytket does without an architecture."""
        steps: dict[int, list[BasePass]] = {0: [], 1: [SynthesiseTket()], 2: [FullPeepholeOptimise()]}
        if optimisation_level not in steps:
            raise ValueError(f"optimisation_level must be 0, 1 or 2, not {optimisation_level!r}.")
        chosen = steps[optimisation_level]
        last = [RemoveRedundancies()] if chosen else []
        return SequencePass([DecomposeBoxes(), *chosen, self.rebase_pass(), *last])

    @property
    def _result_id_type(self) -> _ResultIdTuple:
        return (str,)

    @property
    def backend_info(self) -> BackendInfo:
        return _info(self.door, str(self._fields["device_id"]), self._n_qubits)

    @classmethod
    def available_devices(cls, **kwargs: Any) -> list[BackendInfo]:
        """The QPUs of a site; ``kwargs`` are those of `conqure.interop.door.Door`."""
        found = door(kwargs.pop("site", None), **kwargs)
        return [_info(found, qpu.device_id, qpu.n_qubits) for qpu in found.qpus]

    def process_circuits(
        self,
        circuits: Sequence[Circuit],
        n_shots: int | Sequence[int] | None = None,
        valid_check: bool = True,
        **kwargs: Any,
    ) -> list[ResultHandle]:
        """Submit circuits; all of them wait at the same time. ``seed`` is the one keyword argument.

        Raises:
            CircuitNotValidError: a circuit does not fulfil `required_predicates`: symbols are to be bound first.
            InvalidTask: a circuit, unchecked, cannot be run. Nothing was submitted then.
        """
        shots = Backend._get_n_shots_as_list(n_shots, len(circuits), optional=False)
        if valid_check:
            self._check_all_circuits(circuits)
        fields = {**self._fields, **({"seed": kwargs["seed"]} if kwargs.get("seed") is not None else {})}
        tasks = [as_task(circuit, shots=n, **fields) for circuit, n in zip(circuits, shots, strict=True)]
        handles = [ResultHandle(task.task_id) for task in tasks]
        for handle, task, circuit in zip(handles, tasks, circuits, strict=True):
            self._cache[handle] = {"future": self.door.submit(task), "bits": circuit.bits}
        return handles

    def circuit_status(self, handle: ResultHandle) -> CircuitStatus:
        future = self._future(handle)
        if future.cancelled():
            return CircuitStatus(StatusEnum.CANCELLED)
        if not future.done():
            return CircuitStatus(StatusEnum.RUNNING if future.running() else StatusEnum.QUEUED)
        error = future.exception()
        if error is not None:
            return CircuitStatus(StatusEnum.ERROR, str(error), error_detail=type(error).__name__)
        return CircuitStatus(StatusEnum.COMPLETED)

    def get_result(self, handle: ResultHandle, **kwargs: Any) -> BackendResult:
        """Wait for a result; with ``timeout`` at most so many seconds.

        Raises:
            CircuitNotRunError: the handle is not one of this backend, the circuit was cancelled, or is not done in
                time. What failed raises its own error.
        """
        future, entry = self._future(handle), self._cache[handle]
        if "result" not in entry:
            try:
                counts = future.result(kwargs.get("timeout")).counts[0]
            except (CancelledError, FutureTimeout) as error:
                raise CircuitNotRunError(handle) from error
            entry["result"] = _result(counts, entry["bits"])
        result: BackendResult = entry["result"]
        return result

    def cancel(self, handle: ResultHandle) -> None:
        """Take a circuit back that has not started; one that runs goes on."""
        self._future(handle).cancel()

    def _future(self, handle: ResultHandle) -> Future[QuantumResult]:
        self._check_handle_type(handle)
        if handle not in self._cache:
            raise CircuitNotRunError(handle)
        future: Future[QuantumResult] = self._cache[handle]["future"]
        return future


def _info(found: Door, device: str, n_qubits: int) -> BackendInfo:
    return BackendInfo(
        name=ConqureBackend.__name__,
        device_name=device,
        version=version("conqure"),
        architecture=FullyConnected(n_qubits),
        gate_set=set(GATE_SET),
        supports_reset=True,
        supports_midcircuit_measurement=True,
        misc={"site": found.site.name},
    )


def _result(counts: dict[str, int], bits: Sequence[Bit]) -> BackendResult:
    """Counts in pytket's form: bit i of the program is ``bits[i]``."""
    readouts: Counter[OutcomeArray] = Counter()
    for word, times in counts.items():
        row = [int(bit) for bit in reversed(word.replace(" ", ""))]
        readouts[OutcomeArray.from_readouts([row])] = times
    return BackendResult(counts=readouts, c_bits=list(bits))
