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
        failover: the QPUs that stand in for it while it is offline, also for tasks that name it (`failover`).
        notice: the file that drains it while it is there (`draining`); empty where none can.
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
    failover: tuple[str, ...] = ()
    notice: str = field(default="", compare=False, repr=False)


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


@runtime_checkable
class RemoteDevice(Device, Protocol):
    """A machine that gives each thing it is asked to run a name, its *remote id*, such as a vendor's cloud does.

    Each task is submitted once, and who tries again attaches to what runs: `submissions`, written once above this
    protocol, sees to that. `execute` is not called.
    """

    def submit(
        self, prepared: Any, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None, key: str
    ) -> str:
        """Hand all rows to the machine, and return the remote id at once.

        ``key`` names the task; give it to the machine as a tag, or as its token against repetition, if it takes such:
        then `find` can ask for it. What the machine ended without counts is submitted anew with another key.
        """
        ...

    def fetch(self, remote_id: str, prepared: Any, n_rows: int) -> Sequence[Counts]:
        """Wait for what this or another process submitted; counts as of `Device.execute`.

        Raises:
            RemoteFailed: it ended without counts (or another error, marked by `submissions.over`).
            DeviceFault: the machine does not answer; what it runs may go on.
        """
        ...

    def find(self, key: str) -> str:
        """The remote id of what was submitted with this key; "" if there is none, or the machine can't be asked."""
        ...
