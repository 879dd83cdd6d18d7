"""`Service`: what all routes share, and how a coroutine talks to the store without holding up the others."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from qpu_executors.errors import ConqureError, StoreError

from ..choosing import fits
from ..history import Charges, History
from ..policies import policy_named
from ..store import Store
from ..work import WorkRecord
from .accounts import Accounts, DeviceAccount, database, unknown_device
from .changes import Changes
from .limits import Limits
from .metrics import Metrics
from .notices import Notices
from .presence import Presence
from .settings import Settings
from .tokens import Tokens
from .transfer_rights import TransferRights

T = TypeVar("T")

_FRESH_S = 1.0  # so long a list of the devices is good enough; what this process changes it knows at once


class Service:
    """The parts of one service.

    Attributes:
        works: the store. accounts: users, devices and tokens, in the same database.
        is_near: a read of one record (SQLite) takes less than a change of threads.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.works = settings, store
        self.accounts = Accounts(database(store))
        self.tokens = Tokens(settings.state)
        self.transfers = TransferRights(self.tokens.transfer_key, settings.transfer_s)
        self.policy = policy_named(settings.policy, settings.aging_s, settings.patience_s)
        self.history = History()  # of what devices with a client have run
        self.charges, self.presence = Charges(self.history), Presence()
        self.limits, self.notices, self.metrics = Limits(settings), Notices(store), Metrics(store)
        self.checking = asyncio.Semaphore(1)  # a workload of 16 MiB of gates takes a core for some ten seconds
        self.hashing = asyncio.Semaphore(2)  # scrypt takes a core and 32 MiB for a third of a second
        self.actors: dict[str, Any] = {}  # tokens that were checked a moment ago, see `who`
        self._devices: tuple[float, list[DeviceAccount]] = (0.0, [])
        self._names: dict[str, tuple[float, str]] = {}
        self.is_near = store.url.startswith(("sqlite", "memory"))
        self._changes = Changes(database(store))

    async def change(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb of the store that changes something: durable when it returns."""
        return await self._changes.ask(verb, *args, **kwargs)

    async def look(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb that reads one record."""
        if self.is_near:
            return getattr(self.works, verb)(*args, **kwargs)
        return await asyncio.to_thread(getattr(self.works, verb), *args, **kwargs)

    async def search(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb that reads many."""
        return await asyncio.to_thread(partial(getattr(self.works, verb), *args, **kwargs))

    async def account(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb of the accounts; whatever was remembered of them is read again."""
        try:
            return await asyncio.to_thread(partial(getattr(self.accounts, verb), *args, **kwargs))
        finally:
            if not verb.startswith(("users", "user", "device", "session")):
                self.forget()

    def forget(self) -> None:
        self.actors.clear()
        self._names.clear()
        self._devices = (0.0, [])

    async def devices(self) -> list[DeviceAccount]:
        """All devices, as they were at most a second ago."""
        looked_at, found = self._devices
        if time.monotonic() - looked_at > _FRESH_S:
            found = self.accounts.devices() if self.is_near else await asyncio.to_thread(self.accounts.devices)
            self._devices = (time.monotonic(), found)
        return found

    async def device(self, name_or_uuid: str) -> DeviceAccount:
        """The device of this name or UUID; `UnknownDevice` lists those that exist."""
        for fresh in (False, True):
            if fresh:
                self._devices = (0.0, [])
            known = await self.devices()
            for device in known:
                if name_or_uuid == device.name or name_or_uuid.lower() == device.uuid:
                    return device
        raise unknown_device(name_or_uuid, known)

    async def full_name(self, user_id: str) -> str:
        """What a user is called; their address where there is no name, or no user any more."""
        looked_at, name = self._names.get(user_id, (0.0, ""))
        if time.monotonic() - looked_at > 60.0:
            try:
                name = (await asyncio.to_thread(self.accounts.user, user_id)).full_name or user_id
            except StoreError:
                raise
            except ConqureError:
                name = user_id
            self._names[user_id] = (time.monotonic(), name)
        return name

    def base_url(self, request: Request) -> str:
        """How the client of this request reaches us, without a slash at the end."""
        return self.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")


def works_of(work: WorkRecord, device: DeviceAccount) -> bool:
    """Whether a work that waits is one that this device may get: by its name or selector, its owner and its size."""
    has_room = not device.n_qubits or work.n_qubits <= device.n_qubits
    return has_room and fits(work.device_id, device.qpu) and device.takes(work.owner)


async def _service(request: Request) -> Service:
    return request.app.state.service


Its = Annotated[Service, Depends(_service)]
