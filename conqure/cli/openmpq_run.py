"""``openmpq-run``: a pool of QPUs and the bridge to it, as long as a C, C++ or Fortran program runs."""

from __future__ import annotations

import json as json_
import os
import shlex
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import DeviceOption, EngineOption, SiteOption
from .group import DEBUG, ConqureCommand

if TYPE_CHECKING:
    from ..serving import Served

_NOTHING = "no circuit came to this pool. Are the program's quantum regions compiled with openmpq-c++ or its flags?"

app = typer.Typer(name="openmpq-run", rich_markup_mode=None, pretty_exceptions_enable=False)


# What follows the program's name is the program's, also what looks like an option.
@app.command(
    cls=ConqureCommand,
    context_settings={"help_option_names": ["--help", "-h"], "allow_interspersed_args": False},
)
def openmpq_run(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROGRAM [ARGUMENT]...", help="Without one the pool only serves.", show_default=False),
    ] = None,
    site: SiteOption = None,
    engine: EngineOption = None,
    device: DeviceOption = "any",
    ranks: Annotated[
        int | None,
        typer.Option("--ranks", "-n", min=1, help="Start it as so many MPI ranks.", show_default=False),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="unix, unix:/PATH, or tcp:HOST:PORT for other nodes; HOST may be an interface, port 0 is any. "
            "Default: tcp under srun and in jobs of several nodes, else unix.",
            show_default=False,
        ),
    ] = None,
    scripts: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Programs may run the Python scripts in it.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write the summary's figures.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Run a program with quantum regions on the QPUs of a site.

    Opens the QPUs, starts the bridge to them, runs the program with OPENMPQ_POOL set, passes signals on to it, says at
    the end what the QPUs did, and takes everything down. The exit code is the program's, 128 + N if signal N ended it.
    The rest of its environment, OMP_NUM_THREADS and OMP_TARGET_OFFLOAD included, is what you make it.

    Without a program the QPUs serve until Ctrl-C; programs that are started elsewhere join with the line it prints.

    \b
    Examples:
      openmpq-run ./vqe --starts 6                       one process, whose threads share the QPUs
      openmpq-run --site workstation --engine parsl ./vqe
      openmpq-run --device tag:ion --json run.json -- ./vqe -n 7
      openmpq-run -n 4 ./vqe_mpi                         four ranks share them; OPENMPQ_MPIRUN names the launcher
      openmpq-run mpirun -n 4 --bind-to none ./vqe_mpi   the same, with options of your own
      openmpq-run srun -n 64 ./vqe_mpi                   ranks on many nodes: one connection from each node
      openmpq-run --listen tcp:ib0:0 srun ./vqe_mpi      the same, over this network interface
      openmpq-run --scripts ./scripts                    serve only
    """
    from qpu_executors.site import Site

    from ..engines import quickest_engine
    from ..mpi import advice, as_ranks, launcher, where_to_listen
    from ..programs import CannotStart, Program, check_program, hearing
    from ..serving import serving

    if json and not os.access(json.absolute().parent, os.W_OK):
        raise typer.BadParameter(f"{json.absolute().parent} is no folder that you may write to.", param_hint="--json")
    words = command or []
    try:
        if words:
            check_program(words[0])
        chosen = Site.load(site)
        listen = listen or where_to_listen(launcher() if ranks else words, chosen)
        words = as_ranks(ranks, words, listen) if ranks and words else words
        for line in advice(listen):
            _say(line)
        with (
            Program() as program,
            hearing(_leave, [signal.SIGTERM, signal.SIGHUP]),
            serving(chosen, engine or quickest_engine(chosen), device, listen, scripts) as served,
        ):
            code = program.run(words, served.bridge.environment()) if words else _serve_only(served)
            figures = served.tally.figures()
            if json:
                about = {"program": words, "exit_code": code, "site": served.site.name, "engine": served.engine}
                about |= {"connections": served.bridge.n_accepted, "nodes": sorted(served.bridge.nodes)}
                json.write_text(json_.dumps(about | figures, indent=2) + "\n")
            if not quiet:
                idle = words and code == 0 and not figures["tasks"] and not scripts  # of scripts nobody keeps count
                _say(_NOTHING if idle else served.tally.summary())
            raise typer.Exit(code)  # as an exception it ends the pool at once: nobody waits for what is left in it
    except CannotStart as error:
        _say(str(error))
        raise typer.Exit(error.exit_code) from error


def _serve_only(served: Served) -> int:
    """Say how to join, and wait for Ctrl-C or SIGTERM, which here are the proper end."""
    from ..programs import hearing

    ended = threading.Event()
    with hearing(lambda _: ended.set(), [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]):
        _say(
            f"serving {len(served.site.qpus)} QPUs of site {served.site.name} until Ctrl-C. To join, in another shell:"
        )
        for name, value in served.variables().items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        ended.wait()
    return 0


def _leave(number: int) -> None:
    """Before and after the program: end in order."""
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    typer.echo(f"openmpq-run: {text}", err=True)


def main() -> None:
    """Run the command line; this is the console script ``openmpq-run``."""
    app(prog_name="openmpq-run")


if __name__ == "__main__":
    main()
