"""A site: a machine as its administrator describes it, one TOML file read once at the edge."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .device import QPU
from .draining import notice_of
from .errors import InvalidSite
from .group import Group
from .selector import select
from .site_format import mistakes
from .site_search import VARIABLE, find_site

MAX_BYTES = 256 * 2**10  # a site file is a page of facts; more is some other file


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Site:
    """What a machine offers: its QPUs, its classical workers and the engine it prefers.

    Attributes:
        qpus: the QPUs in the order of the file; at least one, with distinct names.
        cpu_workers: classical tasks at the same time.
        engine: what runs the tasks when nobody says: ``parsl``, ``dask`` or ``threads``.
        qpu_mode: where Parsl runs QPU tasks: ``threads`` of the submitting program, ``workers`` that hold a QPU each,
            or stock ``htex`` workers.
        groups: the groups of workers that Slurm starts; none where everything runs on this machine.
        queue: what the file says about the site's cloud queue.
        path: the file it was read from; None for a site made in Python.

    >>> Site("here", (QPU("sv0", "statevector", 10),)).qpu("sv0").n_qubits
    10
    """

    name: str
    qpus: tuple[QPU, ...]
    description: str = ""
    cpu_workers: int = 0
    engine: str = "threads"
    qpu_mode: str = "workers"
    path: Path | None = None
    groups: tuple[Group, ...] = ()
    queue: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "qpus", tuple(self.qpus))
        object.__setattr__(self, "cpu_workers", self.cpu_workers or cores())
        object.__setattr__(self, "groups", tuple(self.groups))
        names = [qpu.device_id for qpu in self.qpus]
        if not names or len(set(names)) < len(names):
            raise InvalidSite(f"site {self.name!r} needs at least one QPU, each with a name of its own, not {names}.")

    @classmethod
    def load(cls, path_or_name: str | Path | Site | None = None) -> Site:
        """The site a file or a name stands for; without one, the site to use here.

        Without an argument: ``$CONQURE_SITE``, ``./conqure.toml``, the site named ``default``, the shipped
        ``laptop``. Names are looked up in the user's folder, ``/etc/conqure/sites`` and among the shipped ones.

        Raises:
            UnknownSite: no such file or name; InvalidSite: the file has mistakes, all of them listed.

        >>> len(Site.load("laptop").qpus)
        6
        """
        return path_or_name if isinstance(path_or_name, Site) else read_site(find_site(path_or_name).path)

    def qpu(self, device_id: str) -> QPU:
        """The QPU of this name; `UnknownDevice` lists those that exist."""
        return select(device_id, self.qpus, f"site {self.name!r}")[0]

    def select(self, device_id: str) -> list[QPU]:
        """The QPUs a name or selector (``any``, ``tag:ion``, ``qubits>=5``) fits; `UnknownDevice` if none."""
        return select(device_id, self.qpus, f"site {self.name!r}")

    def only(self, device_id: str) -> Site:
        """The same site with only the QPUs that a name or selector fits."""
        return replace(self, qpus=tuple(self.select(device_id)))

    def group(self, name: str) -> Group:
        """The group of this name; `InvalidSite` lists those that exist."""
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(repr(group.name) for group in self.groups) or "none"
        raise InvalidSite(f"site {self.name!r} has no group {name!r}. Groups: {known}.")

    def qpus_of(self, group: str) -> tuple[QPU, ...]:
        """The QPUs that jobs of a group hold; for ``""`` those that need no job."""
        return tuple(qpu for qpu in self.qpus if qpu.group == group)

    @property
    def classical_groups(self) -> tuple[Group, ...]:
        """The groups whose jobs hold no QPU."""
        return tuple(group for group in self.groups if not self.qpus_of(group.name))

    def describe(self) -> dict[str, Any]:
        """Everything about the site as plain JSON values."""
        return {
            "name": self.name,
            "description": self.description,
            "path": str(self.path) if self.path else None,
            "engine": self.engine,
            "qpu_mode": self.qpu_mode,
            "cpu_workers": self.cpu_workers,
            "qpus": [_describe_qpu(qpu) for qpu in self.qpus],
        } | (
            {"groups": [asdict(group) for group in self.groups], "queue": dict(self.queue)}
            if self.groups or self.queue
            else {}
        )


def current_site() -> Site:
    """The site to use in this process when nobody names one; read once.

    Raises:
        UnknownSite, InvalidSite: as `Site.load`.
    """
    return _site_of(os.environ.get(VARIABLE), os.getcwd())


@lru_cache(maxsize=8)
def _site_of(_variable: str | None, _folder: str) -> Site:
    return Site.load()


def read_site(path: Path) -> Site:
    """Read and check one site file; `InvalidSite` lists every mistake with its line."""
    text = _read_text(path)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidSite(
            f"{path} is not TOML: {error}.\nA file that works, to compare with: conqure sites show laptop --toml"
        ) from None
    if found := mistakes(values, text, str(path)):
        raise InvalidSite("\n".join(found))
    return _site_from(values, path)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidSite(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise InvalidSite(f"{path} has more than {MAX_BYTES // 2**10} KiB. Is it a site file?")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidSite(f"{path} is not UTF-8 text (byte {error.start}). Is it a site file?") from None


def _site_from(values: Mapping[str, Any], path: Path) -> Site:
    engine, name = values.get("engine", {}), values.get("name", path.stem)
    groups = tuple(_groups_from(values))
    shared = next((group.shared_folder for group in groups if group.shared), None)
    return Site(
        name=name,
        qpus=tuple(
            replace(_qpu_from(device_id, table, values.get("queue", {})), notice=notice_of(name, device_id, shared))
            for device_id, table in values["qpu"].items()
        ),
        description=values.get("description", ""),
        cpu_workers=values.get("cpu", {}).get("workers", 0),
        engine=engine.get("name", "threads"),
        qpu_mode=engine.get("qpu_mode", "workers"),
        path=path,
        groups=groups,
        queue=values.get("queue", {}),
    )


def _groups_from(values: Mapping[str, Any]) -> Iterator[Group]:
    common = values.get("slurm", {})
    for name, table in values.get("group", {}).items():
        yield Group.of(name, {**common, **table})


def _qpu_from(device_id: str, table: Mapping[str, Any], queue: Mapping[str, str]) -> QPU:
    if table["driver"] == "queue":  # where its queue is and with which token is said once, for all its QPUs
        known = {key: queue[key] for key in ("url", "token_file") if key in queue}
        table = {**table, "options": known | table.get("options", {})}
    plain = ("slots", "max_shots", "reach", "group", "resource", "expects", "options")
    optional: dict[str, Any] = {key: table[key] for key in plain if key in table}
    lists: dict[str, Any] = {key: tuple(table.get(key, ())) for key in ("tags", "directives", "failover")}
    return QPU(device_id, table["driver"], table["qubits"], **lists, **optional)


_RARE = ("group", "resource", "directives", "expects", "failover")


def _describe_qpu(qpu: QPU) -> dict[str, Any]:
    return {
        "device_id": qpu.device_id,
        "driver": qpu.driver,
        "qubits": qpu.n_qubits,
        "slots": qpu.slots,
        "tags": list(qpu.tags),
        "max_shots": qpu.max_shots,
        "reach": qpu.reach,
        "options": dict(qpu.options),
    } | {name: value for name in _RARE if (value := getattr(qpu, name))}
