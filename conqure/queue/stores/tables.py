"""The tables of a store in a database, and of what the service keeps beside the works."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_Blob = LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")
_LongText = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
_MYSQL = {"engine": "InnoDB", "charset": "utf8mb4"}
_OPTIONS: dict[str, Any] = {
    f"{dialect}_{name}": value for dialect in ("mysql", "mariadb") for name, value in _MYSQL.items()
}


def _text(length: int) -> TypeEngine[str]:
    """A text that is compared byte by byte in every database: capitals and trailing blanks count, order is the same."""
    return (
        String(length)
        .with_variant(String(length, collation="utf8mb4_bin"), "mysql")
        .with_variant(String(length, collation="utf8mb4_nopad_bin"), "mariadb")
        .with_variant(String(length, collation="C"), "postgresql")
    )


# One row per work: small, whatever its payloads are. Column names are those of `WorkRecord`; `rank` is priority.rank.
works = Table(
    "works",
    metadata,
    Column("work_id", _text(36), primary_key=True),
    Column("owner", _text(256), nullable=False),
    Column("device_id", _text(256), nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("status", _text(9), nullable=False),
    Column("format", _text(8), nullable=False),
    Column("workload", _text(64), nullable=False, default=""),
    Column("workload_size", Integer, nullable=False, default=0),
    Column("results", _text(64), nullable=False, default=""),
    Column("results_size", Integer, nullable=False, default=0),
    Column("name", _text(200), nullable=False, default=""),
    Column("n_qubits", Integer, nullable=False, default=0),
    Column("n_rows", Integer, nullable=False, default=0),
    Column("shots", Integer, nullable=False, default=0),
    Column("program_id", _text(64), nullable=False, default=""),
    Column("loop", _text(200), nullable=False, default=""),
    Column("convergence", Double),
    Column("source", _text(32), nullable=False, default="queue"),
    Column("created_at", Double, nullable=False),
    Column("ready_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("attempts", Integer, nullable=False, default=0),
    Column("claimed_by", _text(256), nullable=False, default=""),
    Column("lease_until", Double),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("ran_on", _text(256), nullable=False, default=""),
    Column("engine", _text(32), nullable=False, default=""),
    Column("slurm_job_id", _text(64), nullable=False, default=""),
    Column("error", _LongText, nullable=False, default=""),
    Column("error_kind", _text(32), nullable=False, default=""),
    Column("metadata", _LongText, nullable=False, default="{}"),
    **_OPTIONS,
)
# The head of each line; newest first: of all, of an owner, of a device, of a status (which also finds what is held).
Index(
    "works_waiting", works.c.status, works.c.source, works.c.device_id, works.c.rank, works.c.ready_at, works.c.work_id
)
Index("works_newest", works.c.created_at, works.c.work_id)
Index("works_of_owner", works.c.owner, works.c.created_at, works.c.work_id)
Index("works_of_device", works.c.device_id, works.c.created_at, works.c.work_id)
Index("works_of_status", works.c.status, works.c.created_at, works.c.work_id)

# A payload is its parts in order, 1 MiB each, so that no database's limit on a packet matters.
payloads = Table(
    "payloads",
    metadata,
    Column("content", _text(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", _Blob, nullable=False),
    **_OPTIONS,
)

users = Table(
    "users",
    metadata,
    Column("user_id", _text(256), primary_key=True),  # the e-mail address, lower case
    Column("full_name", _text(200), nullable=False, default=""),
    Column("password", _text(256), nullable=False, default=""),  # a scrypt hash; "" cannot log in with one
    Column("is_admin", Boolean, nullable=False, default=False),
    Column("is_active", Boolean, nullable=False, default=True),
    Column("created_at", Double, nullable=False),
    **_OPTIONS,
)

devices = Table(
    "devices",
    metadata,
    Column("uuid", _text(36), primary_key=True),  # AWS's DeviceId
    Column("name", _text(256), nullable=False, unique=True),  # our device_id
    Column("site", _text(200), nullable=False, default=""),  # whose dispatcher serves it; "": a device client does
    Column("status", _text(7), nullable=False, default="OFFLINE"),  # ONLINE, BUSY, OFFLINE as last sent
    Column("refreshed_at", Double),
    Column("refresh_timeout_s", Double, nullable=False, default=60.0),
    Column("n_qubits", Integer, nullable=False, default=0),
    Column("slots", Integer, nullable=False, default=1),
    Column("tags", _LongText, nullable=False, default="[]"),  # JSON
    Column("users", _LongText, nullable=False, default="[]"),  # JSON: who may use it; empty: everybody
    Column("configuration", _text(64), nullable=False, default=""),  # hash of the payload that it uploaded
    Column("configuration_extension", _text(16), nullable=False, default=""),
    Column("configured_at", Double),
    Column("client_id", _text(64), nullable=False, default="", index=True),
    Column("client_secret", _text(256), nullable=False, default=""),  # a scrypt hash
    Column("created_at", Double, nullable=False),
    **_OPTIONS,
)

# What somebody may act with: a login (with a refresh token), a personal token, a device's token.
tokens = Table(
    "tokens",
    metadata,
    Column("token_id", _text(36), primary_key=True),
    Column("user_id", _text(256), ForeignKey("users.user_id", ondelete="CASCADE"), index=True),
    Column("device", _text(36), ForeignKey("devices.uuid", ondelete="CASCADE"), index=True),
    Column("kind", _text(16), nullable=False),  # login, personal, device
    Column("name", _text(200), nullable=False, default=""),
    Column("secret", _text(64), nullable=False, default="", index=True),  # SHA-256 of the refresh token
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("used_at", Double),
    **_OPTIONS,
)
