"""What a site file may contain: TOML text in, checked values out.

The format is data. `FORMAT` says which keys a table has, and everything that reads, checks or explains a site file
goes by it; a new kind of machine adds rows there. All mistakes of a file are reported at once, each with its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .selector import NAME
from .toml_lines import KeyPath, dotted, line_of

MOST = 20  # mistakes that are reported; somebody who made more mistook the file

Problem = tuple[KeyPath, str]

_TYPES: dict[str, type] = {"text": str, "whole number": int, "list of text": list, "table": dict}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


@dataclass(frozen=True)
class Key:
    """One value of a site file: its type, its limits, and a line for the documentation."""

    kind: str
    about: str
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    names: bool = False  # every text is a name that selectors can use
    low: int = 1
    high: int = 10**9

    def check(self, path: KeyPath, value: object) -> Iterator[Problem]:
        if type(value) is not _TYPES[self.kind]:  # bool is an int to Python, not to the administrator
            article = "" if self.kind == "text" else "a "
            yield path, f"must be {article}{self.kind}, not {_show(value)}."
        elif isinstance(value, int) and not self.low <= value <= self.high:
            yield path, f"must be from {self.low} to {self.high:,}, not {value}."
        elif isinstance(value, str):
            yield from self._check_text(path, value)
        elif isinstance(value, list):
            for item in value:
                if not isinstance(item, str):
                    yield path, f"must be a list of text, and {_show(item)} is not text."
                else:
                    yield from self._check_text(path, item)

    def _check_text(self, path: KeyPath, text: str) -> Iterator[Problem]:
        if self.choices and text not in self.choices:
            yield path, f"must be one of {_quote(self.choices)}, not {text!r}.{did_you_mean(text, self.choices)}"
        elif self.names and not NAME.fullmatch(text):
            yield path, f"{text!r} is not a name. {_NAME_RULE}"
        elif not text.strip() or not text.isprintable():
            yield path, f"must be printable text, not {text!r}."


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


_NAME_RULE = "A name starts with a letter and goes on with letters, digits, '_', '.' and '-'."

QPU_TABLE = Table(
    "one QPU, or a simulator in its place",
    {
        "driver": Key("text", "who opens it: a driver that 'conqure doctor' lists", required=True),
        "qubits": Key("whole number", "the largest circuit it takes", required=True, high=100_000),
        "slots": Key("whole number", "tasks it accepts at the same time; 1 for real hardware", default="1", high=1024),
        "tags": Key("list of text", "words that selectors ask for: --device tag:WORD", default="none", names=True),
        "max_shots": Key("whole number", "the most repetitions of one circuit", default="10,000,000"),
        "reach": Key("text", "how it is reached", default="local", choices=("local",)),
        "options": Key("table", "keyword arguments of the driver", default="none"),
    },
)

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
    found = sorted(((line_of(text, path), path, problem) for path, problem in problems[:MOST]), key=lambda m: m[0] or 0)
    more = [f"… and {len(problems) - MOST} more."] if len(problems) > MOST else []
    return [
        f"{source}{f', line {line}' if line else ''}: {repr(dotted(path)) if path else 'the file'} {problem}"
        for line, path, problem in found
    ] + more


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
