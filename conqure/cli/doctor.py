"""``conqure doctor``: what works here, and what to type to fix the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import JSONOption, SiteOption
from .output import on_terminal, paint, print_json

if TYPE_CHECKING:
    from ..doctor import Check

_COLOURS = {"ok": "green", "absent": "yellow", "note": "yellow", "failed": "red"}
_SIGNS = {"ok": "✓", "absent": "–", "note": "!", "failed": "✗"}


def doctor(
    site: SiteOption = None,
    engines: Annotated[
        bool, typer.Option("--engines", help="Also start each engine, compile a quantum region, and run them.")
    ] = False,
    json: JSONOption = False,
) -> None:
    """Look at all that CONQURE needs here: Python, packages, drivers, site, QPUs, engines, Slurm, OpenMP-Q.

    Each QPU of this machine is opened and runs one tiny circuit; for those that jobs of Slurm hold, see 'conqure
    sites check --probe'. What is missing or broken comes with what to type. The exit code is 1 if something is broken;
    an optional package that is absent, or something that is only odd, is no problem.

    \b
    Examples:
      conqure doctor
      conqure doctor --engines
      conqure doctor --site ./conqure.toml --json
    """
    from ..doctor import examine

    checks = examine(site, engines)
    if json:
        done = list(checks)
        print_json([check.describe() for check in done])
    else:
        done = print_checks(checks)
        typer.echo(_verdict(done))
    if any(check.failed for check in done):
        raise typer.Exit(1)


def print_checks(checks: Iterable[Check]) -> list[Check]:
    """Print checks as they come, grouped by topic; returns them."""
    done: list[Check] = []
    for check in checks:
        if not done or done[-1].topic != check.topic:
            typer.echo(("\n" if done else "") + paint(check.topic, bold=True))
        typer.echo(_line(check))
        if check.fix and check.state != "ok":
            typer.echo("\n".join(f"            {line}" for line in check.fix.splitlines()))
        done.append(check)
    return done


def _line(check: Check) -> str:
    mark = paint(_SIGNS[check.state], fg=_COLOURS[check.state]) if on_terminal() else check.state.ljust(6)
    return f"  {mark}  {check.name.ljust(20)} {check.detail}"


def _verdict(checks: list[Check]) -> str:
    failed = [check.name for check in checks if check.failed]
    absent = [check.name for check in checks if check.state == "absent" and check.topic not in ("packages", "slurm")]
    odd = [check.name for check in checks if check.state == "note"]
    if failed:
        return f"\n{len(failed)} to fix: {', '.join(failed)}."
    rest = f" Not installed: {', '.join(absent)}." if absent else ""
    return f"\nEverything that is installed works.{rest}" + (f" To look at: {', '.join(odd)}." if odd else "")
