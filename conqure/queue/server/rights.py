"""Who acts, and what they may do: a user with their own works, an admin with all, a device with those it was given.

What somebody may not see is, to them, not there: `UnknownWork`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qpu_executors.errors import NotAllowed, UnknownWork

from ..work import WorkRecord
from .accounts import DeviceAccount
from .claimants import device_of


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody with a valid token.

    Attributes:
        user_id: of a user, else "". device, device_uuid: of a device, else "".
        session: the row of the table ``tokens`` that this token belongs to; kind: that row's.
    """

    session: str
    kind: str
    user_id: str = ""
    full_name: str = ""
    is_admin: bool = False
    device: str = ""
    device_uuid: str = ""

    @property
    def name(self) -> str:
        """For logs and limits."""
        return self.user_id or f"device:{self.device}"

    def may_see(self, work: WorkRecord) -> bool:
        if self.device:
            return device_of(work.claimed_by) == self.device
        return self.is_admin or work.owner == self.user_id


def seen(actor: Actor, work: WorkRecord) -> WorkRecord:
    """The work, if this actor may see it; else it is not there."""
    if not actor.may_see(work):
        raise no_work(work.work_id)
    return work


def no_work(work_id: str) -> UnknownWork:
    return UnknownWork(f"no work {work_id[:80]!r}. List yours with: conqure work list")


def a_user(actor: Actor) -> Actor:
    if actor.device:
        raise NotAllowed(f"this is for users; the token is that of device {actor.device!r}.")
    return actor


def an_admin(actor: Actor) -> Actor:
    if not a_user(actor).is_admin:
        raise NotAllowed(f"this is for administrators, and {actor.user_id} is none. Ask one of them.")
    return actor


def that_device(actor: Actor, device: DeviceAccount) -> DeviceAccount:
    """The device itself acts; nobody else may in its place, also no admin."""
    if actor.device_uuid != device.uuid:
        raise NotAllowed(f"only device {device.name!r} itself may do this, with a token of its own: POST /oauth2/token")
    return device
