"""A finished run in the terminal: a table of its starts, and what it adds up to."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .result import Start, VQEResult

Row = list[str]
_SHOWN_JOBS = 6


def print_result(result: VQEResult) -> None:
    """With rich on a terminal, plain columns in a pipe."""
    heads, rows = table(result)
    if sys.stdout.isatty():
        _print_rich(heads, rows, best=result.starts.index(result.best))
    else:
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row in ([head.upper() for head in heads], *rows):
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    for label, value in facts(result):
        print(f"{label:<16} {value}")


def table(result: VQEResult) -> tuple[Row, list[Row]]:
    """Headings and a row per start; columns that no start can fill are left out."""
    heads = [
        "start",
        "evaluations",
        f"energy ({result.problem.unit})",
        "noiseless",
        "most frequent",
        "share",
        "on optimum",
    ]
    rows = [_row(start) for start in result.starts]
    filled = [i for i in range(len(heads)) if any(row[i] != "-" for row in rows)]
    return [heads[i] for i in filled], [[row[i] for i in filled] for row in rows]


def facts(result: VQEResult) -> Iterator[tuple[str, str]]:
    """What there is one of: the solution, how good it is, how busy the machine was."""
    best, unit = result.best, result.problem.unit
    yield "best", f"start {best.start}: energy {best.energy:.4f} ± {best.error:.4f} {unit}"
    if best.bitstring:
        yield "solution", result.solution
    if result.exact is not None:
        yield "exact minimum", f"{result.exact:.7g} {unit} (measured {best.energy - result.exact:+.4f})"
    yield "QPUs", f"{result.n_qpus}, {result.qpu_utilisation:.1%} busy, {len(result.circuits)} circuits"
    yield "CPUs", f"{result.n_cpus}, {result.cpu_utilisation:.1%} busy, {len(result.steps)} optimiser steps"
    yield "time", f"{result.wall_s:.2f} s"
    if result.retries:
        yield "retries", f"{result.retries} after transient failures"
    if result.jobs:
        yield from _slurm_facts(result)


def _slurm_facts(result: VQEResult) -> Iterator[tuple[str, str]]:
    """What the jobs of Slurm cost and brought."""
    total, median = result.queue_s
    yield "queue wait", f"{total:.1f} s of all circuits together, median {median:.2f} s"
    if result.qpu_busy_of_held is not None:
        yield "QPUs held", f"{result.qpu_held_s:.1f} s, {result.qpu_busy_of_held:.1%} of it busy"
    again = sum(circuit.attempts > 1 for circuit in result.circuits)
    if again:
        yield "ran again", f"{again} circuit{'s' * (again > 1)} whose job or worker was lost"
    if len({job.job for job in result.jobs}) == 1:  # the program itself ran in it
        yield "Slurm job", result.jobs[0].job
        return
    names = dict.fromkeys(job.name for job in result.jobs)
    yield "Slurm jobs", "; ".join(f"{name}: {_listed(result, name)}" for name in names)


def _listed(result: VQEResult, name: str) -> str:
    jobs = list(dict.fromkeys(job.job for job in result.jobs if job.name == name))
    more = len(jobs) - _SHOWN_JOBS
    return ", ".join(jobs[:_SHOWN_JOBS]) + (f" and {more} more" if more > 0 else "")


def _row(start: Start) -> Row:
    return [
        str(start.start),
        str(start.evaluations),
        f"{start.energy:.4f} ± {start.error:.4f}",
        "-" if start.noiseless is None else f"{start.noiseless:.4f}",
        start.bitstring or "-",
        "-" if start.share is None else f"{start.share:.1%}",
        "-" if start.mass is None else f"{start.mass:.1%}",
    ]


def _print_rich(heads: Row, rows: list[Row], best: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for head in heads:
        shown.add_column(head, justify="right")
    for number, row in enumerate(rows):
        shown.add_row(*row, style="bold green" if number == best else "")
    Console().print(shown)
