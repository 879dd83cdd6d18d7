"""Which lines of a site file Slurm complains about: its message names an option, the file has the key behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..device import QPU
from ..group import Group
from ..toml_lines import KeyPath, dotted, line_of

# The key `resource` of a QPU that is reached in this way; all other keys here are a group's.
QPU_GRES, QPU_LICENSE = "qpu by gres", "qpu by license"

# What Slurm's words are about: the keys that decide it, the likeliest first. The first row that fits counts.
_ABOUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"account.partition combination", ("account", "partition")),
    (r"accounting/qos policy", ("qos", "account", "walltime", "nodes")),
    (r"\bqos\b", ("qos",)),
    (r"\baccount\b", ("account",)),
    (r"partition name|invalid partition|group not permitted|use of partition", ("partition",)),
    (r"licen[sc]e", (QPU_LICENSE, "licenses")),
    (r"gres|generic resource|tres", (QPU_GRES, "gres")),
    (r"reservation", ("reservation",)),
    (r"feature|constraint", ("constraint",)),
    (r"--time|time limit|time specification|partitiontimelimit", ("walltime",)),
    (r"--mem|memory", ("memory",)),
    (r"node count|partitionnodelimit|--nodes", ("nodes",)),
    (r"processors|cpus? count|cpus-per-task", ("cores", "workers")),
    (r"partition configuration", ("partition", "walltime", "nodes")),
    (r"node configuration|badconstraints",
     (QPU_GRES, QPU_LICENSE, "partition", "gres", "constraint", "memory", "nodes", "cores", "workers")),
)  # fmt: skip


def blame(said: str, group: Group, qpu: QPU | None = None, file: Path | None = None) -> str:
    """Where to change the site after Slurm said something of a job of this group, which holds this QPU.

    >>> blame("sbatch says: Invalid partition name specified", Group("quantum", partition="qantum"))
    "See 'partition' of [group.quantum]."
    """
    keys = _keys(said)
    places = [*_directives(said, group, qpu, file), *_places(keys, group, qpu, file)]
    if not places and keys:
        lacking = next(key for key in keys if key not in (QPU_GRES, QPU_LICENSE))
        return f"The site says nothing about {lacking!r}: add it to [{dotted(('group', group.name))}]{_in(file)}."
    return f"See {_join(places or _tables(group, qpu, file))}{_in(file)}."


def where(file: Path | None, group: Group, *keys: str, qpu: QPU | None = None) -> str:
    """Where the site says these things, for a sentence: ``'group.q.partition' (line 12) in FILE``."""
    return _join(list(_places(keys, group, qpu, file)) or _tables(group, qpu, file)) + _in(file)


def _keys(said: str) -> tuple[str, ...]:
    return next((keys for pattern, keys in _ABOUT if re.search(pattern, said, re.IGNORECASE)), ())


def _directives(said: str, group: Group, qpu: QPU | None, file: Path | None) -> Iterator[str]:
    """Options that the site gives word for word, if the message names one: ``unrecognized option '--qpu=ion_a'``."""
    for path, words in (
        *([(("qpu", qpu.device_id, "directives"), qpu.directives)] if qpu else []),
        (("group", group.name, "directives"), group.directives),
    ):
        for word in words:
            option = re.split(r"[= ]", word.lstrip("-"))[0]
            if re.search(rf"(?<![\w-])-*{re.escape(option)}(?![\w-])", said):
                yield from _place(path, file)
                break


def _places(keys: Iterable[str], group: Group, qpu: QPU | None, file: Path | None) -> Iterator[str]:
    for key in keys:
        if key in (QPU_GRES, QPU_LICENSE):
            if qpu and qpu.resource and key == f"qpu by {qpu.reach}":
                yield from _place(("qpu", qpu.device_id, "resource"), file)
        elif file or getattr(group, key) != getattr(Group(""), key):
            yield from _place(("group", group.name, key), file)


def _place(path: KeyPath, file: Path | None) -> Iterator[str]:
    """The path with its line; what a group does not say itself stands in [slurm]."""
    if file is None:
        yield f"{path[-1]!r} of [{dotted(path[:-1])}]"
        return
    text = _read(file)
    for each in (path, ("slurm", path[-1])) if path[0] == "group" else (path,):
        if (line := line_of(text, each)) is not None:
            yield f"{dotted(each)!r} (line {line})"
            return


def _tables(group: Group, qpu: QPU | None, file: Path | None) -> list[str]:
    """For words that we do not know: the tables that decide what the job asks for."""
    text, found = _read(file) if file else "", []
    for path in (*([("qpu", qpu.device_id)] if qpu else []), ("group", group.name)):
        line = line_of(text, path)
        found.append(f"[{dotted(path)}]" + (f" (line {line})" if line else ""))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # it was there when the site was read
        return ""


def _join(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _in(file: Path | None) -> str:
    return f" in {file}" if file else ""
