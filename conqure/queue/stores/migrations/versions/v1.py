"""The first schema: works, payloads, users, devices, tokens."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT

revision = "1"
down_revision = None

_BLOB = sa.LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")
_LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")
_OPTIONS: dict[str, Any] = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in {"engine": "InnoDB", "charset": "utf8mb4"}.items()
}


def _text(length: int) -> Any:
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="utf8mb4_bin"), "mysql")
        .with_variant(sa.String(length, collation="utf8mb4_nopad_bin"), "mariadb")
        .with_variant(sa.String(length, collation="C"), "postgresql")
    )


def _columns(**types: Any) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=False) for name, type_ in types.items()]


def _times(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Double()) for name in names]


def upgrade() -> None:
    whole, true = sa.Integer(), sa.Boolean()
    op.create_table(
        "works",
        sa.Column("work_id", _text(36), primary_key=True),
        *_columns(owner=_text(256), device_id=_text(256), rank=sa.SmallInteger(), status=_text(9), format=_text(8)),
        *_columns(workload=_text(64), workload_size=whole, results=_text(64), results_size=whole, name=_text(200)),
        *_columns(n_qubits=whole, n_rows=whole, shots=whole, program_id=_text(64), loop=_text(200)),
        sa.Column("convergence", sa.Double()),
        *_columns(source=_text(32), created_at=sa.Double()),
        *_times("ready_at", "started_at", "ended_at"),
        *_columns(attempts=whole, claimed_by=_text(256)),
        *_times("lease_until"),
        *_columns(cancel_requested=true, ran_on=_text(256), engine=_text(32), slurm_job_id=_text(64)),
        *_columns(error=_LONG, error_kind=_text(32), metadata=_LONG),
        **_OPTIONS,
    )
    op.create_index("works_waiting", "works", ["status", "source", "device_id", "rank", "ready_at", "work_id"])
    op.create_index("works_newest", "works", ["created_at", "work_id"])
    op.create_index("works_of_owner", "works", ["owner", "created_at", "work_id"])
    op.create_index("works_of_device", "works", ["device_id", "created_at", "work_id"])
    op.create_index("works_of_status", "works", ["status", "created_at", "work_id"])
    op.create_table(
        "payloads",
        sa.Column("content", _text(64), primary_key=True),
        sa.Column("part", whole, primary_key=True, autoincrement=False),
        *_columns(data=_BLOB),
        **_OPTIONS,
    )
    op.create_table(
        "users",
        sa.Column("user_id", _text(256), primary_key=True),
        *_columns(full_name=_text(200), password=_text(256), is_admin=true, is_active=true, created_at=sa.Double()),
        **_OPTIONS,
    )
    op.create_table(
        "devices",
        sa.Column("uuid", _text(36), primary_key=True),
        sa.Column("name", _text(256), nullable=False, unique=True),
        *_columns(site=_text(200), status=_text(7)),
        *_times("refreshed_at"),
        *_columns(refresh_timeout_s=sa.Double(), n_qubits=whole, slots=whole, tags=_LONG, users=_LONG),
        *_columns(configuration=_text(64), configuration_extension=_text(16)),
        *_times("configured_at"),
        *_columns(client_id=_text(64), client_secret=_text(256), created_at=sa.Double()),
        **_OPTIONS,
    )
    op.create_index("ix_devices_client_id", "devices", ["client_id"])
    op.create_table(
        "tokens",
        sa.Column("token_id", _text(36), primary_key=True),
        sa.Column("user_id", _text(256), sa.ForeignKey("users.user_id", ondelete="CASCADE")),
        sa.Column("device", _text(36), sa.ForeignKey("devices.uuid", ondelete="CASCADE")),
        *_columns(kind=_text(16), name=_text(200), secret=_text(64), created_at=sa.Double(), expires_at=sa.Double()),
        *_times("revoked_at", "used_at"),
        **_OPTIONS,
    )
    for column in ("user_id", "device", "secret"):
        op.create_index(f"ix_tokens_{column}", "tokens", [column])
