"""``conqure devices``: the QPUs of a site."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import print_json, print_table
from .sites import JSONOption

SiteOption = Annotated[
    str | None,
    typer.Option(
        "--site", "-s", metavar="NAME|FILE", help="The site; by default the one used here.", show_default=False
    ),
]


def devices(
    selector: Annotated[
        str,
        typer.Argument(metavar="[SELECTOR]", help="A name, 'any', 'tag:NAME', 'qubits>=N', or several with commas."),
    ] = "any",
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
