"""DAX programs: text for trapped-ion machines that are run by ARTIQ with DAX, as a compiler from circuits writes them.

A program prepares, drives and measures its qubits in a loop over the shots, and stores what it measured. Stored values
come back as *raw* rows: one row per call of ``store_measurements``, shot after shot. Which classical bit the k-th
stored value of a shot is cannot be seen in the calls, so a comment at the top of the text carries it.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import InvalidTask
from .gates import GateProgram

MARK = "# conqure: "

# DAX name -> (gate of the language `gates`, its angles where DAX has fixed them). Equal up to the global phase.
READ: dict[str, tuple[str, tuple[float, ...]]] = {
    **{name: (name, ()) for name in ("x", "y", "z", "h", "rx", "ry", "rz", "rxx", "cz")},
    "i": ("id", ()),
    "cnot": ("cx", ()),
    "rphi": ("r", ()),
    "sqrt_x": ("sx", ()),
    "sqrt_x_dag": ("sxdg", ()),
    "sqrt_y": ("ry", (1.5707963267948966,)),
    "sqrt_y_dag": ("ry", (-1.5707963267948966,)),
    "sqrt_z": ("s", ()),
    "sqrt_z_dag": ("sdg", ()),
    "xx": ("rxx", (1.5707963267948966,)),
    "xx_dag": ("rxx", (-1.5707963267948966,)),
}


@dataclass(frozen=True)
class StoredValues:
    """What the values are that a DAX program stores; enough to read its raw rows, whenever they come.

    Attributes:
        order: the k-th stored value of a shot is classical bit ``order[k]``.
        registers: (name, size) of each classical register, in order.
        shots: how often the program's loop runs.
    """

    order: tuple[int, ...]
    registers: tuple[tuple[str, int], ...]
    shots: int

    @staticmethod
    def of(text: str) -> StoredValues:
        """Of a program's text: what its header says, or else what its calls do.

        Raises:
            InvalidTask: the text has no header, and cannot be read as a circuit.

        >>> StoredValues.of(text).counts(numpy.load("raw-of-last-year.npy"))
        {'0000': 14, '1111': 16}
        """
        from .dax_reader import stored_values

        return stored_values(text)

    @property
    def n_values(self) -> int:
        """How many values are stored in all."""
        return self.shots * len(self.order)

    def counts(self, raw: Any) -> dict[str, int]:
        """Raw rows, in any shape, as counts: any value but zero is a 1; a bit written twice keeps the later value."""
        values, width = [bool(value) for value in _flat(raw)], len(self.order)
        if not values or len(values) % width:
            raise InvalidTask(f"{len(values)} raw values are no whole number of shots with {width} values each.")
        seen: Counter[int] = Counter()
        for first in range(0, len(values), width):
            bits = 0
            for bit, value in zip(self.order, values[first : first + width], strict=True):
                bits = bits | 1 << bit if value else bits & ~(1 << bit)
            seen[bits] += 1
        key = GateProgram(1, self.registers, (), ()).key
        return {key(bits): times for bits, times in seen.items()}


@dataclass(frozen=True)
class DaxProgram:
    """What a DAX program does.

    Attributes:
        program: the same circuit in the language `gates`, without parameters.
        shots: how often its loop runs.
        order: the k-th stored value of a shot is classical bit ``order[k]``.
        stores: how many values each call of ``store_measurements`` stores.
    """

    program: GateProgram
    shots: int
    order: tuple[int, ...]
    stores: tuple[int, ...]

    @property
    def n_qubits(self) -> int:
        return self.program.n_qubits

    @staticmethod
    @lru_cache(maxsize=64)
    def parse(text: str) -> DaxProgram:
        """Read a program's text; nothing of it is executed.

        Raises:
            InvalidTask: it is no such program, or does something that `gates` cannot say; with the line.

        >>> DaxProgram.parse(to_dax(program, shots=30)).shots
        30
        """
        from .dax_reader import read

        return read(text)

    @staticmethod
    def parse_rows(text: str) -> tuple[DaxProgram, ...]:
        """Read a program with a data context for each row of parameter values, as `to_dax_rows` writes it."""
        from .dax_reader import read_rows

        return read_rows(text)

    def raw(self, counts: Mapping[str, int]) -> list[list[int]]:
        """Counts as the raw rows that a machine would give; the order of the shots is lost."""
        if len(set(self.order)) < len(self.order):
            raise InvalidTask("the program writes a classical bit twice, so its raw values cannot be had from counts.")
        rows: list[list[int]] = []
        for bits, times in counts.items():
            shot = self._shot(bits.replace(" ", ""))
            for _ in range(times):
                rows += map(list, shot)
        return rows

    def counts(self, raw: Any) -> dict[str, int]:
        """Raw rows, in any shape, as counts."""
        return self.stored.counts(raw)

    @property
    def stored(self) -> StoredValues:
        return StoredValues(self.order, self.program.registers, self.shots)

    def _shot(self, bits: str) -> list[list[int]]:
        values = iter([int(bits[-1 - bit]) for bit in self.order])
        return [list(itertools.islice(values, size)) for size in self.stores]


def to_program(text: str | bytes) -> tuple[str, str]:
    """A DAX program as (program, language) for devices that do not speak DAX."""
    if isinstance(text, bytes):
        raise InvalidTask("a DAX program is text, not bytes. Decode it first.")
    return DaxProgram.parse(text).program.dumps(), "gates"


def header(order: Iterable[int], registers: Iterable[tuple[str, int]], shots: int) -> str:
    """The comment that carries which classical bit each stored value is. ARTIQ does not look at it."""
    said = {"bits": list(order), "registers": list(registers), "shots": shots}
    return MARK + json.dumps(said, separators=(",", ":"))


def _flat(raw: Any) -> list[Any]:
    if hasattr(raw, "__array__"):
        import numpy

        return list(numpy.asarray(raw).flatten().tolist())
    if isinstance(raw, (list, tuple)):
        return [value for part in raw for value in _flat(part)]
    return [raw]
