"""The schema of a database and its version.

A new database gets the present tables at once. One of an older version is changed by Alembic, which is imported only
then. A lock lets two programs that open the same database at the same time do this one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from qpu_executors.errors import StoreError

from ..tables import metadata

VERSION = 1
# Alembic's own table, so that its commands work on our databases too.
_version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
_LOCK_S = 60


def version_of(connection: Connection) -> int | None:
    """None where no store was made yet."""
    if not sa.inspect(connection).has_table(_version.name):
        return None
    found = connection.execute(sa.select(_version.c.version_num)).scalar()
    return int(found) if found else None


def prepare(engine: Engine, name: str) -> None:
    """Make what is missing, bring what is old up to date; `StoreError` if it is newer than we are."""
    with engine.execution_options(reading=True).connect() as connection:
        if _is_present(version_of(connection), name):
            return
    with _alone(engine, name) as connection:
        version = version_of(connection)
        if _is_present(version, name):
            return
        if version is None:
            metadata.create_all(connection)
            _version.create(connection, checkfirst=True)
            connection.execute(_version.insert(), {"version_num": str(VERSION)})
        else:
            from ..migrations import upgrade

            upgrade(connection)


def _is_present(version: int | None, name: str) -> bool:
    if version is not None and version > VERSION:
        raise StoreError(
            f"the store {name} was made by a newer CONQURE: its schema is version {version}, this one knows up to "
            f"{VERSION}. Update it: pip install --upgrade conqure"
        )
    return version == VERSION


@contextmanager
def _alone(engine: Engine, name: str) -> Iterator[Connection]:
    """A transaction that no other program has at the same time."""
    connecting = _locked(engine, name) if engine.dialect.name in ("mysql", "mariadb") else engine.connect()
    with connecting as connection, connection.begin():  # SQLite: BEGIN IMMEDIATE, which waits for the others
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('conqure.works'))"))
        yield connection


@contextmanager
def _locked(engine: Engine, name: str) -> Iterator[Connection]:
    """MariaDB's locks belong to a connection: held until what is done in it is committed."""
    lock: sa.BindParameter[str] = sa.bindparam("lock", f"conqure.works.{engine.url.database}"[:64])
    with engine.connect() as connection:
        if connection.execute(sa.select(sa.func.get_lock(lock, _LOCK_S))).scalar() != 1:
            raise StoreError(f"the store {name}: another program has been changing its tables for {_LOCK_S} s.")
        connection.commit()
        try:
            yield connection
        finally:
            connection.execute(sa.select(sa.func.release_lock(lock)))
