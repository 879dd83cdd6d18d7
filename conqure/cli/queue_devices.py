"""``conqure devices add`` and its like: devices of a cloud queue, which a laboratory's control computer serves."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from .arguments import JSONOption
from .output import print_json
from .queue_admin import URLOption, admin, path

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the queue calls the device.")]
CredentialsOption = Annotated[
    Path | None,
    typer.Option("--credentials", metavar="FILE", help="Write client id and secret to this file.", show_default=False),
]


def add(
    name: NameArgument,
    qubits: Annotated[int, typer.Option(min=0, help="The largest circuit; 0: it does not say.")] = 0,
    slots: Annotated[int, typer.Option(min=1, help="Works it runs at the same time.")] = 1,
    tag: Annotated[list[str] | None, typer.Option(metavar="WORD", help="For selectors; may be repeated.")] = None,
    user: Annotated[list[str] | None, typer.Option(metavar="EMAIL", help="Who may use it; default: everybody.")] = None,
    timeout: Annotated[float, typer.Option(metavar="S", min=1, help="OFFLINE after so long without a sign.")] = 60.0,
    credentials: CredentialsOption = None,
    url: URLOption = None,
    json: JSONOption = False,
) -> None:
    """Register a device of a cloud queue; prints what its control computer logs in with, this once.

    \b
    Examples:
      conqure devices add ion0 --qubits 11 --tag ion --credentials ion0.json
      conqure device-client --url https://queue.lab.example --device ion0 --credentials ion0.json --site lab.toml
    """
    wanted = {"device_id": name, "n_qubits": qubits, "slots": slots, "tags": tag or [], "users": user or []}
    with admin(url) as service:
        made = service.ask("POST", "/v1/devices", wanted | {"refresh_timeout_s": timeout})
    _hand_over(made, credentials, json, f"Added device {name!r} ({made['uuid']}).")


def secret(
    name: NameArgument, credentials: CredentialsOption = None, url: URLOption = None, json: JSONOption = False
) -> None:
    """Give a device new credentials; the old ones and their tokens end.

    \b
    Examples:
      conqure devices secret ion0 --credentials ion0.json
    """
    with admin(url) as service:
        made = service.ask("POST", path("devices", name, "secret"))
    _hand_over(made, credentials, json, f"Device {name!r} has new credentials.")


def remove(name: NameArgument, url: URLOption = None) -> None:
    """Remove a device from a cloud queue; works that wait for it by its name end in ERROR.

    \b
    Examples:
      conqure devices remove ion0
    """
    with admin(url) as service:
        service.ask("DELETE", path("devices", name))
    typer.echo(f"Removed device {name!r}.")


def _hand_over(made: dict[str, Any], file: Path | None, json: bool, text: str) -> None:
    known_by = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
    if file is not None:
        from ..queue.configuration import write_secret

        write_secret(file, json_.dumps(known_by) + "\n")
        made = {name: value for name, value in made.items() if name != "client_secret"}
    if json:
        print_json(made)
        return
    typer.echo(text)
    typer.echo(f"Its credentials are in {file}." if file else f"Credentials (shown this once): {json_.dumps(known_by)}")
