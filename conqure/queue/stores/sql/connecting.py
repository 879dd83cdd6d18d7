"""Databases by URL: which there are, how we talk to each, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import ssl
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from qpu_executors.errors import MissingPackage, StoreError

BUSY_S = 30.0  # how long SQLite waits for another process
PASSWORD = "CONQURE_STORE_PASSWORD"  # the name of a variable, for a URL without one
# backend -> driver, the module it is, the extra of ours that installs it
_DRIVERS = {
    "mariadb": ("mariadb+pymysql", "pymysql", "mariadb"),
    "mysql": ("mysql+pymysql", "pymysql", "mariadb"),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgresql"),
}
BACKENDS = ("sqlite", *_DRIVERS)


def read_url(text: str | sa.URL) -> sa.URL:
    """``sqlite:FILE``, or what SQLAlchemy reads; `StoreError` if it is neither."""
    if isinstance(text, str) and text.startswith("sqlite:"):
        file = text.removeprefix("sqlite:").removeprefix("///")
        return sa.URL.create("sqlite", database=str(Path(file).expanduser().absolute()))
    try:
        url = sa.make_url(text)
    except (SQLAlchemyError, ValueError):
        raise StoreError("that is no URL of a database. Examples: sqlite:FILE, mariadb://USER@HOST/NAME") from None
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise StoreError(f"works are not kept in {backend!r}. Kinds of databases: {', '.join(BACKENDS)}.")
    driver, module, extra = _DRIVERS[backend]
    if find_spec(module) is None:
        raise MissingPackage(f"a store in {backend} needs the package {module!r}: pip install 'conqure[{extra}]'")
    if url.password is None and os.environ.get(PASSWORD):
        url = url.set(password=os.environ[PASSWORD])
    return url.set(drivername=driver)


def without_password(url: sa.URL) -> str:
    """How the store is called, and opened again."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:{url.database}"
    secret = [name for name in url.query if "pass" in name.lower()]
    shown = url.difference_update_query(secret)._replace(password=None)  # `set` takes None for "as it is"
    return shown.set(drivername=url.get_backend_name()).render_as_string()


def connect(url: sa.URL) -> Engine:
    """The engine; nothing is asked of the database yet."""
    pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 56, "hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        _make_file(Path(str(url.database)))
        return _sqlite(sa.create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False}, **pool))
    arguments: dict[str, Any] = {}
    if str(url.query.get("ssl", "")).lower() in ("1", "true", "yes"):  # by the authorities that this machine trusts
        url, arguments = url.difference_update_query(["ssl"]), {"ssl": ssl.create_default_context()}
    # READ COMMITTED: what a transaction looks at again is as it is now, and MariaDB locks rows, not the gaps between.
    return sa.create_engine(url, connect_args=arguments, pool_pre_ping=True, isolation_level="READ COMMITTED", **pool)


def may_be_repeated(error: SQLAlchemyError) -> bool:
    """A deadlock, or a connection that was lost: nothing was committed, and another try may succeed."""
    if not isinstance(error, DBAPIError) or type(error.orig).__module__.startswith("sqlite3"):
        return False
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def failed(name: str, error: BaseException) -> StoreError:
    """The error for whoever asked, without statements and values."""
    original = getattr(error, "orig", None) or error
    text = original.args[1] if len(original.args) > 1 else original  # pymysql: (number, text)
    reason = (str(text).splitlines() or [type(original).__name__])[0].rstrip(". ")
    if type(original).__module__.startswith("sqlite3"):
        return StoreError(f"the store {name}: {reason}. May you write that file and its folder, and is the disk full?")
    return StoreError(f"the store {name} fails: {reason}. Is the database up, and may you write there?")


def _make_file(file: Path) -> None:
    """Others must not read what it will hold; SQLite gives its other files the same mode."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"the store sqlite:{file} cannot be opened: {error.strerror}. Name another file.") from error


def _sqlite(engine: Engine) -> Engine:
    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say when a transaction begins
        _write_ahead(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not (connection.get_execution_options().get("reading") or sqlite3_of(connection).in_transaction):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def begin(database: sqlite3.Connection, patience_s: float = BUSY_S) -> bool:
    """Begin a transaction that writes; with no patience False where others write, else `sqlite3.OperationalError`."""
    deadline, pause = time.monotonic() + patience_s, 0.001
    while not database.in_transaction:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not patience_s:
                return False
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
    return True


def wait_for_none(connection: Connection, *, again: bool = False) -> None:
    """Let SQLite itself not wait on this connection, since `begin` does; or let it wait again."""
    if connection.dialect.name == "sqlite":
        sqlite3_of(connection).execute(f"PRAGMA busy_timeout = {BUSY_S * 1000 * again:.0f}")


def sqlite3_of(connection: Connection) -> sqlite3.Connection:
    """The driver's connection."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


def _write_ahead(connection: Any) -> None:
    """The one pragma that waits for nobody: two processes that make the file at once must try again."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            return connection.execute("PRAGMA journal_mode=WAL").fetchall()
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
