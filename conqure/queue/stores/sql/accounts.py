"""What the service keeps beside the works, from one database into another."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..tables import devices, tokens, users
from . import changes


def copy_accounts(source: Any, target: Any) -> int:
    """Copy users, devices (with the configuration that each has uploaded) and tokens between two `SQLStore`; those that
    are there are left alone. Returns how many are new."""
    new = 0
    for table in (users, devices, tokens):  # tokens belong to the others
        with source.engine.execution_options(reading=True).connect() as connection:
            rows = [dict(row._mapping) for row in connection.execute(table.select())]
        kept = [source.payload(row["configuration"]) for row in rows if row.get("configuration")]
        new += target.write(lambda connection, t=table, r=rows, k=kept: _insert_missing(connection, t, r, k))
    return new


def _insert_missing(connection: Connection, table: sa.Table, rows: list[dict[str, Any]], kept: list[bytes]) -> int:
    (key,) = table.primary_key.columns
    there = set(connection.execute(sa.select(key)).scalars())
    new = [row for row in rows if row[key.name] not in there]
    if new:
        connection.execute(table.insert(), new)
    for payload in kept:
        changes.keep(connection, payload)
    return len(new)
