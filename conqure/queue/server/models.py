"""Bodies of requests and answers, as the description of the service shows them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from qpu_executors.records import Priority

from ..work import WorkloadFormat, WorkRecord


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _no_zero(text: str) -> str:
    if "\0" in text:
        raise ValueError("has a NUL character")
    return text


Printable = Annotated[str, AfterValidator(_printable)]
Words = Annotated[str, Field(max_length=4000), AfterValidator(_no_zero)]
Name = Annotated[Printable, Field(max_length=200)]
UUIDText = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Email = Annotated[str, Field(min_length=3, max_length=200)]
Password = Annotated[str, Field(max_length=1024)]
Seconds = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]


class Body(BaseModel):
    """What a request says; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class NewWork(Body):
    """A work to run. The workload is text, or any bytes as base64; without one it is uploaded afterwards."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"device_id": "any", "priority": "LOW", "format": "opaque", "workload": "what the device reads"}
            ]
        },
    )

    work_id: UUIDText | None = None
    device_id: Annotated[Printable, Field(min_length=1, max_length=256)] = "any"
    priority: Priority = Priority.LOW
    format: WorkloadFormat = WorkloadFormat.OPAQUE
    workload: str | None = None
    workload_base64: str | None = None
    name: Name = ""
    loop: Name = ""
    convergence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _has_one_workload(self) -> NewWork:
        if self.workload is not None and self.workload_base64 is not None:
            raise ValueError("give workload or workload_base64, not both")
        return self

    def payload(self) -> bytes | None:
        """The bytes of the workload. `ValueError` if this is no base64."""
        if self.workload is not None:
            return self.workload.encode()
        try:
            return None if self.workload_base64 is None else base64.b64decode(self.workload_base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"workload_base64 is no base64: {error}") from None


@dataclass(frozen=True, slots=True)
class Work(WorkRecord):
    """The record of a work; ``position``: works before it in its line while it is READY."""

    position: int | None = None


class Works(BaseModel):
    """Works, newest first; ``cursor`` asks for the next ones."""

    works: list[WorkRecord]
    cursor: str | None = None


class Claimed(BaseModel):
    works: list[WorkRecord]


class Cancel(Body):
    reason: Words = ""


class Claim(Body):
    most: Annotated[int, Field(ge=1, le=100)] = 1
    wait: Seconds = 0.0


class DeviceStatus(Body):
    status: Literal["ONLINE", "BUSY", "OFFLINE"]


class Heard(BaseModel):
    """What a heartbeat learns: how long the device may be silent, and works that it should end."""

    refresh_timeout_s: float
    cancel: list[str]


class WorkFault(Body):
    """Why an attempt ended without results."""

    attempt: Annotated[int, Field(ge=0, le=10**6)]
    kind: Annotated[Printable, Field(max_length=32)] = "device_error"
    message: Annotated[str, Field(max_length=100_000)] = ""
    transient: bool = False
    canceled: bool = False


class NewDevice(Body):
    device_id: Annotated[str, Field(min_length=1, max_length=200)]
    n_qubits: Annotated[int, Field(ge=0, le=100_000)] = 0
    slots: Annotated[int, Field(ge=1, le=1024)] = 1
    tags: Annotated[list[str], Field(max_length=32)] = []
    refresh_timeout_s: Annotated[float, Field(ge=1, le=10**6, allow_inf_nan=False)] | None = None
    users: Annotated[list[Email], Field(max_length=1000)] = []


class Device(BaseModel):
    """A device: what it is, and what it does now."""

    device_id: str
    uuid: str
    status: Literal["ONLINE", "BUSY", "OFFLINE"]
    n_qubits: int
    slots: int
    tags: list[str]
    at_site: bool
    refreshed_at: float | None
    refresh_timeout_s: float
    waiting: int
    executing: int
    configured_at: float | None


class Devices(BaseModel):
    devices: list[Device]


class Credentials(BaseModel):
    """The secret is shown this once."""

    client_id: str
    client_secret: str


class AddedDevice(Device, Credentials):
    """A new device and what it logs in with."""


class Login(Body):
    email: Email
    password: Password


class LoggedIn(BaseModel):
    token: str
    expires_at: float
    refresh_token: str


class Refresh(Body):
    refresh_token: Annotated[str, Field(max_length=200)]


class Refreshed(BaseModel):
    token: str
    expires_at: float


class NewPassword(Body):
    old: Password
    new: Password


class Me(BaseModel):
    """A user, or a device."""

    user_id: str | None = None
    full_name: str | None = None
    is_admin: bool | None = None
    device_id: str | None = None
    uuid: str | None = None


class NewToken(Body):
    name: Name = ""
    days: Annotated[int, Field(ge=1, le=3660)] = 30


class Token(BaseModel):
    token_id: str
    name: str
    created_at: float
    expires_at: float


class AddedToken(Token):
    """``token`` is shown this once."""

    token: str


class TokenList(BaseModel):
    tokens: list[Token]


class NewUser(Body):
    """Without a password one is made."""

    email: Email
    full_name: Name = ""
    is_admin: bool = False
    password: Password | None = None


class UserChange(Body):
    is_admin: bool | None = None
    is_active: bool | None = None
    password: Password | None = None
    full_name: Name | None = None


class UserInfo(BaseModel):
    user_id: str
    full_name: str
    is_admin: bool
    is_active: bool
    created_at: float


class AddedUser(UserInfo):
    """``password`` is shown this once, and only if it was made here."""

    password: str | None = None


class UserList(BaseModel):
    users: list[UserInfo]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


Anything = dict[str, Any]
