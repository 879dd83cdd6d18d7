"""Error mitigation by Mitiq on the pool: executors that run its circuits, many of them at the same time.

>>> from mitiq import Observable, PauliString, zne
>>> zne.execute_with_zne(circuit, batched_executor("laptop", shots=4000), Observable(PauliString("ZZ")))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from qpu_executors.errors import InvalidTask, MissingPackage
from qpu_executors.records import Priority, QuantumTask
from qpu_executors.site import Site
from qpu_executors.translation import as_task
from qpu_executors.translation.gates import GateProgram

from .door import Door, door


def executor(
    site: Site | str | Path | None = None,
    *,
    device: str = "any",
    engine: str | None = None,
    pool: Executor | None = None,
    shots: int = 4096,
    seed: int | None = None,
    priority: Priority | str = Priority.MEDIUM,
) -> Callable[..., Any]:
    """A function from one circuit to Mitiq's ``MeasurementResult``, which waits for it. See `batched_executor`.

    >>> Executor(executor("laptop")).evaluate(circuit, observable)
    """
    run_all = batched_executor(site, device=device, engine=engine, pool=pool, shots=shots, seed=seed, priority=priority)

    def execute(circuit: Any, **fields: Any) -> Any:
        return run_all([circuit], **fields)[0]

    execute.__annotations__["return"] = _result_type()  # Mitiq goes by what an executor says that it returns
    return execute


def batched_executor(
    site: Site | str | Path | None = None,
    *,
    device: str = "any",
    engine: str | None = None,
    pool: Executor | None = None,
    shots: int = 4096,
    seed: int | None = None,
    priority: Priority | str = Priority.MEDIUM,
) -> Callable[..., Any]:
    """A function from circuits of Qiskit, Cirq or PennyLane (or OpenQASM text) to Mitiq's ``MeasurementResult``s.

    The circuits are submitted all at once. A result knows which qubit each of its bits is: the number of the qubit in
    Qiskit, the wire in PennyLane, and in Cirq the place in the sorted qubits, as Mitiq's observables count them.

    Args:
        site, engine, pool: as of `conqure.interop.door.Door`.
        device: the name of a QPU, or a selector such as ``"tag:ion"``.
        shots: of each circuit.
        seed: for simulators; circuit i of a batch has ``seed + i``.
        priority: HIGH, MEDIUM or LOW. The function itself takes all of these fields of `QuantumTask`, too.
    """
    way = door(site, engine=engine, pool=pool)
    way.select(device)
    made = {"device_id": device, "shots": shots, "seed": seed, "priority": priority}
    result = _result_type()

    def execute(circuits: Sequence[Any], **fields: Any) -> Any:
        return _run(way, circuits, {**made, **fields}, result)

    execute.__annotations__["return"] = list[result]  # type: ignore[valid-type]
    return execute


def _result_type() -> Any:
    try:
        from mitiq import MeasurementResult
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"executors for Mitiq need the package {error.name!r}. Install it, in an environment of its own since it "
            "holds NumPy back: pip install 'conqure[mitiq]'"
        ) from error
    return MeasurementResult


def _run(way: Door, circuits: Sequence[Any], fields: Mapping[str, Any], result: Any) -> list[Any]:
    tasks = [_task(circuit, fields, number) for number, circuit in enumerate(circuits)]
    submitted = [way.submit(task) for task in tasks]
    return [_measured(task, future.result().counts[0], result) for task, future in zip(tasks, submitted, strict=True)]


def _task(circuit: Any, fields: Mapping[str, Any], number: int) -> QuantumTask:
    seed = fields.get("seed")
    seeded = {**fields, "seed": None if seed is None else seed + number}
    if hasattr(circuit, "operations") and hasattr(circuit, "measurements"):
        circuit = _with_measurements(circuit)
    return as_task(circuit, **seeded)


def _with_measurements(tape: Any) -> Any:
    """A PennyLane tape that reports what it measures: Mitiq's come with measurements in the middle, or without any."""
    if tape.measurements:
        return tape
    from pennylane import counts
    from pennylane.ops import MeasurementValue
    from pennylane.tape import QuantumScript

    from qpu_executors.translation.pennylane import MidMeasure

    midway = [operation for operation in tape.operations if isinstance(operation, MidMeasure)]
    reported = counts([MeasurementValue([each]) for each in midway]) if midway else counts(wires=tape.wires)
    return QuantumScript(tape.operations, [reported])


def _measured(task: QuantumTask, counts: Mapping[str, int], result: Any) -> Any:
    """Counts as Mitiq has them: a column for each measured qubit, in ascending order."""
    if task.language != "gates" or not isinstance(task.program, str):
        raise InvalidTask(
            "the circuit depends on its own measurements; whose the bits are is not known. Leave that out."
        )
    bit_of: dict[int, int] = {}
    for op in GateProgram.parse(task.program).ops:
        if op.name == "measure":
            bit_of.update(zip(op.qubits, op.bits, strict=True))  # the last one counts
    qubits = sorted(bit_of)
    rows: list[list[int]] = []
    for word, times in counts.items():
        bits = word.replace(" ", "")[::-1]
        rows += [[int(bits[bit_of[qubit]]) for qubit in qubits]] * times
    return result(rows, tuple(qubits))
