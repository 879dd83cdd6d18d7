"""``conqure devices``: the QPUs of a site, and the devices of a cloud queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import drain, queue_devices
from .arguments import DeviceArgument, JSONOption, SiteOption
from .output import print_json, print_table

if TYPE_CHECKING:
    from qpu_executors.device import QPU

    from ..availability import Availability

_LIST = "list"


class _ListsByDefault(TyperGroup):
    """``conqure devices tag:ion`` is ``conqure devices list tag:ion``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ListsByDefault,
    help="""List the QPUs of a site, drain and resume them, or register the devices of a cloud queue.

    \b
    Examples:
      conqure devices
      conqure devices drain ion0 --message "calibration"
      conqure devices 'tag:ion,qubits>=5'
      conqure devices add ion0 --qubits 11 --credentials ion0.json
    """,
)


@app.command(_LIST)
def devices(
    selector: DeviceArgument = "any",
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Load each driver and ask its QPU; one that no job holds is opened. Exit code 1: not all can be used.",
        ),
    ] = False,
    site: SiteOption = None,
    json: JSONOption = False,
) -> None:
    """List the QPUs of a site, or those that a selector fits; the word 'list' may be left out.

    STATE is what can be told without touching a QPU: installed, in jobs (a job of Slurm opens it), drained, or missing;
    the lines below the table say what to do. With --check: ready, or unreachable.

    \b
    Examples:
      conqure devices
      conqure devices 'tag:ion,qubits>=5'
      conqure devices ion0 --check
      conqure devices --site laptop --json
    """
    from qpu_executors.site import Site

    from ..availability import glance, look

    loaded = Site.load(site).only(selector)
    found = {qpu.device_id: look(qpu) if check else glance(qpu) for qpu in loaded.qpus}
    if json:
        described = loaded.describe()["qpus"]
        print_json(
            [table | _as_json(qpu, found[qpu.device_id]) for table, qpu in zip(described, loaded.qpus, strict=True)]
        )
    else:
        _print(loaded.qpus, found)
    if check and not all(each.usable for each in found.values()):
        raise typer.Exit(1)


def _print(qpus: tuple[QPU, ...], found: dict[str, Availability]) -> None:
    print_table(
        ["device", "driver", "qubits", "slots", "reach", "state", "tags"],
        [
            [q.device_id, q.driver, q.n_qubits, q.slots, q.reach, found[q.device_id].state, " ".join(q.tags)]
            for q in qpus
        ],
        right=["qubits", "slots"],
    )
    for name, each in found.items():
        if not each.usable:
            todo = "".join(f"\n  {fix}" for fix in each.fixes)
            typer.echo(f"{name} is {each.state}: {each.detail}.{todo}", err=True)


def _as_json(qpu: QPU, found: Availability) -> dict[str, Any]:
    from dataclasses import asdict

    from qpu_executors.draining import drained
    from qpu_executors.registry import installed_drivers

    drain = drained(qpu)
    return {
        "driver_installed": qpu.driver in installed_drivers(),
        "state": found.state,
        "usable": found.usable,
        "detail": found.detail,
        "fixes": list(found.fixes),
        "about": found.about,
        "drained": asdict(drain) if drain else None,
    }


app.command("drain")(drain.drain)
app.command("resume")(drain.resume)
app.command("add")(queue_devices.add)
app.command("secret")(queue_devices.secret)
app.command("remove")(queue_devices.remove)
