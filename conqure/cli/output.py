"""What commands print: tables with rich on a terminal, plain columns in a pipe, JSON for scripts."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import typer

Row = Sequence[object]


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person looks at the output; a pipe or a file gets plain text."""
    stream = stream or sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb" and "utf" in stream.encoding.lower()


def paint(text: str, stream: TextIO | None = None, **style: Any) -> str:
    """Text in colour, or as it is where colours are not seen or not wanted."""
    return typer.style(text, **style) if on_terminal(stream) and "NO_COLOR" not in os.environ else text


def print_json(value: Any) -> None:
    """One JSON document, indented; what JSON lacks (dates, paths) as text."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Row], right: Sequence[str] = ()) -> None:
    """Rows under headings; the columns named in ``right`` are aligned to the right."""
    if on_terminal():
        _print_rich(columns, rows, right)
    else:
        for line in plain_lines(columns, rows, right):
            typer.echo(line)


def plain_lines(columns: Sequence[str], rows: Sequence[Row], right: Sequence[str] = ()) -> list[str]:
    """The table as aligned text, two blanks between columns.

    >>> plain_lines(["device", "qubits"], [["ion0", 7]], right=["qubits"])
    ['DEVICE  QUBITS', 'ion0         7']
    """
    cells = [[column.upper() for column in columns], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    pad = [str.rjust if column in right else str.ljust for column in columns]
    return ["  ".join(pad[i](cell, widths[i]) for i, cell in enumerate(row)).rstrip() for row in cells]


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Lines of ``label  value``, for what there is one of."""
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        typer.echo(f"{paint(label.ljust(width), bold=True)}  {value}")


def bar(share: float, width: int) -> str:
    """A horizontal bar for a share from 0 to 1.

    >>> bar(0.5, 8) if not on_terminal() else "####"
    '####'
    """
    return ("█" if on_terminal() else "#") * round(share * width)


def terminal_width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _print_rich(columns: Sequence[str], rows: Sequence[Row], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    Console().print(table)
