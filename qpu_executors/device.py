"""The contract between CONQURE and a QPU: `QPU` describes it, a driver opens it, `Device` runs programs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Counts = dict[str, int]


@dataclass(frozen=True)
class QPU:
    """One quantum processor, or a simulator in its place, as the site's administrator describes it.

    Attributes:
        device_id: its name, ``[A-Za-z][A-Za-z0-9_.-]*``.
        driver: the name a package registered under the entry point group ``conqure.devices``.
        n_qubits: the largest circuit it takes.
        slots: tasks it accepts at the same time (1 for real hardware).
        tags: words that selectors can ask for.
        options: keyword arguments of the driver.
        max_shots: the most repetitions of a row it takes.
        reach: how it is reached: ``local`` (by this machine), by a job of Slurm that asks for a ``gres``, a
            ``license`` or a ``partition``, over the ``network``, or through a cloud ``queue``.
        group: the group of workers whose jobs hold it.
        resource: what such a job asks Slurm for: a GRES for the whole QPU, or a licence for each slot.
        directives: further options of sbatch for such a job.
        expects: a variable that the job must have, ``NAME`` or ``NAME=WORD``.
    """

    device_id: str
    driver: str
    n_qubits: int
    slots: int = 1
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    max_shots: int = 10**7
    reach: str = "local"
    group: str = ""
    resource: str = ""
    directives: tuple[str, ...] = ()
    expects: str = ""


@runtime_checkable
class Device(Protocol):
    """Our handle to one open QPU. A driver is any callable ``driver(device_id, n_qubits, **options) -> Device``.

    One thread calls `execute` at a time per slot; everything else (limits, caching of prepared programs, timing,
    records) is written once above this protocol, in `running`. A device may also have
    ``metadata: dict``, read after each `execute` in the same thread and copied into the result; a key ``run_s``
    there replaces the measured time (a virtual clock).
    """

    device_id: str
    n_qubits: int
    languages: tuple[str, ...]

    def prepare(self, program: str | bytes, language: str) -> Any:
        """Parse and compile, once per program: `languages` only. `InvalidTask` names what the device cannot do."""
        ...

    def execute(
        self, prepared: Any, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> Sequence[Counts]:
        """Run each row ``shots`` times; returns one dict of counts per row (Qiskit's bit order).

        The number of columns of ``parameter_values`` (radians) was checked for `gates`; check it for other languages.
        """
        ...

    def close(self) -> None:
        """Let go of the QPU; called once."""
        ...
