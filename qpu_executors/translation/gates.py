"""The language `gates`: a compact gate list as JSON text, with references to parameters.

What the C++ side sends, what the front ends produce and what the small state vector runs without any SDK::

    {"gates":1,"qubits":2,"registers":[["c",2]],"parameters":["theta"],
     "ops":[["h",[0]],["ry",[1],[[0,0,1.0]]],["cx",[0,1]],["measure",[0,1],[0,1]]]}

An op is ``[name, qubits]`` or ``[name, qubits, angles]``. An angle is a number (radians) or an affine form
``[offset, index, scale, index, scale, …]`` in the parameters. The third element of ``measure`` lists classical bits,
numbered through the registers in order. Counts keys are Qiskit's: bit 0 rightmost, last register leftmost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import InvalidTask

VERSION = 1
MAX_QUBITS = 10_000
MAX_OPS = 1_000_000

# name -> (qubits, angles). OpenQASM 3's stdgates.inc, and what Qiskit's library has beside it.
GATES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg"), (1, 0)),
    **dict.fromkeys(("p", "rx", "ry", "rz", "u1"), (1, 1)),
    **dict.fromkeys(("u2", "r"), (1, 2)),
    **dict.fromkeys(("u", "u3"), (1, 3)),
    **dict.fromkeys(("cx", "cy", "cz", "ch", "cs", "csdg", "csx", "swap", "iswap", "dcx", "ecr"), (2, 0)),
    **dict.fromkeys(("cp", "cu1", "crx", "cry", "crz", "rxx", "ryy", "rzz", "rzx"), (2, 1)),
    **dict.fromkeys(("xx_plus_yy", "xx_minus_yy"), (2, 2)),
    "cu3": (2, 3),
    "cu": (2, 4),
    **dict.fromkeys(("ccx", "ccz", "cswap", "rccx"), (3, 0)),
}

Angle = float | tuple[float, ...]  # a constant, or (offset, index, scale, …)


class Op(NamedTuple):
    """One operation; ``angles`` for a gate, ``bits`` for a measurement."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    bits: tuple[int, ...] = ()


@dataclass(frozen=True)
class GateProgram:
    """A parsed `gates` program.

    Attributes:
        n_qubits: qubits are numbered 0 to n_qubits - 1.
        registers: (name, size) of each classical register, in order.
        parameters: names; column i of a task's parameter_values goes to parameter i.
        ops: in the order they are applied.
    """

    n_qubits: int
    registers: tuple[tuple[str, int], ...]
    parameters: tuple[str, ...]
    ops: tuple[Op, ...]

    @property
    def n_bits(self) -> int:
        return sum(size for _, size in self.registers)

    @staticmethod
    @lru_cache(maxsize=128)
    def parse(text: str) -> GateProgram:
        """Read JSON text; `InvalidTask` names the first thing that is wrong. Cached, programs repeat."""
        return _parse(text)

    def dumps(self) -> str:
        """The text that `parse` reads; equal programs give equal text."""
        ops: list[list[Any]] = []
        for op in self.ops:
            angles = [list(angle) if isinstance(angle, tuple) else angle for angle in op.angles]
            third = list(op.bits) if op.name == "measure" else angles
            ops.append([op.name, list(op.qubits), third] if third else [op.name, list(op.qubits)])
        program = {
            "gates": VERSION,
            "qubits": self.n_qubits,
            "registers": [list(register) for register in self.registers],
            "parameters": list(self.parameters),
            "ops": ops,
        }
        return json.dumps(program, separators=(",", ":"))

    def key(self, bits: int) -> str:
        """The counts key for the value of all classical bits, registers separated by a space.

        >>> GateProgram(2, (("a", 1), ("b", 2)), (), ()).key(0b101)
        '10 1'
        """
        words = []
        for _, size in self.registers:
            words.append(format(bits & ((1 << size) - 1), f"0{size}b") if size else "")
            bits >>= size
        return " ".join(reversed(words))


def bind(angle: Angle, row: Sequence[float]) -> float:
    """The value of an angle for one row of parameter values, radians."""
    if not isinstance(angle, tuple):
        return angle
    value = angle[0]
    for index, scale in zip(angle[1::2], angle[2::2], strict=True):
        value += scale * row[int(index)]
    return value


def _parse(text: str) -> GateProgram:
    try:
        program = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidTask(f"the gates program is not JSON: {str(error)[:200]}") from None
    if not isinstance(program, dict) or program.get("gates") != VERSION:
        version = program.get("gates") if isinstance(program, dict) else None
        raise InvalidTask(f'not a gates program of version {VERSION}: "gates" is {version!r}.')
    unknown = sorted(set(program) - {"gates", "qubits", "registers", "parameters", "ops"})
    if unknown:
        raise InvalidTask(f"a gates program has no field {unknown[0]!r}: it has qubits, registers, parameters, ops.")
    n_qubits = _count("qubits", program.get("qubits"), 1)
    registers = _registers(program.get("registers", []))
    parameters = _parameters(program.get("parameters", []))
    ops = program.get("ops")
    if not isinstance(ops, list) or len(ops) > MAX_OPS:
        raise InvalidTask(f"a gates program needs a list of at most {MAX_OPS:,} ops.")
    n_bits = sum(size for _, size in registers)
    read = tuple(_op(number, op, n_qubits, n_bits, len(parameters)) for number, op in enumerate(ops))
    if not any(op.name == "measure" for op in read):
        raise InvalidTask("the program measures nothing, so it has no counts. Add measurements (Qiskit: measure_all).")
    return GateProgram(n_qubits, registers, parameters, read)


def _count(name: str, value: object, low: int) -> int:
    if type(value) is not int or not low <= value <= MAX_QUBITS:
        raise InvalidTask(f"{name} must be a whole number from {low} to {MAX_QUBITS}, not {value!r}.")
    return value


def _registers(registers: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(registers, list):
        raise InvalidTask('registers must be a list of [name, size], for example [["c",7]].')
    for entry in registers:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise InvalidTask(f"a register is [name, size], not {str(entry)[:60]}.")
    found = tuple((name, _count(f"the size of register {name!r}", size, 0)) for name, size in registers)
    _count("the number of classical bits", sum(size for _, size in found), 0)
    return found


def _parameters(names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidTask("parameters must be a list of names.")
    if len(set(names)) != len(names):
        raise InvalidTask("two parameters have the same name.")
    return tuple(names)


def _op(number: int, op: Any, n_qubits: int, n_bits: int, n_parameters: int) -> Op:
    if not isinstance(op, list) or not 2 <= len(op) <= 3 or not isinstance(op[0], str):
        raise InvalidTask(f"op {number} must be [name, qubits] or [name, qubits, angles or bits], not {str(op)[:60]}.")
    name, where = op[0], f"op {number} ({op[0]})"
    qubits = _indices(f"{where}: qubit", op[1], n_qubits)
    if len(set(qubits)) != len(qubits):
        raise InvalidTask(f"{where} names a qubit twice: {list(qubits)}.")
    third = op[2] if len(op) == 3 else []
    if name == "measure":
        bits = _indices(f"{where}: bit", third, n_bits)
        if len(bits) != len(qubits):
            raise InvalidTask(f"{where} has {len(qubits)} qubits and {len(bits)} bits; give one bit per qubit.")
        return Op(name, qubits, bits=bits)
    if name in ("barrier", "reset"):
        return Op(name, qubits)
    if name not in GATES:
        raise InvalidTask(f"{where}: the language 'gates' has no gate {name!r}. It has: {', '.join(GATES)}.")
    if not isinstance(third, list) or (len(qubits), len(third)) != GATES[name]:
        n, m = GATES[name]
        raise InvalidTask(f"{where} takes {n} qubit(s) and {m} angle(s), got {len(qubits)} and {str(third)[:60]}.")
    return Op(name, qubits, tuple(_angle(where, angle, n_parameters) for angle in third))


def _indices(what: str, values: object, limit: int) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise InvalidTask(f"{what}s must be a list of whole numbers.")
    for value in values:
        if type(value) is not int or not 0 <= value < limit:
            raise InvalidTask(f"{what} {value!r} is not from 0 to {limit - 1}.")
    return tuple(values)


def _angle(where: str, angle: Any, n_parameters: int) -> Angle:
    if isinstance(angle, list):
        if len(angle) % 2 == 0 or not all(map(_is_number, angle)):
            raise InvalidTask(f"{where}: an affine angle is [offset, index, scale, …], not {str(angle)[:60]}.")
        for index in angle[1::2]:
            if type(index) is not int or not 0 <= index < n_parameters:
                raise InvalidTask(f"{where} refers to parameter {index!r}; the program has {n_parameters}.")
        return affine(angle[0], zip(angle[1::2], angle[2::2], strict=True))
    if not _is_number(angle):
        raise InvalidTask(f"{where}: an angle is a finite number or [offset, index, scale, …], not {str(angle)[:60]}.")
    return float(angle)


def affine(offset: float, terms: Iterable[tuple[int, float]]) -> Angle:
    """An angle ``offset + Σ scale · parameter[index]``; a plain number when there are no terms."""
    flat = tuple(value for index, scale in terms for value in (int(index), float(scale)))
    return (float(offset), *flat) if flat else float(offset)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def is_final(program: GateProgram) -> bool:
    """Whether all measurements come at the end, nothing is reset, and each bit is written at most once."""
    measured: set[int] = set()
    bits: list[int] = []
    for op in program.ops:
        if op.name == "measure":
            measured.update(op.qubits)
            bits += op.bits
        elif op.name == "reset" or (op.name != "barrier" and measured.intersection(op.qubits)):
            return False
    return len(bits) == len(set(bits))
