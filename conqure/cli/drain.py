"""``conqure devices drain`` and ``resume``: a QPU that takes nothing new for a while, and says why."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Annotated

import typer

from .arguments import SiteOption, offer_devices

NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME…", help="The QPUs, by their names.", autocompletion=offer_devices)
]
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def drain(
    names: NamesArgument,
    message: Annotated[str, typer.Option("--message", "-m", help="Why; everybody who asks for the QPU reads it.")],
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When it ends by itself: 30m, 2h, 1d, 18:00 or 2026-05-01T18:00.", show_default=False
        ),
    ] = None,
    site: SiteOption = None,
) -> None:
    """Let no new task go to a QPU: what selectors fit runs elsewhere, what names it is refused with your message.

    What was accepted before still runs, and sessions that are open go on. A QPU that jobs of Slurm hold is drained
    with 'scontrol update NodeName=… State=DRAIN' as well, see docs/drivers/draining.md.

    \b
    Examples:
      conqure devices drain ion0 --message "calibration"
      conqure devices drain ion0 ion1 --message "new laser" --until 18:00
    """
    from qpu_executors import draining
    from qpu_executors.site import Site

    if not message.strip():
        raise typer.BadParameter("say why: people read it instead of their counts.", param_hint="--message")
    ends = None if until is None else _time(until)
    loaded = Site.load(site)
    for qpu in [loaded.qpu(name) for name in names]:
        made = draining.drain(qpu, message.strip(), ends)
        typer.echo(f"{qpu.device_id} of site {loaded.name!r} is drained: {made.sentence()}.")


def resume(names: NamesArgument, site: SiteOption = None) -> None:
    """Let tasks go to a drained QPU again.

    \b
    Examples:
      conqure devices resume ion0
    """
    from qpu_executors import draining
    from qpu_executors.site import Site

    loaded = Site.load(site)
    for qpu in [loaded.qpu(name) for name in names]:
        was = draining.resume(qpu)
        typer.echo(f"{qpu.device_id} of site {loaded.name!r} {'takes tasks again' if was else 'was not drained'}.")


def _time(text: str) -> float:
    """Seconds since the epoch. A clock time is the next one to come."""
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return time.time() + timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds()
    now = datetime.now().astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d\d", text):
            hour, minute = map(int, text.split(":"))
            ends = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            ends += timedelta(days=1) if ends <= now else timedelta()
        else:
            ends = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: use 30m, 2h, 1d, 18:00 or 2026-05-01T18:00.", param_hint="--until"
        ) from None
    if ends <= now:
        raise typer.BadParameter(f"{text!r} is over.", param_hint="--until")
    return ends.timestamp()
