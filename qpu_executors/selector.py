"""Which QPU a task is for: a name, or conditions that several QPUs may meet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .device import QPU
from .errors import InvalidTask, UnknownDevice

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_QUBITS = re.compile(r"qubits\s*>=\s*(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Selector:
    """The meaning of a ``device_id`` text.

    >>> Selector.parse("tag:ion, qubits>=5")
    Selector(name=None, tags=('ion',), n_qubits=5)
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    n_qubits: int = 0

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Selector:
        """Read a name, ``any``, ``tag:NAME``, ``qubits>=N``, or several joined by commas; else `InvalidTask`."""
        name, tags, n_qubits = None, [], 0
        for part in (part.strip() for part in text.split(",")):
            if found := _QUBITS.fullmatch(part):
                n_qubits = max(n_qubits, int(found[1]))
            elif part.startswith("tag:") and NAME.fullmatch(part[4:]):
                tags.append(part[4:])
            elif part == "any":
                continue
            elif NAME.fullmatch(part) and name in (None, part):
                name = part
            else:
                raise InvalidTask(
                    f"device_id {text!r} is neither a name nor a selector. "
                    "Use a name ('ion0'), 'any', 'tag:NAME', 'qubits>=N', or several of these joined by commas."
                )
        return cls(name, tuple(tags), n_qubits)

    def matches(self, qpu: QPU) -> bool:
        return (
            self.name in (None, qpu.device_id)
            and qpu.n_qubits >= self.n_qubits
            and all(tag in qpu.tags for tag in self.tags)
        )


def select(device_id: str, qpus: Iterable[QPU], where: str = "this pool") -> list[QPU]:
    """The QPUs a task with this ``device_id`` may run on.

    Raises:
        UnknownDevice: none; the text lists those that exist ``where``.
    """
    qpus = list(qpus)
    selector = Selector.parse(device_id)
    fitting = [qpu for qpu in qpus if selector.matches(qpu)]
    if fitting:
        return fitting
    known = ", ".join(_describe(qpu) for qpu in qpus) or "none"
    raise UnknownDevice(
        f"no device {device_id!r} on {where}. Known: {known}.\n"
        "Choose one of these, use a selector ('any', 'tag:NAME', 'qubits>=N'), or add a [qpu.NAME] table to the site "
        "file; 'conqure devices' lists what the site has."
    )


def _describe(qpu: QPU) -> str:
    tags = "".join(f", tag:{tag}" for tag in qpu.tags)
    return f"{qpu.device_id!r} ({qpu.n_qubits} qubits{tags})"
