"""``conqure devices``: the QPUs of a site, and the devices of a cloud queue."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from . import queue_devices
from .arguments import DeviceArgument, JSONOption, SiteOption
from .output import print_json, print_table

_LIST = "list"


class _ListsByDefault(TyperGroup):
    """``conqure devices tag:ion`` is ``conqure devices list tag:ion``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ListsByDefault,
    help="""List the QPUs of a site, or register the devices of a cloud queue.

    \b
    Examples:
      conqure devices
      conqure devices 'tag:ion,qubits>=5'
      conqure devices add ion0 --qubits 11 --credentials ion0.json
    """,
)


@app.command(_LIST)
def devices(
    selector: DeviceArgument = "any",
    site: SiteOption = None,
    json: JSONOption = False,
) -> None:
    """List the QPUs of a site, or those that a selector fits; the word 'list' may be left out.

    \b
    Examples:
      conqure devices
      conqure devices 'tag:ion,qubits>=5'
      conqure devices --site laptop --json
    """
    from qpu_executors.registry import drivers
    from qpu_executors.site import Site

    loaded = Site.load(site).only(selector)
    installed = drivers()
    if json:
        print_json([qpu | {"driver_installed": qpu["driver"] in installed} for qpu in loaded.describe()["qpus"]])
        return
    print_table(
        ["device", "driver", "qubits", "slots", "reach", "tags"],
        [[q.device_id, q.driver, q.n_qubits, q.slots, q.reach, " ".join(q.tags)] for q in loaded.qpus],
        right=["qubits", "slots"],
    )
    for name in sorted({qpu.driver for qpu in loaded.qpus} - set(installed)):
        typer.echo(f"Driver {name!r} is not installed; 'conqure doctor' lists those that are.", err=True)


app.command("add")(queue_devices.add)
app.command("secret")(queue_devices.secret)
app.command("remove")(queue_devices.remove)
