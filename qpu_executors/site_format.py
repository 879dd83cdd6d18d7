"""What a site file may contain: TOML text in, checked values out.

The format is data. `FORMAT` says which keys a table has, and everything that reads, checks or explains a site file
goes by it; a new kind of machine adds rows there. All mistakes of a file are reported at once, each with its line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .selector import NAME
from .toml_lines import KeyPath, dotted, line_of

MOST = 20  # mistakes that are reported; somebody who made more mistook the file

Problem = tuple[KeyPath, str]

_TYPES: dict[str, type] = {
    "text": str,
    "whole number": int,
    "true or false": bool,
    "list of text": list,
    "table": dict,
    "table of text": dict,
}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


@dataclass(frozen=True)
class Key:
    """One value of a site file: its type, its limits, and a line for the documentation."""

    kind: str
    about: str
    default: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    names: bool = False  # every text is a name that selectors can use
    pattern: str = ""  # what every text must look like; a named group of regular expressions, see `_PATTERNS`
    low: int = 1
    high: int = 10**9

    def check(self, path: KeyPath, value: object) -> Iterator[Problem]:
        if type(value) is not _TYPES[self.kind]:  # bool is an int to Python, not to the administrator
            article = "" if self.kind in ("text", "true or false") else "a "
            yield path, f"must be {article}{self.kind}, not {_show(value)}."
        elif type(value) is int and not self.low <= value <= self.high:
            yield path, f"must be from {self.low} to {self.high:,}, not {value}."
        elif isinstance(value, str):
            yield from self._check_text(path, value)
        elif isinstance(value, list) or self.kind == "table of text":
            for item in value.values() if isinstance(value, dict) else value:  # type: ignore[attr-defined]
                if not isinstance(item, str):
                    yield path, f"must be a {self.kind}, and {_show(item)} is not text."
                else:
                    yield from self._check_text(path, item)

    def _check_text(self, path: KeyPath, text: str) -> Iterator[Problem]:
        if self.choices and text not in self.choices:
            yield path, f"must be one of {_quote(self.choices)}, not {text!r}.{did_you_mean(text, self.choices)}"
        elif self.names and not NAME.fullmatch(text):
            yield path, f"{text!r} is not a name. {_NAME_RULE}"
        elif not text.strip() or not text.isprintable():
            yield path, f"must be printable text, not {text!r}."
        elif self.pattern and not re.fullmatch(_PATTERNS[self.pattern], text):
            yield path, f"must be {self.pattern}, not {text!r}."


@dataclass(frozen=True)
class Table:
    """A table with a fixed set of keys."""

    about: str
    keys: Mapping[str, Key | Table | Named]
    required: bool = False

    def check(self, path: KeyPath, value: object) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield path, f"must be a table, not {_show(value)}. Write it as [{dotted(path)}]."
            return
        for name, item in value.items():
            if name in self.keys:
                yield from self.keys[name].check((*path, name), item)
            else:
                hint = did_you_mean(name, self.keys) + _unquoted_dot(path, item)
                yield (*path, name), f"is unknown.{hint} {self._allowed(path)}"
        for name, key in self.keys.items():
            if key.required and name not in value:
                yield path, f"lacks {name!r} ({key.about})."

    def _allowed(self, path: KeyPath) -> str:
        where = f"in [{dotted(path)}]" if path else "at the top"
        return f"Allowed {where}: {', '.join(sorted(self.keys))}."


@dataclass(frozen=True)
class Named:
    """A family of tables, ``[qpu.NAME]``, each with the same keys."""

    about: str
    each: Table
    required: bool = False
    reserved: tuple[str, ...] = ()

    def check(self, path: KeyPath, value: object) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield path, f"must be tables, not {_show(value)}. Write each as [{dotted(path)}.NAME]."
            return
        if self.required and not value:
            yield path, f"is empty. Write at least one table [{dotted(path)}.NAME]."
        for name, item in value.items():
            if not NAME.fullmatch(name):
                yield (*path, name), f"is not a usable name. {_NAME_RULE}"
            elif name in self.reserved:
                yield (*path, name), f"is not a usable name: {name!r} has a meaning of its own in a selector."
            else:
                yield from self.each.check((*path, name), item)


# What a text must look like, by the words that the error says.
_PATTERNS = {
    "a time as Slurm writes it: MINUTES, HH:MM:SS or D-HH:MM:SS": r"\d+|(\d+-)?\d{1,2}:\d\d:\d\d|\d+-\d{1,2}",
    "a size like 500M, 4G or 4GiB": r"\d+(\.\d+)?\s*([KMGT](i?B)?)?",
    "an option of sbatch like --comment=text": r"-{1,2}[A-Za-z][\w-]*([= ].+)?",
    "one word, without spaces": r"\S+",
    "NAME or NAME=WORD, about a variable of the job": r"[A-Za-z_]\w*(=\S+)?",
    "the absolute path of a folder, $VARIABLES allowed": r"[/~$].*",
}
_TIME, _SIZE, _OPTION, _WORD, _VARIABLE, _FOLDER = _PATTERNS

_NAME_RULE = "A name starts with a letter and goes on with letters, digits, '_', '.' and '-'."

REACHES = ("local", "gres", "license", "partition", "network", "queue")

QPU_TABLE = Table(
    "one QPU, or a simulator in its place",
    {
        "driver": Key("text", "who opens it: a driver that 'conqure doctor' lists", required=True),
        "qubits": Key("whole number", "the largest circuit it takes", required=True, high=100_000),
        "slots": Key("whole number", "tasks it accepts at the same time; 1 for real hardware", default="1", high=1024),
        "tags": Key("list of text", "words that selectors ask for: --device tag:WORD", default="none", names=True),
        "max_shots": Key("whole number", "the most repetitions of one circuit", default="10,000,000"),
        "reach": Key("text", "how it is reached", default="local", choices=REACHES),
        "group": Key("text", "the group whose jobs hold it; required for gres, license and partition", names=True),
        "resource": Key(
            "text",
            "what a job asks Slurm for to hold it: a GRES like qpu:ion:1, or a licence like cloud:1 for each slot",
            default="none",
            pattern=_WORD,
        ),
        "directives": Key("list of text", "options of sbatch for its jobs, like --qpu=ion_a", "none", pattern=_OPTION),
        "expects": Key(
            "text",
            "a variable that its job must have, NAME or NAME=WORD; without it the QPU is not opened",
            default="none",
            pattern=_VARIABLE,
        ),
        "failover": Key(
            "list of text",
            "QPUs that stand in for it while it is offline, also for tasks that name it; each as large or larger",
            default="none",
            names=True,
        ),
        "options": Key("table", "keyword arguments of the driver", default="none"),
    },
)

GROUP_KEYS = {
    "partition": Key("text", "the partition, or several with commas", "Slurm's default", pattern=_WORD),
    "account": Key("text", "who pays", "yours", pattern=_WORD),
    "qos": Key("text", "the quality of service", "Slurm's default", pattern=_WORD),
    "reservation": Key("text", "a reservation to run in", "none", pattern=_WORD),
    "constraint": Key("text", "features that the nodes must have", "none", pattern=_WORD),
    "gres": Key("text", "further GRES of each node, like gpu:1", "none", pattern=_WORD),
    "licenses": Key("list of text", "further licences, like matlab:1", "none", pattern=_WORD),
    "exclusive": Key("true or false", "whole nodes, shared with nobody", "false"),
    "nodes": Key("whole number", "nodes of a job", "1", high=100_000),
    "cores": Key("whole number", "cores of a node", "1 for each worker", high=4096),
    "memory": Key("text", "memory of a node", "Slurm's default", pattern=_SIZE),
    "walltime": Key("text", "the longest a job runs", "00:30:00", pattern=_TIME),
    "workers": Key("whole number", "classical workers on a node; QPUs have as many as slots", "1", high=4096),
    "jobs": Key(
        "whole number",
        "jobs at the same time, at most; a QPU has one, with licences one for each slot",
        "1",
        high=100_000,
    ),
    "min_jobs": Key("whole number", "jobs that are kept when there is nothing to do", "0", low=0, high=100_000),
    "idle_s": Key("whole number", "seconds without work after which a job is given back", "30", high=10**6),
    "mpi": Key("true or false", "tasks of this group are MPI programs, started by srun over the job's nodes", "false"),
    "modules": Key("list of text", "modules to load", "none", pattern=_WORD),
    "environment": Key("table of text", "variables to set", "none"),
    "lines": Key("list of text", "lines of shell, before the workers start", "none"),
    "directives": Key("list of text", "further options of sbatch, like --comment=text", "none", pattern=_OPTION),
    "interface": Key("text", "the network interface between the nodes, like ib0", "any", pattern=_WORD),
    "shared": Key("text", "a folder that all nodes and the login node see", "~/.cache/conqure", pattern=_FOLDER),
    "scratch": Key("text", "a fast folder of each node", "$TMPDIR", pattern=_FOLDER),
}

FORMAT = Table(
    "the whole file",
    {
        "name": Key("text", "what the site is called", default="the file's name", names=True),
        "description": Key("text", "one line for 'conqure sites list'", default="none"),
        "qpu": Named("the QPUs", QPU_TABLE, required=True, reserved=("any",)),
        "cpu": Table(
            "where classical work runs",
            {"workers": Key("whole number", "classical tasks at the same time", default="the cores", high=100_000)},
        ),
        "slurm": Table("what holds for the jobs of all groups, unless a group says otherwise", GROUP_KEYS),
        "group": Named("groups of workers that Slurm starts", Table("one kind of job", GROUP_KEYS)),
        "queue": Table(
            "the cloud queue of this site",
            {
                "url": Key("text", "where its service answers, like https://queue.lab.example", pattern=_WORD),
                "listen": Key("text", "where the service listens, HOST:PORT", "127.0.0.1:8585", pattern=_WORD),
                "store": Key("text", "where it keeps its records: a file, or the URL of a database", pattern=_WORD),
                "token_file": Key("text", "the file with the user's token", pattern=_FOLDER),
                "public_url": Key("text", "how clients reach the service, if not where it listens", pattern=_WORD),
                "tls_cert": Key("text", "the service's certificate (PEM), for HTTPS without a proxy", pattern=_FOLDER),
                "tls_key": Key("text", "the certificate's key (PEM)", pattern=_FOLDER),
                "policy": Key(
                    "text",
                    "in which order works run: fifo, or preferences joined by +: same_qubits, near_convergence, "
                    "fair_share",
                    "fifo",
                    pattern=_WORD,
                ),
                "aging_s": Key("whole number", "seconds of waiting that count as one priority more", "3600"),
                "patience_s": Key("whole number", "seconds after which no preference puts a work off", "600"),
                "batch_rows": Key(
                    "whole number", "rows that works of one program may have to run as one task; 0: none", "0", low=0
                ),
                "max_attempts": Key("whole number", "times a work is given out before it ends as lost", "3", high=100),
                "lease_s": Key("whole number", "seconds a claim outlives its dispatcher", "60", low=3, high=86_400),
                "requests_per_minute": Key("whole number", "of one user or device; 0: any number", "12,000", low=0),
                "logins_per_minute": Key(
                    "whole number", "for one account from one address; 0: any number", "10", low=0
                ),
                "max_workload": Key("whole number", "bytes of a workload or of its results", "67,108,864"),
                "keep_days": Key("whole number", "days until a work that ended is forgotten; 0: never", "0", low=0),
                "legacy_done": Key(
                    "true or false",
                    "clients of the AWS interface see DONE and a document about the error for a work that failed, "
                    "since they would wait for ever",
                    "true",
                ),
            },
        ),
        "engine": Table(
            "what runs the tasks when the command does not say",
            {
                "name": Key("text", "the engine", default="threads", choices=("parsl", "dask", "threads")),
                "qpu_mode": Key(
                    "text",
                    "where Parsl's QPU tasks run: threads of the submitting program, workers that hold a QPU each, "
                    "or stock HTEX workers",
                    default="workers",
                    choices=("threads", "workers", "htex"),
                ),
            },
        ),
    },
)


def mistakes(values: Mapping[str, Any], text: str, source: str) -> list[str]:
    """The mistakes, as ``file, line 7: 'qpu.ion0.qbits' is unknown. …``, by their lines; empty for a valid file."""
    problems = list(FORMAT.check((), values))
    problems += [] if problems else list(_misfits(values))
    found = sorted(((line_of(text, path), path, problem) for path, problem in problems[:MOST]), key=lambda m: m[0] or 0)
    more = [f"… and {len(problems) - MOST} more."] if len(problems) > MOST else []
    return [
        f"{source}{f', line {line}' if line else ''}: {repr(dotted(path)) if path else 'the file'} {problem}"
        for line, path, problem in found
    ] + more


def _misfits(values: Mapping[str, Any]) -> Iterator[Problem]:
    """What no single key shows: QPUs and the groups that hold them."""
    groups = values.get("group", {})
    for name, qpu in values["qpu"].items():
        path, reach, group = ("qpu", name), qpu.get("reach", "local"), qpu.get("group")
        if group is not None and group not in groups:
            known = f"Groups: {', '.join(groups)}." if groups else f"Add a table [group.{group}]."
            yield (*path, "group"), f"names no group of this file: {group!r}.{did_you_mean(group, groups)} {known}"
        if reach in ("gres", "license", "partition") and group is None:
            yield path, f'is reached by {reach}, so it needs the group whose jobs hold it: group = "NAME".'
        if reach in ("gres", "license") and "resource" not in qpu:
            example = "qpu:ion:1" if reach == "gres" else "qpu_cloud:1"
            yield path, f'is reached by {reach}, so it needs what a job asks for: resource = "{example}".'
        yield from _misfit_stand_ins(name, qpu, values["qpu"])
        if reach == "local" and group is not None:
            yield (
                (*path, "group"),
                'makes no sense for a QPU of this machine. Write reach = "partition", or leave it out.',
            )
    for name, group in groups.items():
        if group.get("min_jobs", 0) > group.get("jobs", values.get("slurm", {}).get("jobs", 1)):
            yield ("group", name, "min_jobs"), "is more than 'jobs', the most there are."


def _misfit_stand_ins(name: str, qpu: Mapping[str, Any], qpus: Mapping[str, Any]) -> Iterator[Problem]:
    for stand_in in qpu.get("failover", ()):
        path = ("qpu", name, "failover")
        if stand_in not in qpus or stand_in == name:
            others = [other for other in qpus if other != name]
            hint, known = did_you_mean(stand_in, others), ", ".join(others) or "none"
            yield path, f"names no other QPU of this file: {stand_in!r}.{hint} QPUs: {known}."
        elif qpus[stand_in]["qubits"] < qpu["qubits"]:
            yield path, f"names {stand_in!r}, which has fewer qubits than {name!r}; what fits here may not fit there."


def did_you_mean(word: str, known: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """`` Did you mean 'qubits'?`` or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _unquoted_dot(path: KeyPath, item: object) -> str:
    """A likely reason for a table where none belongs: TOML reads [qpu.ion.0] as 0 inside qpu.ion."""
    return f' A name with a dot needs quotes: [{path[0]}."a.b"].' if path and isinstance(item, dict) else ""


def _quote(words: tuple[str, ...]) -> str:
    return ", ".join(map(repr, words))


def _show(value: object) -> str:
    shown = repr(value) if isinstance(value, (str, int, float)) else ""
    return f"{_WORDS.get(type(value), 'a date or time')} {shown}".strip()
