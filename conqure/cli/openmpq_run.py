"""``openmpq-run``: a pool of QPUs, the bridge to it, and a C, C++ or Fortran program that uses them."""

from __future__ import annotations

import contextlib
import json as json_
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import SiteOption, offer_engines
from .group import DEBUG, ConqureCommand

if TYPE_CHECKING:
    from openmpq_runtime.tally import Tally

app = typer.Typer(
    name="openmpq-run",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


# Options after the program's name are the program's.
@app.command(
    cls=ConqureCommand,
    context_settings={"help_option_names": ["--help", "-h"], "allow_interspersed_args": False},
)
def run(
    program: Annotated[
        list[str] | None, typer.Argument(metavar="PROGRAM [ARGUMENTS...]", help="None: serve only.", show_default=False)
    ] = None,
    site: SiteOption = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            "-e",
            metavar="ENGINE",
            help="What runs circuits: threads, parsl or dask.",
            autocompletion=offer_engines,
        ),
    ] = "threads",
    ranks: Annotated[
        int | None,
        typer.Option("--ranks", "-n", min=1, help="Start it so often, with mpirun or srun.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", metavar="SELECTOR", help="Use these QPUs only.")] = "any",
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where the bridge listens: unix[:PATH], tcp[:HOST:PORT].")
    ] = "unix",
    scripts: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Allow the Python scripts in it.", show_default=False, exists=True, file_okay=False
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary's figures.", show_default=False)
    ] = None,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Run a program with quantum regions on the QPUs of a site.

    Opens the site's QPUs, starts the bridge, runs the program with OPENMPQ_POOL set, hands signals on to it, ends with
    its exit code, and says at the end what the QPUs did. Without a program it only serves, until Ctrl-C: programs
    that are started elsewhere join with the variables it prints. OMP_NUM_THREADS is left as it is.

    \b
    Examples:
      openmpq-run ./vqe --starts 6                       one process, its threads share the QPUs of the site
      openmpq-run --site workstation --engine parsl ./vqe
      openmpq-run -n 4 ./vqe_mpi                         four ranks (OPENMPQ_MPIRUN names the launcher)
      openmpq-run mpirun -n 4 --oversubscribe ./vqe_mpi  the same, with options of your own
      openmpq-run --listen tcp:node17:0 srun ./vqe_mpi   ranks on other nodes; they prove a token
      openmpq-run                                        serve only
    """
    from ..programs import CannotStart, command_for, run_program

    def use(environment: dict[str, str]) -> int:
        return run_program(command, environment) if command else _wait(environment)

    try:
        command = command_for(program, ranks) if program else []
        tally, code = _serve(site, engine, device, listen, scripts, use)
    except CannotStart as error:  # with the exit code that a shell has for it
        typer.echo(f"openmpq-run: {error}", err=True)
        raise typer.Exit(error.code) from error
    if not quiet:
        typer.echo(f"openmpq-run: {tally.summary()}", err=True)
    if json is not None:
        json.write_text(json_.dumps(tally.figures() | {"exit_code": code}, indent=1) + "\n")
    raise typer.Exit(code)


def _serve(
    site: str | None, engine: str, device: str, listen: str, scripts: Path | None, use: Callable[[dict[str, str]], int]
) -> tuple[Tally, int]:
    """Open the pool and the bridge, and use them; what passed, and the exit code."""
    from openmpq_runtime.bridge import serve
    from openmpq_runtime.tally import Tally
    from qpu_executors.site import Site

    from ..engines import open_engine

    with open_engine(engine, Site.load(site).only(device)) as opened:
        tally = Tally(opened.qpus.qpus)  # type: ignore[attr-defined]
        with serve(opened.qpus, listen, scripts=scripts, observers=[tally]) as bridge:
            return tally, use(bridge.environment())


def _wait(environment: dict[str, str]) -> int:
    """Say how to join, and serve until Ctrl-C or SIGTERM."""
    typer.echo("serving; programs join with:")
    for name in ("OPENMPQ_POOL", "OPENMPQ_TOKEN_FILE"):
        if name in environment:
            typer.echo(f"  export {name}={environment[name]}")
    typer.echo("Ctrl-C ends it.")
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()
    return 0


def main() -> None:
    """The console script ``openmpq-run``."""
    app(prog_name="openmpq-run")


if __name__ == "__main__":
    main()
