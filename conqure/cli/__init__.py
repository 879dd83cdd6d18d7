"""The command ``conqure``. Only typer is imported until a command needs more."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from . import device_client, devices, doctor, login, run, serve, sites, store, users, why, work
from .group import DEBUG, ConqureGroup, LazyCommand
from .output import on_terminal

__all__ = ["app", "main"]


def _load_vqe() -> Any:
    from qpu_executors.errors import MissingPackage

    try:
        from conqure.workflows.vqe.cli import app as vqe
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("conqure."):
            raise MissingPackage(
                "this installation has no VQE workflow. Reinstall it: pip install 'conqure[vqe]'"
            ) from error
        raise MissingPackage(
            f"'conqure vqe' needs the package {error.name!r}, which is not installed. "
            "Install what it needs: pip install 'conqure[vqe]'"
        ) from error
    return typer.main.get_command(vqe)


class _Conqure(ConqureGroup):
    """Our commands, and those that live in packages which are imported only when they are used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        vqe = "Run a parallel multi-start VQE: the maximum cut of a graph, or a molecule's energy."
        self.add_command(LazyCommand("vqe", vqe, _load_vqe))


app = typer.Typer(
    name="conqure",
    cls=_Conqure,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    rich_markup_mode="rich" if on_terminal() and on_terminal(sys.stderr) else None,
    pretty_exceptions_enable=False,
)
app.add_typer(sites.app, name="sites")
app.add_typer(work.app, name="work")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(devices.app, name="devices")
app.command("run")(run.run)
app.command("doctor")(doctor.doctor)
app.command("why")(why.why)
app.command("serve")(serve.serve)
app.command("dispatch")(serve.dispatch)
app.add_typer(users.app, name="users")
app.add_typer(store.app, name="store")
app.command("device-client")(device_client.device_client)


def _print_version(wanted: bool) -> None:
    if wanted:
        import conqure

        typer.echo(f"conqure {conqure.__version__}")
        raise typer.Exit


@app.callback()
def _conqure(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Quantum processors as ordinary resources of Parsl and Dask.

    \b
    First steps:
      conqure doctor                             what works here, and what to type to fix the rest
      conqure devices                            the QPUs of this site
      conqure run bell.qasm --shots 1000         one circuit
      conqure vqe maxcut --starts 6              a parallel multi-start VQE
    """


def main() -> None:
    """Run the command line; this is the console script ``conqure``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to fail
    app(prog_name="conqure")
