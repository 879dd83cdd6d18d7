"""How much of a trapped-ion machine goes on at once: the lasers and mirrors of a ``resources.toml``.

The file is the one that QisDAX reads::

    total_lasers = 4
    total_mirrors = 4
    relative_time = "135,600"   # of a one-qubit and of a two-qubit gate, in any unit

    [h]                         # by Qiskit's name of a gate
    time = 1
    lasers = 1
    mirrors = 1

As in QisDAX, ``time`` of a gate is not used: durations follow ``relative_time``. A gate without a table takes one laser
and one mirror for each of its qubits.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InvalidSite
from .dax import READ

_TOTALS = ("total_lasers", "total_mirrors")
_MOST = 10**6


@dataclass(frozen=True)
class Need:
    """What an operation takes while it goes on."""

    lasers: int
    mirrors: int


@dataclass(frozen=True)
class Resources:
    """What a machine has, and what its gates take of it.

    Attributes:
        lasers, mirrors: how many there are.
        one_qubit, two_qubit: how long gates take, in any unit; a measurement is as long as a two-qubit gate.
        needs: by Qiskit's name of a gate (``cx``), or DAX's (``cnot``).
    """

    lasers: int
    mirrors: int
    one_qubit: int = 135
    two_qubit: int = 600
    needs: Mapping[str, Need] = field(default_factory=dict)

    @staticmethod
    def load(path: str | Path) -> Resources:
        """Read a resources file. `InvalidSite` names the file and what is wrong in it."""
        path = Path(path).expanduser()
        try:
            stamp = path.stat()
            return _load(path, stamp.st_mtime_ns, stamp.st_size)
        except OSError as error:
            raise InvalidSite(f"the resources file {str(path)!r} cannot be read: {error.strerror}.") from None

    @staticmethod
    def parse(text: str, where: str = "the resources file") -> Resources:
        """Read the text of a resources file."""
        try:
            read = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidSite(f"{where} is no TOML: {error}") from None
        lasers, mirrors = (_whole(where, name, read.pop(name, None), 1) for name in _TOTALS)
        one_qubit, two_qubit = _times(where, read.pop("relative_time", "135,600"))
        needs = {name: _need(f"{where}, [{name}]", table) for name, table in read.items()}
        return Resources(lasers, mirrors, one_qubit, two_qubit, needs)

    def need(self, name: str, n_qubits: int) -> Need:
        """What an operation takes, by its DAX name; `InvalidSite` if that is more than there is."""
        gate = "measure" if name == "m_z" else READ[name][0] if name in READ else name
        idle = Need(0, 0) if name == "i" else Need(n_qubits, n_qubits)
        found = self.needs.get(name) or self.needs.get(gate) or idle
        if found.lasers > self.lasers or found.mirrors > self.mirrors:
            raise InvalidSite(
                f"gate {gate!r} takes {found.lasers} lasers and {found.mirrors} mirrors, the resources are "
                f"{self.lasers} and {self.mirrors}. Correct the table [{gate}] of the resources file."
            )
        return found

    def time(self, name: str, n_qubits: int) -> int:
        """How long an operation takes."""
        return self.two_qubit if n_qubits > 1 or name == "m_z" else self.one_qubit


@lru_cache(maxsize=8)
def _load(path: Path, changed: int, size: int) -> Resources:
    if size > _MOST:
        raise InvalidSite(f"the resources file {str(path)!r} has {size:,} bytes, at most {_MOST:,} are read.")
    return Resources.parse(path.read_text(errors="replace"), f"the resources file {str(path)!r}")


def _need(where: str, table: Any) -> Need:
    if not isinstance(table, dict):
        raise InvalidSite(f"{where} must be a table of a gate, with lasers and mirrors, not {str(table)[:40]!r}.")
    if unknown := sorted(set(table) - {"time", "lasers", "mirrors"}):
        raise InvalidSite(f"{where} has {unknown[0]!r}. A gate has time, lasers, mirrors.")
    return Need(*(_whole(where, name, table.get(name), 0) for name in ("lasers", "mirrors")))


def _times(where: str, said: Any) -> tuple[int, int]:
    words = said.split(",") if isinstance(said, str) else []
    if len(words) != 2 or not all(word.strip().isdecimal() and 0 < int(word) <= _MOST for word in words):
        raise InvalidSite(f'{where}: relative_time is "ONE,TWO", as "135,600", not {str(said)[:40]!r}.')
    return int(words[0]), int(words[1])


def _whole(where: str, name: str, value: Any, least: int) -> int:
    if type(value) is not int or not least <= value <= _MOST:
        found = "missing" if value is None else f"{str(value)[:40]!r}"
        raise InvalidSite(f"{where}: {name} must be a whole number from {least}; it is {found}.")
    return value
