"""How the commands behave as one program: errors as sentences, exit codes, and subcommands that load when used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from qpu_executors.errors import ConqureError

from .output import paint

DEBUG = "--debug"


def exit_code(error: ConqureError) -> int:
    """2 for input that can be corrected, like the shell's usage errors; 1 for everything else."""
    return 2 if isinstance(error, (ValueError, LookupError)) else 1  # what our tree also calls invalid or unknown


def report(error: ConqureError) -> None:
    """Print ``UnknownDevice: no device …`` on standard error."""
    name = paint(type(error).__name__, sys.stderr, fg="red", bold=True)
    typer.echo(f"{name}: {error}", err=True)


class _Reporting:
    """Prints our errors without a traceback, unless ``--debug`` is given."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)  # type: ignore[misc]  # of the command or the group that this is mixed into
        except ConqureError as error:
            if ctx.params.get("debug"):
                raise
            report(error)
            raise typer.Exit(exit_code(error)) from error


class ConqureCommand(_Reporting, TyperCommand):
    """A program of one command."""


class ConqureGroup(_Reporting, TyperGroup):
    """The command ``conqure``: takes ``--debug`` in any place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        if DEBUG in args[:end]:
            args = [DEBUG, *(arg for i, arg in enumerate(args) if arg != DEBUG or i >= end)]
        return super().parse_args(ctx, args)


class LazyCommand(TyperCommand):
    """A command that is only a name and a line of help until it is used."""

    def __init__(self, name: str, help: str, load: Callable[[], Any]) -> None:
        super().__init__(name, help=help, rich_markup_mode=None)
        self._load = load

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self._load().make_context(info_name, args, parent=parent, **extra)
