"""``conqure why``: what waits, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import JSONOption
from .output import paint, print_json

if TYPE_CHECKING:
    from ..why import Program


def why(
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOBID", help="A job of Slurm; by default all your programs.", show_default=False),
    ] = None,
    json: JSONOption = False,
) -> None:
    """Say why tasks wait: for each of your programs on this machine, or for one job of Slurm.

    \b
    Examples:
      conqure why
      conqure why 4711
      conqure why --json | jq '.[].waits'
    """
    from ..why import why as programs
    from ..why import why_job

    if job:
        said = why_job(job)
        print_json({"job_id": job, "reason": said}) if json else typer.echo(said)
        return
    found = programs()
    if json:
        print_json([program.describe() for program in found])
        return
    for program in found:
        _print(program)
    if not found:
        typer.echo(
            "None of your programs on this machine has jobs of Slurm. For a job that you know: conqure why JOBID; "
            "for all your jobs: squeue --me"
        )


def _print(program: Program) -> None:
    head = f"{program.command} (process {program.pid}, {program.engine}, site {program.site})"
    typer.echo(paint(head, bold=True))
    for wait in program.waits:
        typer.echo(f"  {wait.sentence}")
        if wait.next_step:
            typer.echo(f"            {wait.next_step}")
    if not program.waits:
        typer.echo(f"  Nothing waits. Jobs: {', '.join(job.job_id for job in program.jobs) or 'none'}.")
