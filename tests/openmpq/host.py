"""Circuits of libopenmpq.so, driven from Python through its C interface; they run on the library's own state vector."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from functools import cache
from typing import Any

import pytest

from openmpq_runtime import library
from qpu_executors.translation.gates import Angle, GateProgram, Op

Counts = dict[str, int]
OK, INVALID = 0, 2


class _Angle(ctypes.Structure):
    _fields_ = [("offset", c_double), ("scale", c_double), ("parameter", c_int32), ("reserved", c_int32)]


class _Term(ctypes.Structure):
    _fields_ = [("coefficient", c_double), ("paulis", c_char_p)]


_SIGNATURES: dict[str, tuple[Any, ...]] = {  # the result, then the arguments
    "num_qpus": (c_int32,),
    "circuit_create": (c_void_p, c_int32),
    "circuit_destroy": (None, c_void_p),
    "circuit_set_shots": (c_int32, c_void_p, c_int64),
    "circuit_set_seed": (c_int32, c_void_p, c_int64),
    "circuit_gate": (c_int32, c_void_p, c_char_p, POINTER(c_int32), c_size_t, POINTER(_Angle), c_size_t),
    "circuit_barrier": (c_int32, c_void_p, POINTER(c_int32), c_size_t),
    "circuit_reset": (c_int32, c_void_p, POINTER(c_int32), c_size_t),
    "circuit_measure_bit": (c_int32, c_void_p, c_int32, c_char_p, c_int32),
    "circuit_parameter": (c_int32, c_void_p, c_char_p),
    "circuit_execute": (c_int32, c_void_p, POINTER(c_double), c_size_t, c_size_t),
    "circuit_error": (c_char_p, c_void_p),
    "circuit_result": (c_void_p, c_void_p),
    "circuit_expectation": (
        *(c_int32, c_void_p, POINTER(_Term), c_size_t, POINTER(c_double), c_size_t, c_size_t),
        *(POINTER(c_double), POINTER(c_double)),
    ),
    "circuit_to_qasm3": (c_char_p, c_void_p),
    "circuit_to_qiskit": (c_char_p, c_void_p),
    "result_device": (c_char_p, c_void_p),
    "result_num_states": (c_size_t, c_void_p, c_size_t),
    "result_state": (c_char_p, c_void_p, c_size_t, c_size_t, POINTER(c_uint64)),
    "result_destroy": (None, c_void_p),
}


@cache
def _functions() -> Mapping[str, Callable[..., Any]]:
    """The C interface. The library reads its settings when they are first needed: here, where there is no pool."""
    loaded = ctypes.CDLL(str(library()))
    functions = {name: getattr(loaded, f"openmpq_{name}") for name in _SIGNATURES}
    for name, (result, *arguments) in _SIGNATURES.items():
        functions[name].restype, functions[name].argtypes = result, arguments
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OPENMPQ_")]:
            patch.delenv(name)
        patch.setenv("OMP_TARGET_OFFLOAD", "DEFAULT")
        assert functions["num_qpus"]() == 0
    return functions


class HostCircuit:
    """What a `gates` program says, recorded in a circuit of the C++ library."""

    def __init__(self, program: GateProgram, shots: int = 1024, seed: int = 1) -> None:
        self._handle = _functions()["circuit_create"](program.n_qubits)
        self._call("circuit_set_shots", shots)
        self._call("circuit_set_seed", seed)
        self._parameters = [self._call("circuit_parameter", name.encode()) for name in program.parameters]
        self._bits = [(name.encode(), bit) for name, size in program.registers for bit in range(size)]
        self.status = max([self._add(op) for op in program.ops], default=OK)

    def __del__(self) -> None:
        self._call("circuit_destroy")

    @property
    def error(self) -> str:
        return self._text("circuit_error")

    @property
    def qasm3(self) -> str:
        return self._text("circuit_to_qasm3")

    @property
    def qiskit(self) -> str:
        return self._text("circuit_to_qiskit")

    def counts(self, rows: Sequence[Sequence[float]] = ((),)) -> list[Counts]:
        """Executes, and reads the result of each row."""
        status = self._call("circuit_execute", *self._matrix(rows))
        assert status == OK, self.error
        result = self._call("circuit_result")
        try:
            assert _functions()["result_device"](result) == b"host"
            return [_counts(result, row) for row in range(len(rows))]
        finally:
            _functions()["result_destroy"](result)

    def expectation(
        self, terms: Mapping[str, float], rows: Sequence[Sequence[float]] = ((),)
    ) -> tuple[list[float], list[float]]:
        """Values and standard errors, one of each per row."""
        values, errors = (c_double * len(rows))(), (c_double * len(rows))()
        read = (_Term * len(terms))(*(_Term(c, paulis.encode()) for paulis, c in terms.items()))
        status = self._call("circuit_expectation", read, len(terms), *self._matrix(rows), values, errors)
        assert status == OK, self.error
        return list(values), list(errors)

    def _add(self, op: Op) -> int:
        qubits = (c_int32 * len(op.qubits))(*op.qubits)
        if op.name == "measure":
            written = [
                self._call("circuit_measure_bit", qubit, *self._bits[bit])
                for qubit, bit in zip(op.qubits, op.bits, strict=True)
            ]
            return max(written)
        if op.name in ("barrier", "reset"):
            return self._call(f"circuit_{op.name}", qubits, len(qubits))
        angles = (_Angle * len(op.angles))(*(self._angle(angle) for angle in op.angles))
        return self._call("circuit_gate", op.name.encode(), qubits, len(qubits), angles, len(angles))

    def _angle(self, angle: Angle) -> _Angle:
        if not isinstance(angle, tuple):
            return _Angle(angle, 0.0, -1, 0)
        offset, index, scale = angle
        return _Angle(offset, scale, self._parameters[int(index)], 0)

    def _matrix(self, rows: Sequence[Sequence[float]]) -> tuple[ctypes.Array[c_double], int, int]:
        values = [value for row in rows for value in row]
        return (c_double * len(values))(*values), len(rows), len(rows[0])

    def _text(self, name: str) -> str:
        text: bytes = _functions()[name](self._handle)
        return text.decode()

    def _call(self, name: str, *arguments: Any) -> int:
        return _functions()[name](self._handle, *arguments)


def _counts(result: int, row: int) -> Counts:
    counts, number = {}, c_uint64()
    for i in range(_functions()["result_num_states"](result, row)):
        key: bytes = _functions()["result_state"](result, row, i, ctypes.byref(number))
        assert key.decode() not in counts
        counts[key.decode()] = number.value
    return counts
