"""What Slurm says about itself: partitions, nodes, licences, reservations, accounts. Read-only, and it never hangs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qpu_executors.errors import SlurmError, SlurmUnavailable
from qpu_executors.slurm.client import ask, user

PATIENCE_S = 10.0  # a login node's controller answers in milliseconds; one that takes this long is a finding


@dataclass(frozen=True)
class Partition:
    """A partition; ``max_minutes`` is None where it has no limit."""

    name: str
    state: str
    max_minutes: float | None
    is_default: bool


@dataclass(frozen=True)
class Node:
    """A node as a member of a partition. ``reason`` is what the administrator wrote when it was drained."""

    name: str
    partition: str
    state: str
    gres: str
    reason: str

    @property
    def usable(self) -> bool:
        """Whether Slurm starts jobs on it."""
        return re.search(r"drain|down|fail|maint|reboot|unknown|\*", self.state.lower()) is None

    def describe(self) -> str:
        reason = "" if self.reason in ("", "none") else f" ({self.reason})"
        return f"{self.name} is {self.state}{reason}"


@dataclass(frozen=True)
class Cluster:
    """The facts, read once. ``accounts`` and ``qos`` are None where Slurm keeps no accounts."""

    partitions: dict[str, Partition]
    nodes: tuple[Node, ...]
    licenses: dict[str, int]
    reservations: frozenset[str]
    accounts: frozenset[str] | None
    qos: frozenset[str] | None

    def named(self, names: str) -> list[Partition]:
        """The partitions of a comma-separated list that exist; for no name, the default one."""
        if not names:
            return [each for each in self.partitions.values() if each.is_default]
        return [self.partitions[name] for name in names.split(",") if name in self.partitions]

    def nodes_of(self, partitions: list[Partition]) -> list[Node]:
        names = {each.name for each in partitions}
        return [node for node in self.nodes if node.partition in names]

    def gres_of(self, partitions: list[Partition]) -> frozenset[str]:
        """The GRES that these partitions have: ``qpu:ion:1`` stands for ``qpu`` and ``qpu:ion``."""
        return frozenset(kind for node in self.nodes_of(partitions) for kind in gres_kinds(node.gres))


def read_cluster() -> Cluster:
    """Ask Slurm for everything; some ten milliseconds.

    Raises:
        SlurmUnavailable, SlurmError: it does not answer.
    """
    accounting = "slurmdbd" in _asked("scontrol", "show", "config").get("AccountingStorageType", "")
    return Cluster(
        partitions={each.name: each for each in _partitions()},
        nodes=tuple(_nodes()),
        licenses={
            words["LicenseName"]: int(words.get("Total", 0))
            for words in _records("scontrol", "--oneliner", "show", "licenses")
            if "LicenseName" in words
        },
        reservations=frozenset(
            words["ReservationName"]
            for words in _records("scontrol", "--oneliner", "show", "reservations")
            if "ReservationName" in words
        ),
        accounts=_associations("account") if accounting else None,
        qos=_associations("qos") if accounting else None,
    )


def configuration_file() -> Path | None:
    """The slurm.conf that Slurm's commands read; None where they fetch it from the controller."""
    if named := os.environ.get("SLURM_CONF"):
        return Path(named)
    found = Path("/etc/slurm/slurm.conf")
    return found if found.exists() else None


def gres_kinds(words: str) -> Iterator[str]:
    """``qpu:ion:2(S:0),gpu:1`` as qpu, qpu:ion, gpu.

    >>> list(gres_kinds("qpu:ion:2(S:0),gpu:1"))
    ['qpu', 'qpu:ion', 'gpu']
    """
    for word in re.sub(r"\(.*?\)", "", words).split(","):
        name, *rest = word.split(":")
        if name and name != "null":
            yield name
            if rest and not re.fullmatch(r"[\d.]+[KMGT]?", rest[0]):
                yield f"{name}:{rest[0]}"


def minutes(clock: str) -> float | None:
    """A time as Slurm shows it in minutes; None for no limit.

    >>> minutes("1-12:00:00"), minutes("UNLIMITED")
    (2160.0, None)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", clock)
    if not found:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in found.groups())
    return days * 1440 + hours * 60 + mins + seconds / 60


def _partitions() -> Iterator[Partition]:
    for words in _records("scontrol", "--oneliner", "show", "partitions"):
        if "PartitionName" in words:
            limit = minutes(words.get("MaxTime", ""))
            yield Partition(words["PartitionName"], words.get("State", ""), limit, words.get("Default") == "YES")


def _nodes() -> Iterator[Node]:
    for line in ask("sinfo", "--noheader", "--Node", "--format=%N|%R|%T|%G|%E", timeout_s=PATIENCE_S).splitlines():
        yield Node(*(part.strip() for part in (line.split("|", 4) + [""] * 5)[:5]))


def _associations(kind: str) -> frozenset[str] | None:
    """My accounts or qualities of service; None if the accounting does not answer."""
    words = ("sacctmgr", "--noheader", "--parsable2", "show", "association", f"user={user()}", f"format={kind}")
    try:
        lines = ask(*words, timeout_s=PATIENCE_S).splitlines()
    except SlurmError:
        return None
    return frozenset(word for line in lines for word in line.split(",") if word)


def _records(*command: str) -> Iterator[dict[str, str]]:
    """Each line of ``scontrol --oneliner`` as its words; nothing to tell is no record."""
    for line in _told(*command).splitlines():
        yield dict(re.findall(r"(\w+)=(\S*)", line))


def _asked(*command: str) -> dict[str, str]:
    """``scontrol show config``: one fact a line."""
    return dict(re.findall(r"^(\w+)\s*= (.*)$", _told(*command), re.MULTILINE))


def _told(*command: str) -> str:
    try:
        return ask(*command, timeout_s=PATIENCE_S)
    except SlurmUnavailable:
        raise
    except SlurmError as error:
        if "No licenses" in str(error) or "No reservations" in str(error):
            return ""
        raise
