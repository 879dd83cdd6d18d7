"""How the claims of devices are named: ``device:NAME/INSTANCE``; ``device:NAME`` where a client does not say who it is.

Each client of a device says an instance of its own, so that two of them at the same time hold, renew and give back
each its own works. Clients of the AWS wire, and old ones, say none. A device's name has no slash.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from ..work import WorkRecord
from .accounts import DeviceAccount

Instance = Annotated[
    str,
    Header(
        alias="X-Conqure-Instance",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="Which client of the device asks: kept by it, so that after a restart it has its works.",
    ),
]
_KIND = "device:"


def claimant(device: DeviceAccount, instance: str = "") -> str:
    """How the claims of this client of the device are named in the store."""
    return f"{device.claimant}/{instance}" if instance else device.claimant


def device_of(claimed_by: str) -> str:
    """The name of the device whose claim this is; "" if it is a dispatcher's or nobody's."""
    return claimed_by.removeprefix(_KIND).partition("/")[0] if claimed_by.startswith(_KIND) else ""


def claim_of(work: WorkRecord, device: DeviceAccount, instance: str, attempt: int) -> tuple[str, int]:
    """The claim on which this client answers for an attempt.

    One that was made without an instance is any client's of the device who knows its number: so a client that was
    replaced by a newer version hands in what the old one has run.
    """
    return (device.claimant if work.claimed_by == device.claimant else claimant(device, instance)), attempt
