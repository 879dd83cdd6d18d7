"""`Accounts`: users, devices and tokens, in tables beside the works.

Every method that changes something is durable when it returns, and may take as long as a commit.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from qpu_executors.device import QPU
from qpu_executors.errors import AlreadyThere, InvalidWork, StoreError, UnknownDevice, UnknownUser
from qpu_executors.selector import NAME

from ..stores.tables import devices, tokens, users

if TYPE_CHECKING:
    from ..store import Store
    from ..stores.sql import SQLStore

T = TypeVar("T")

OFFLINE = "OFFLINE"
LOGIN, COGNITO, PERSONAL, DEVICE = "login", "cognito", "personal", "device"  # kinds of sessions
_NAMESPACE = uuid.UUID("5f4c3a0e-2f0b-5d0e-9d53-6d5a1c1f7c10")  # of the UUIDs of site QPUs


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    full_name: str = ""
    password: str = ""
    is_admin: bool = False
    is_active: bool = True
    created_at: float = 0.0

    def describe(self) -> dict[str, Any]:
        """Plain JSON values, without the password."""
        flags = {"is_admin": bool(self.is_admin), "is_active": bool(self.is_active)}
        return {"user_id": self.user_id, "full_name": self.full_name, **flags, "created_at": self.created_at}


@dataclass(frozen=True, slots=True)
class DeviceAccount:
    """A device as the service knows it. ``site`` is that whose dispatcher serves it, empty where a device client
    does; ``status`` is what it sent last, see `seen`.
    """

    uuid: str
    name: str
    site: str = ""
    status: str = OFFLINE
    refreshed_at: float | None = None
    refresh_timeout_s: float = 60.0
    n_qubits: int = 0
    slots: int = 1
    tags: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    configuration: str = ""
    configuration_extension: str = ""
    configured_at: float | None = None
    client_id: str = ""
    client_secret: str = ""
    created_at: float = 0.0

    def seen(self, now: float) -> str:
        """The status to believe: who is silent for longer than its timeout is OFFLINE."""
        return OFFLINE if now > (self.refreshed_at or 0.0) + self.refresh_timeout_s else self.status

    @property
    def at_site(self) -> bool:
        return bool(self.site)

    @property
    def claimant(self) -> str:
        """How its claims are named in the store."""
        return f"device:{self.name}"

    @property
    def qpu(self) -> QPU:
        """As selectors see it. One that has not said its size fits no ``qubits>=N``."""
        return QPU(self.name, "queue", self.n_qubits, tags=self.tags, slots=self.slots)

    def takes(self, user_id: str) -> bool:
        return not self.users or user_id in self.users


@dataclass(frozen=True, slots=True)
class Session:
    """What somebody may act with: a row of the table ``tokens``."""

    token_id: str
    user_id: str | None
    device: str | None
    kind: str
    name: str
    secret: str
    created_at: float
    expires_at: float
    revoked_at: float | None = None
    used_at: float | None = None


class Accounts:
    """Who may use the service.

    >>> Accounts(SQLStore("sqlite://")).add_user("ada@lab.example", "Ada", is_admin=True).is_admin
    True
    """

    def __init__(self, store: SQLStore) -> None:
        self._store = store
        self._reading = store.engine.execution_options(reading=True)

    # -- users --

    def users(self) -> list[User]:
        return [User(**row._mapping) for row in self.read(users.select().order_by(users.c.user_id))]

    def find_user(self, user_id: str) -> User | None:
        found = self.read(users.select().where(users.c.user_id == user_id)) if user_id.isprintable() else []
        return User(**found[0]._mapping) if found else None

    def user(self, user_id: str) -> User:
        user = self.find_user(user_id)
        if user is None:
            raise UnknownUser(f"no user {user_id[:80]!r}. An administrator sees them with: conqure users list")
        return user

    def add_user(
        self, email: str, full_name: str = "", password: str = "", *, is_admin: bool = False, now: float | None = None
    ) -> User:
        """``password`` is a hash. `AlreadyThere` if there is a user of this address."""
        user_id = user_id_of(email)
        user = User(user_id, _text("full_name", full_name), password, is_admin, True, now or time.time())

        def change(connection: Connection) -> User:
            if connection.execute(sa.select(users.c.user_id).where(users.c.user_id == user_id)).first():
                raise AlreadyThere(f"there is a user {user_id!r} already. For a new password: conqure users password")
            connection.execute(users.insert(), asdict(user))
            return user

        return self._write(change)

    def change_user(self, user_id: str, **changes: Any) -> User:
        """Set ``full_name``, ``password`` (a hash), ``is_admin``, ``is_active``."""
        if "full_name" in changes:
            _text("full_name", changes["full_name"])

        def change(connection: Connection) -> None:
            if changes:
                connection.execute(users.update().where(users.c.user_id == user_id), changes)

        self.user(user_id)
        self._write(change)
        return self.user(user_id)

    def remove_user(self, user_id: str) -> None:
        def change(connection: Connection) -> None:
            connection.execute(tokens.delete().where(tokens.c.user_id == user_id))
            connection.execute(users.delete().where(users.c.user_id == user_id))

        self.user(user_id)
        self._write(change)

    # -- devices --

    def devices(self) -> list[DeviceAccount]:
        return [_device(row) for row in self.read(devices.select().order_by(devices.c.name))]

    def device(self, name_or_uuid: str) -> DeviceAccount:
        """`UnknownDevice` lists those that exist."""
        named = (devices.c.name == name_or_uuid) | (devices.c.uuid == name_or_uuid.lower())
        found = self.read(devices.select().where(named)) if name_or_uuid.isprintable() else []
        if not found:
            raise unknown_device(name_or_uuid, self.devices())
        return _device(found[0])

    def device_of_client(self, client_id: str) -> DeviceAccount | None:
        found = self.read(devices.select().where(devices.c.client_id == client_id)) if client_id else []
        return _device(found[0]) if found else None

    def add_device(self, device: DeviceAccount) -> DeviceAccount:
        """`AlreadyThere` if the name is taken, `InvalidWork` if it is none."""
        check_device(device)

        def change(connection: Connection) -> DeviceAccount:
            if connection.execute(sa.select(devices.c.uuid).where(devices.c.name == device.name)).first():
                raise AlreadyThere(f"there is a device {device.name!r} already. Take another name, or remove it first.")
            connection.execute(devices.insert(), _row(device))
            return device

        return self._write(change)

    def change_device(self, device_uuid: str, **changes: Any) -> None:
        self._write(
            lambda connection: connection.execute(devices.update().where(devices.c.uuid == device_uuid), changes)
        )

    def remove_device(self, device_uuid: str) -> None:
        def change(connection: Connection) -> None:
            connection.execute(tokens.delete().where(tokens.c.device == device_uuid))
            connection.execute(devices.delete().where(devices.c.uuid == device_uuid))

        self._write(change)

    def set_site_devices(self, site: str, qpus: Sequence[QPU], now: float) -> None:
        """Let the QPUs of the site be devices, and those it no longer has be none. A name that another site has is
        taken over if that site's dispatcher is gone; else `AlreadyThere`.
        """
        rows = {qpu.device_id: _row(_site_device(site, qpu, now)) for qpu in qpus}

        def change(connection: Connection) -> None:
            known = {row.name: _device(row) for row in connection.execute(devices.select())}
            for name in rows.keys() & known.keys():
                _check_free(known[name], site, now)
            for name, row in rows.items():
                facts = {key: row[key] for key in ("site", "n_qubits", "slots", "tags")}
                if name in known:
                    connection.execute(devices.update().where(devices.c.name == name), facts)
                else:
                    connection.execute(devices.insert(), row)
            for name, old in known.items():
                if old.site == site and name not in rows:
                    connection.execute(devices.delete().where(devices.c.name == name))

        self._write(change)

    def refresh_site_devices(self, site: str, status: str, now: float) -> None:
        """The dispatcher of the site is there (or leaves)."""
        at_site = devices.update().where(devices.c.site == site)
        self._write(lambda connection: connection.execute(at_site, {"status": status, "refreshed_at": now}))

    # -- tokens --

    def add_session(self, session: Session) -> Session:
        self._write(lambda connection: connection.execute(tokens.insert(), asdict(session)))
        return session

    def session(self, token_id: str) -> Session | None:
        found = self.read(tokens.select().where(tokens.c.token_id == token_id))
        return Session(**found[0]._mapping) if found else None

    def session_of_secret(self, secret: str) -> Session | None:
        """That of a refresh token, known by its digest."""
        found = self.read(tokens.select().where(tokens.c.secret == secret)) if secret else []
        return Session(**found[0]._mapping) if found else None

    def sessions(self, user_id: str, kind: str) -> list[Session]:
        query = tokens.select().where(tokens.c.user_id == user_id, tokens.c.kind == kind, tokens.c.revoked_at.is_(None))
        return [Session(**row._mapping) for row in self.read(query.order_by(tokens.c.created_at.desc()))]

    def revoke(self, now: float, **which: Any) -> int:
        """End the sessions whose columns have these values; a list stands for any of its values."""
        conditions = [tokens.c[n].in_(v) if isinstance(v, list) else tokens.c[n] == v for n, v in which.items()]
        ended = tokens.update().where(*conditions, tokens.c.revoked_at.is_(None))
        return self._write(lambda connection: connection.execute(ended, {"revoked_at": now}).rowcount)

    def forget_sessions(self, before: float) -> None:
        """Remove those that are over for long."""
        self._write(lambda connection: connection.execute(tokens.delete().where(tokens.c.expires_at < before)))

    def read(self, query: sa.Executable) -> Sequence[sa.Row[Any]]:
        try:
            with self._reading.connect() as connection:
                return connection.execute(query).fetchall()
        except SQLAlchemyError as error:
            raise StoreError(f"the store {self._store.url} does not answer: {error}.") from error

    def _write(self, change: Callable[[Connection], T]) -> T:
        return self._store.write(change)


def database(store: Store) -> SQLStore:
    """The store, which must be a database; else `StoreError`."""
    from ..stores.sql import SQLStore

    if not isinstance(store, SQLStore):
        raise StoreError(
            f"the service keeps users and devices in a database, and {store.url!r} is none. Use sqlite:FILE, "
            "mariadb://… or postgresql://… ('conqure store migrate' moves what is there)."
        )
    return store


def user_id_of(email: str) -> str:
    """An e-mail address as it is kept: lower case; `InvalidWork` if it is none."""
    email = email.strip().lower()
    name, at, host = email.partition("@")
    if not (name and at and host and email.isascii() and email.isprintable() and " " not in email and len(email) < 200):
        raise InvalidWork(f"{email[:80]!r} is no e-mail address.")
    return email


def check_device(device: DeviceAccount) -> None:
    if not NAME.fullmatch(device.name) or len(device.name) > 200 or device.name == "any":
        raise InvalidWork(
            f"{device.name[:80]!r} cannot be a device's name: it starts with a letter and goes on with letters, "
            "digits, '_', '.' and '-'. 'any' has a meaning of its own."
        )
    for tag in device.tags:
        if not NAME.fullmatch(tag) or len(tag) > 100:
            raise InvalidWork(f"{tag[:80]!r} is no tag. A tag is a word like 'ion'.")


def unknown_device(asked: str, known: Sequence[DeviceAccount]) -> UnknownDevice:
    names = ", ".join(f"{device.name!r} ({device.n_qubits or '?'} qubits)" for device in known) or "none yet"
    return UnknownDevice(
        f"no device {asked[:80]!r} in this queue. Known: {names}.\n"
        "Choose one of these, or use a selector: 'any', 'tag:NAME', 'qubits>=N'."
    )


def site_uuid(name: str) -> str:
    """The UUID of a QPU of the site: always the same for a name."""
    return str(uuid.uuid5(_NAMESPACE, name))


def _check_free(device: DeviceAccount, site: str, now: float) -> None:
    if not device.at_site:
        raise AlreadyThere(
            f"{device.name!r} is a QPU of the site {site!r} and also a device with a client. Rename one of them, or: "
            f"conqure devices remove {device.name}"
        )
    if device.site != site and device.seen(now) != OFFLINE:
        raise AlreadyThere(
            f"{device.name!r} is a QPU of the site {site!r} and also of {device.site!r}, whose dispatcher runs on "
            "this store. Rename one of them in its site file, or give each site a store of its own."
        )


def _site_device(site: str, qpu: QPU, now: float) -> DeviceAccount:
    return DeviceAccount(
        site_uuid(qpu.device_id),
        qpu.device_id,
        site=site,
        n_qubits=qpu.n_qubits,
        slots=qpu.slots,
        tags=qpu.tags,
        created_at=now,
    )


_DEVICE_FIELDS = [field.name for field in fields(DeviceAccount)]


def _row(device: DeviceAccount) -> dict[str, Any]:
    values = {name: getattr(device, name) for name in _DEVICE_FIELDS}
    return values | {"tags": json.dumps(device.tags), "users": json.dumps(device.users)}


def _device(row: sa.Row[Any]) -> DeviceAccount:
    values = dict(row._mapping)
    lists = {name: tuple(json.loads(values[name])) for name in ("tags", "users")}
    return DeviceAccount(**(values | lists))


def _text(name: str, text: str, longest: int = 200) -> str:
    if len(text) > longest or not text.isprintable():
        raise InvalidWork(f"{name} must be at most {longest} printable characters.")
    return text
