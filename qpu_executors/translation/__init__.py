"""Circuits in, tasks out: `as_task` makes a `QuantumTask` of whatever a framework calls a circuit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import InvalidTask
from ..lasting import keep_loaded
from ..records import MAX_PROGRAM_BYTES, QuantumTask
from .gates import GateProgram

_READ = (
    "a qiskit.QuantumCircuit, OpenQASM 2 or 3 text, a PennyLane tape (QuantumScript), "
    "a circuit of Cirq, pytket or Braket, a gates program as JSON text, "
    "the text of a DAX program, QPY bytes, or a QuantumTask"
)
_CACHED_SIZE = 2**20  # longer texts are read each time rather than kept
_OPENQASM = re.compile(r"^\s*OPENQASM\s+(\d)", re.MULTILINE)
_DAX = re.compile(r"^class\s+\w+\s*\([^)]*\bDaxProgram\b", re.MULTILINE)


class Translation(NamedTuple):
    """A circuit in a language of CONQURE.

    Attributes:
        program, language: what a `QuantumTask` carries.
        parameters: names, in the order of the columns of parameter_values; None where only the device knows them.
        lifted: the angles taken out of a circuit that had no parameters, radians; else empty.
        shots: what the circuit itself asks for (a PennyLane tape may).
    """

    program: str | bytes
    language: str
    parameters: tuple[str, ...] | None
    lifted: tuple[float, ...] = ()
    shots: int | None = None


def as_task(circuit: Any, *, lift_angles: bool = True, stand_in: bool = False, **overrides: Any) -> QuantumTask:
    """A task that runs this circuit.

    Args:
        circuit: a circuit of Qiskit, Cirq, pytket or Braket, OpenQASM 2 or 3 text, a PennyLane tape, a gates program
            (JSON text), the text of a DAX program, QPY bytes, or a `QuantumTask` (then only ``overrides`` apply).
        lift_angles: take the angles out of a circuit without parameters, so that the next circuit of the same shape
            is the same program and is not compiled again. Multiples of π/4 stay.
        stand_in: put one-qubit gates in place of those that entangle, for a machine that has none
            (`stand_in.without_entanglement`); the counts are those of another circuit.
        overrides: fields of `QuantumTask`: shots, device_id, seed, priority, and ``parameter_values`` in radians:
            array-like of shape (n_parameters,) or (n_rows, n_parameters), or a mapping from names (or Qiskit's
            parameters and parameter vectors) to a value or to one value per row. ``None`` means the default.

    Raises:
        InvalidTask: it is none of these, measures nothing, or lacks values for its parameters; the text names them.
        MissingPackage: reading it needs a package that is not installed.

    >>> as_task(circuit, shots=1000, parameter_values={"theta": [0.1, 0.2]}).n_rows
    2
    """
    if stand_in:
        return _without_entanglement(as_task(circuit, lift_angles=lift_angles, **overrides))
    given = {name: value for name, value in overrides.items() if value is not None}
    values = given.pop("parameter_values", None)
    if isinstance(circuit, QuantumTask):
        if isinstance(values, Mapping):
            values = rows(_names(circuit.program, given.get("language", circuit.language)), values)
        return circuit.replace(**given, **({} if values is None else {"parameter_values": values}))
    found = translate(circuit, given.pop("language", None), lift_angles=lift_angles and values is None)
    if found.lifted:
        values = (found.lifted,)
    elif found.parameters is not None:
        values = rows(found.parameters, values)
    if found.shots is not None:
        given.setdefault("shots", found.shots)
    task = QuantumTask(found.program, found.language, parameter_values=((),) if values is None else values, **given)
    if found.parameters is not None and len(task.parameter_values[0]) != len(found.parameters):
        raise InvalidTask(
            f"parameter_values has {len(task.parameter_values[0])} columns, the circuit has {_list(found.parameters)}. "
            "Give one value per parameter in each row; a flat sequence is one row."
        )
    return task


def _without_entanglement(task: QuantumTask) -> QuantumTask:
    if task.language != "gates" or not isinstance(task.program, str):
        raise InvalidTask(
            f"a program in {task.language!r} has no stand-in without entanglement: that is made in 'gates'. "
            "Give a circuit that 'gates' can express."
        )
    from .stand_in import without_entanglement

    return task.replace(program=without_entanglement(GateProgram.parse(task.program)).dumps())


def translate(circuit: Any, language: str | None = None, *, lift_angles: bool = True) -> Translation:
    """The program of a circuit, its language and its parameters; see `as_task`.

    ``language`` says what a text or bytes is, where its first characters do not: openqasm2, openqasm3, gates, qpy, or
    what only a device reads; such programs pass as they are.
    """
    if isinstance(circuit, (str, bytes)):
        read = _text if len(circuit) < _CACHED_SIZE else _text.__wrapped__
        return read(circuit, language or _language(circuit), lift_angles)
    types = {base.__module__.partition(".")[0]: base.__name__ for base in type(circuit).__mro__}
    if "qiskit" in types and hasattr(circuit, "data") and hasattr(circuit, "clbits"):
        from .qiskit import from_circuit

        return from_circuit(circuit, lift_angles=lift_angles)
    if "pennylane" in types and (hasattr(circuit, "measurements") or types["pennylane"] == "QNode"):
        from .pennylane import from_tape

        return from_tape(circuit, lift_angles=lift_angles)
    if "cirq" in types and hasattr(circuit, "all_operations"):
        from .cirq import from_circuit as from_cirq

        return from_cirq(circuit, lift_angles=lift_angles)
    if "pytket" in types and hasattr(circuit, "get_commands"):
        from .pytket import from_circuit as from_pytket

        return from_pytket(circuit, lift_angles=lift_angles)
    if "braket" in types and (hasattr(circuit, "to_ir") or hasattr(circuit, "source")):
        from .braket import from_circuit as from_braket

        return from_braket(circuit, lift_angles=lift_angles)
    raise InvalidTask(f"{type(circuit).__module__}.{type(circuit).__name__} is no circuit. Give {_READ}.")


def rows(parameters: Sequence[str], values: Any) -> Any:
    """parameter_values in the order of the parameters; a mapping may name them, or whole vectors of them.

    >>> rows(["a", "b[0]", "b[1]"], {"a": [1, 2], "b": [3, 4]})
    [(1, 3, 4), (2, 3, 4)]
    """
    if values is None:
        if parameters:
            raise InvalidTask(f"the circuit has {_list(parameters)} without values. Give parameter_values.")
        return ((),)
    if not isinstance(values, Mapping):
        return values
    columns: dict[str, Any] = {}
    for key, value in values.items():
        columns |= _columns(parameters, getattr(key, "name", key), _plain(value))
    missing = [name for name in parameters if name not in columns]
    if missing:
        raise InvalidTask(f"parameter_values lacks {_list(missing)}.")
    lengths = {name: len(column) for name, column in columns.items() if isinstance(column, Sequence)}
    if len(set(lengths.values())) > 1:
        raise InvalidTask(f"the parameters have different numbers of rows: {str(lengths)[:200]}.")
    n_rows = next(iter(lengths.values()), 1)
    full = [columns[name] if name in lengths else [columns[name]] * n_rows for name in parameters]
    return list(zip(*full, strict=True)) if full else [()] * n_rows


def _columns(parameters: Sequence[str], name: Any, value: Any) -> dict[str, Any]:
    """What one entry of a mapping says about which parameters."""
    if name in parameters:
        return {name: value}
    vector = [parameter for parameter in parameters if parameter.startswith(f"{name}[")]
    if not vector:
        raise InvalidTask(f"the circuit has no parameter {name!r}. It has {_list(parameters)}.")
    nested = isinstance(value, Sequence) and bool(value) and isinstance(value[0], Sequence)
    lines = value if nested else [value]
    if any(not isinstance(line, Sequence) or len(line) != len(vector) for line in lines):
        raise InvalidTask(f"parameter vector {name!r} takes {len(vector)} values in each row, got {str(value)[:80]}.")
    return {
        parameter: list(column) if nested else column[0]
        for parameter, column in zip(vector, zip(*lines, strict=True), strict=True)
    }


def _plain(value: Any) -> Any:
    """Arrays, also inside lists, as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _list(parameters: Sequence[str]) -> str:
    if not parameters:
        return "no parameters"
    names = ", ".join(parameters[:8]) + (", …" if len(parameters) > 8 else "")
    return f"{len(parameters)} parameter{'s' if len(parameters) > 1 else ''} ({names})"


def _language(program: str | bytes) -> str:
    if isinstance(program, bytes):
        return "qpy"
    if program.lstrip()[:1] == "{":
        return "gates"
    version = _OPENQASM.search(program[:10_000])
    if version:
        return f"openqasm{version[1]}"
    if _DAX.search(program):
        return "dax"
    if re.search(r"\b(include|qreg|qubit)\b", program[:10_000]):
        return "openqasm2" if "qreg" in program or "qelib1" in program else "openqasm3"
    raise InvalidTask(f"this text is no circuit: {program[:60]!r}. Give {_READ}.")


@lru_cache(maxsize=64)  # the same text comes again and again, and parsing OpenQASM takes milliseconds
def _text(program: str | bytes, language: str, lift_angles: bool) -> Translation:
    if len(program) > MAX_PROGRAM_BYTES:
        raise InvalidTask(
            f"program has {len(program) / 2**20:.0f} MiB, the limit is {MAX_PROGRAM_BYTES // 2**20} MiB. "
            "Use parameters and rows of parameter_values instead of one long program."
        )
    if language == "gates":
        return Translation(program, language, _names(program, language))
    if language == "qpy" or language.startswith("openqasm"):
        keep_loaded("qiskit")
    if language == "qpy":
        from .qiskit import from_circuit, load_qpy

        return from_circuit(load_qpy(program), lift_angles=lift_angles)
    if language.startswith("openqasm"):
        from .openqasm import from_text

        return from_text(program, language, lift_angles=lift_angles)
    if language == "dax" and isinstance(program, str):
        return _dax(program)
    return Translation(program, language, None)


def _dax(program: str) -> Translation:
    from .dax import DaxProgram

    try:
        return Translation(program, "dax", (), shots=DaxProgram.parse(program).shots)
    except InvalidTask:  # more than we read; a device that speaks DAX may
        return Translation(program, "dax", None)


def _names(program: str | bytes, language: str) -> tuple[str, ...]:
    """The parameters of a program that is in a task already."""
    if language == "gates" and isinstance(program, str):
        return GateProgram.parse(program).parameters
    names = _text(program, language, False).parameters if language != "gates" else None
    if names is None:
        raise InvalidTask(
            f"the names of the parameters of this {language} program are not known. Give rows of numbers."
        )
    return names
