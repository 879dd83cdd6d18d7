"""``conqure device-client``: a lab's control computer takes works from a cloud queue and runs them."""

from __future__ import annotations

import json as json_
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JSONOption, SiteOption

if TYPE_CHECKING:
    from qpu_executors.device import QPU

    from ..queue.device_runs import Runner


def device_client(
    url: Annotated[str, typer.Option(help="Where the queue answers, like https://queue.lab.example.")],
    device: Annotated[str, typer.Option("--device", "-d", metavar="NAME", help="What the queue calls the device.")],
    credentials: Annotated[
        Path, typer.Option(metavar="FILE", help="The device's client id and secret; only you may read it.")
    ],
    site: SiteOption = None,
    driver: Annotated[str, typer.Option(metavar="NAME", help="Open the QPU with this driver.")] = "",
    qubits: Annotated[
        int | None, typer.Option(min=1, help="The largest circuit; with --driver.", show_default=False)
    ] = None,
    options: Annotated[str, typer.Option(metavar="JSON", help="The driver's keyword arguments.")] = "{}",
    command: Annotated[
        str, typer.Option(metavar="WORDS", help="Run works through a program: 'PROGRAM {workload} {results}'.")
    ] = "",
    time_limit: Annotated[float, typer.Option(metavar="S", help="The longest that the program may run.")] = 86_400.0,
    poll: Annotated[float, typer.Option(metavar="S", min=0, max=60, help="Let the queue answer as late as this.")] = 20,
    configuration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What users may read of the device.", show_default=False)
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where works are kept while they are here.", show_default=False),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The certificate that signed the queue's.", show_default=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Run one work and leave.")] = False,
    json: JSONOption = False,
) -> None:
    """Take works for a device from a cloud queue, run them here, and hand in their results.

    It opens connections to the outside only, so it works behind a firewall. How a work is run: on a QPU of a site file,
    on one that a driver opens, or through a program of yours, which reads one file and writes another.

    \b
    Examples:
      conqure device-client --url https://queue.lab.example --device ion0 --credentials ion0.json --site lab.toml
      conqure device-client --url … --device sv0 --credentials sv0.json --driver statevector --qubits 14
      conqure device-client --url … --device rfsoc --credentials rfsoc.json --command 'run-rfsoc {workload} {results}'
    """
    from ..queue.device_client import DeviceClient
    from ..queue.device_door import Credentials, DeviceDoor
    from ..queue.held_works import HeldWorks
    from ..queue.http import Line

    known_by = Credentials.read(credentials)
    held = HeldWorks(state or _state_folder(device))
    try:
        runner = _runner(device, site, driver, qubits, options, command, time_limit)
        client = DeviceClient(
            DeviceDoor(Line(url, ca=ca, patience_s=0), device, known_by),
            runner,
            held,
            poll_s=poll,
            configuration=_configuration(configuration),
            say=_say_json if json else _say,
        )
    except BaseException:
        held.close()
        raise
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # systemd's way to say Ctrl-C
    try:
        client.run(once=once)
    finally:
        client.close()


def _runner(
    device: str, site: str | None, driver: str, qubits: int | None, options: str, command: str, limit_s: float
) -> Runner:
    from ..queue.device_runs import DriverRunner
    from ..queue.lab_program import ProgramRunner

    if bool(site) + bool(driver) + bool(command) != 1:
        raise typer.BadParameter("say how works are run: one of --site, --driver and --command.")
    if command:
        return ProgramRunner(command, limit_s)
    return DriverRunner(_qpu_of_site(device, site) if site else _qpu_of_driver(device, driver, qubits, options))


def _qpu_of_site(device: str, site: str) -> QPU:
    """The QPU of this name, or the only one, under the name that the queue knows."""
    from dataclasses import replace

    from qpu_executors.site import Site

    loaded = Site.load(site)
    return replace(loaded.qpus[0], device_id=device) if len(loaded.qpus) == 1 else loaded.qpu(device)


def _qpu_of_driver(device: str, driver: str, qubits: int | None, options: str) -> QPU:
    from qpu_executors.device import QPU

    try:
        values = json_.loads(options)
    except ValueError as error:
        raise typer.BadParameter(f"{options!r} is not JSON: {error}.", param_hint="--options") from None
    if not isinstance(values, dict):
        raise typer.BadParameter('must be an object like {"job_s": 0.05}.', param_hint="--options")
    if not qubits:
        raise typer.BadParameter("say how many qubits the QPU has: --qubits N.", param_hint="--driver")
    return QPU(device, driver, qubits, options=values)


def _configuration(path: Path | None) -> tuple[bytes, str] | None:
    if path is None:
        return None
    try:
        return path.read_bytes(), path.suffix.removeprefix(".") or "txt"
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}.", param_hint="--configuration") from None


def _state_folder(device: str) -> Path:
    from ..queue.held_works import state_folder

    return state_folder(device)


def _say(event: str, /, **facts: Any) -> None:
    message = facts.pop("message", "")
    words = [f"{name}={value}" for name, value in facts.items()]
    typer.echo(" ".join([time.strftime("%FT%T"), event, *words]) + (f": {message}" if message else ""))


def _say_json(event: str, /, **facts: Any) -> None:
    typer.echo(json_.dumps({"event": event, "at": round(time.time(), 3), **facts}))
