"""Whether Slurm knows what a site says of its groups and their QPUs, and whether their nodes can be used now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qpu_executors.device import QPU
from qpu_executors.group import Group
from qpu_executors.site import Site
from qpu_executors.slurm.blame import QPU_GRES, QPU_LICENSE, where

from .cluster import Cluster, Partition, gres_kinds
from .doctor import FAILED, NOTE, OK, Check

TOPIC = "slurm"
Mistake = tuple[str, str]  # what is wrong, and what to change


def check_group(site: Site, group: Group, cluster: Cluster) -> Iterator[Check]:
    """A group and its QPUs: what Slurm does not know or allow and the line to change; what cannot be used now."""
    wrong = list(mistakes(site, group, cluster))
    for detail, fix in wrong:
        yield Check(TOPIC, group.name, FAILED, detail, fix)
    if wrong:
        return
    partitions = cluster.named(group.partition)
    limits = [each.max_minutes for each in partitions]
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    allowed = f"at most {_clock(longest)}" if longest else "no limit"
    yield Check(TOPIC, group.name, OK, f"partition {_names(partitions)}, walltime {group.walltime} ({allowed})")
    for detail, fix in states(group, cluster):
        yield Check(TOPIC, group.name, NOTE, detail, fix)


def mistakes(site: Site, group: Group, cluster: Cluster) -> Iterator[Mistake]:
    """What no job of this group would get past."""
    unknown = [name for name in group.partition.split(",") if name and name not in cluster.partitions]
    partitions = cluster.named(group.partition)
    if unknown or not partitions:
        what = f"partition {unknown[0]!r}" if unknown else "default partition"
        known = f"Partitions: {_list(cluster.partitions)}"
        yield f"Slurm has no {what}. {known}", f"Change {where(site.path, group, 'partition')}"
        return
    yield from _too_long(site, group, partitions)
    yield from _unknown_names(site, group, cluster)
    yield from _unknown_gres(site, group, cluster, partitions)
    yield from _unknown_licenses(site, group, cluster)


def states(group: Group, cluster: Cluster) -> Iterator[Mistake]:
    """Closed partitions, and nodes that are drained or down: true today, and no mistake of the file."""
    partitions = cluster.named(group.partition)
    for each in partitions:
        if each.state != "UP":
            yield f"partition {each.name} is {each.state}, so its jobs wait", "Ask your administrator"
    nodes = list({node.name: node for node in cluster.nodes_of(partitions)}.values())
    if out := [node.describe() for node in nodes if not node.usable]:
        named = ", ".join(out[:4]) + (f" and {len(out) - 4} more" if len(out) > 4 else "")
        yield f"{len(nodes) - len(out)} of {len(nodes)} nodes can be used: {named}", "See why: sinfo --list-reasons"


def unusable_nodes(group: Group, qpu: QPU | None, cluster: Cluster) -> list[str]:
    """The nodes that a job needs, as sentences, if Slurm starts nothing on any of them now."""
    nodes = cluster.nodes_of(cluster.named(group.partition))
    if qpu and qpu.reach == "gres":
        wanted = set(gres_kinds(qpu.resource))
        nodes = [node for node in nodes if wanted <= set(gres_kinds(node.gres))]
    if any(node.usable for node in nodes):
        return []
    return list(dict.fromkeys(node.describe() for node in nodes))


def _too_long(site: Site, group: Group, partitions: list[Partition]) -> Iterator[Mistake]:
    limits = [each.max_minutes for each in partitions]
    longest = max(float("inf") if limit is None else limit for limit in limits)
    if group.minutes > longest:
        detail = f"walltime {group.walltime} is longer than the {_clock(longest)} of partition {_names(partitions)}"
        yield detail, f"Shorten {where(site.path, group, 'walltime')}"


def _unknown_names(site: Site, group: Group, cluster: Cluster) -> Iterator[Mistake]:
    for key, what, known in (
        ("reservation", "Slurm has no reservation", cluster.reservations),
        ("account", "you have no account", cluster.accounts),
        ("qos", "you have no QOS", cluster.qos),
    ):
        name = getattr(group, key)
        if name and known is not None and name not in known:
            yield f"{what} {name!r}. There are: {_list(known)}", f"Change {where(site.path, group, key)}"


def _unknown_gres(site: Site, group: Group, cluster: Cluster, partitions: list[Partition]) -> Iterator[Mistake]:
    known = cluster.gres_of(partitions)
    held = [(qpu.resource, qpu) for qpu in site.qpus_of(group.name) if qpu.reach == "gres"]
    for words, qpu in [(group.gres, None), *held]:
        if lacking := [kind for kind in gres_kinds(words) if kind not in known]:
            detail = (
                f"no node of partition {_names(partitions)} has the GRES {lacking[-1]!r}. They have: {_list(known)}"
            )
            key = QPU_GRES if qpu else "gres"
            yield detail, f"Change {where(site.path, group, key, 'partition', qpu=qpu)}"


def _unknown_licenses(site: Site, group: Group, cluster: Cluster) -> Iterator[Mistake]:
    held = [(qpu.resource, qpu) for qpu in site.qpus_of(group.name) if qpu.reach == "license"]
    for words, qpu in [*((word, None) for word in group.licenses), *held]:
        name, _, count = words.partition(":")
        place = where(site.path, group, QPU_LICENSE if qpu else "licenses", qpu=qpu)
        if name not in cluster.licenses:
            yield f"Slurm has no licence {name!r}. Licences: {_list(cluster.licenses)}", f"Change {place}"
        elif (wanted := int(count or 1)) > cluster.licenses[name]:
            yield (
                f"a job asks for {wanted} licences {name!r}, and there are {cluster.licenses[name]}",
                f"Change {place}",
            )


def _names(partitions: list[Partition]) -> str:
    return ",".join(each.name for each in partitions)


def _clock(minutes: float) -> str:
    seconds = round(minutes * 60)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
