"""``python -m benchmarks [NAME …] [--json FILE] [--plot DIR]``: run, print the figures, say which goals are met."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .harness import Measure, figure

# name -> module with ``measures() -> dict[str, Callable[[], Iterable[Measure]]]``
BENCHMARKS = {name: f"benchmarks.{name}" for name in ("waist", "openmpq", "slurm", "queue", "interop")}


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    parts = {
        f"{name}.{part}": call
        for name in options.name or BENCHMARKS
        for part, call in import_module(BENCHMARKS[name]).measures().items()
        if not options.only or part in options.only
    }
    if options.list or not parts:
        print("\n".join(parts) or f"no such part: {options.only}; see --list")
        return 0 if options.list else 2
    results = list(_run(parts))
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(), "measures": [m.as_json() for m in results]}, indent=1)
        )
    if options.markdown:
        options.markdown.write_text(_table(results))
    if options.plot:
        from .plot import draw

        print(f"drawn: {draw(results, options.plot)}")
    missed = sum(result.met is False for result in results)
    print(f"\n{len(results)} measures, {sum(r.met is True for r in results)} goals met, {missed} missed")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*BENCHMARKS, []], help="default: all")
    parser.add_argument("--only", nargs="+", metavar="PART", help="parts of a benchmark, see --list")
    parser.add_argument("--list", action="store_true", help="list the parts and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table of the README")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw figure against goal")
    return parser


def _run(parts: dict[str, Callable[[], Any]]) -> Iterator[Measure]:
    print(f"{machine()}\n")
    for name, part in parts.items():
        started = time.perf_counter()
        print(f"{name} …", file=sys.stderr, flush=True)
        for result in part():
            print(_line(result), flush=True)
            yield result
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def _line(result: Measure) -> str:
    goal = f"goal {result.goal[0]} {result.goal[1]:g}: " if result.goal else "reported"
    met = {True: "met", False: "MISSED", None: ""}[result.met]
    against = f" against {result.compared_with}" if result.compared_with else ""
    median, low, high = map(figure, (result.median, result.lower_quartile, result.upper_quartile))
    line = f"* {result.name}{against}\n    {median} {result.unit} ({low} to {high})   {goal}{met}"
    return line + (f"\n    {result.note}" if result.note else "")


def _table(results: list[Measure]) -> str:
    """One row per measure: figure (quartiles), goal, and whether it is met."""
    rows = ["| measure | here | goal | |", "|---|---|---|---|"]
    for result in results:
        median, low, high = map(figure, (result.median, result.lower_quartile, result.upper_quartile))
        goal = (
            f"{'at most' if result.goal[0] == '<=' else 'at least'} {result.goal[1]:g}" if result.goal else "reported"
        )
        met = {True: "met", False: "**missed**", None: ""}[result.met]
        against = f", against {result.compared_with}" if result.compared_with else ""
        rows.append(f"| {result.name}{against} | {median} {result.unit} ({low} to {high}) | {goal} | {met} |")
    return "\n".join([*rows, "", f"{machine()}.", ""])


def machine() -> str:
    """One line about where and with what the figures were made."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("parsl", "distributed", "qiskit-aer", "pennylane", "numpy")
    )
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the start; {packages}"


if __name__ == "__main__":
    sys.exit(main())
