"""``conqure devices``: the QPUs of a site."""

from __future__ import annotations

import typer

from .arguments import DeviceArgument, JSONOption, SiteOption
from .output import print_json, print_table


def devices(
    selector: DeviceArgument = "any",
    site: SiteOption = None,
    json: JSONOption = False,
) -> None:
    """List the QPUs of a site, or those that a selector fits.

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
