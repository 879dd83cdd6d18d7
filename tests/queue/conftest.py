"""Stores of every kind for the tests of the queue, on real database servers that the tests start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conqure.queue.memory import MemoryStore
from conqure.queue.store import Store, open_store
from conqure.queue.stores.sql import SQLStore

from ..openmpq.compiling import need
from .databases import MariaDB, PostgreSQL, Server, running

SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("mariadb", "postgresql")]
KINDS = ("memory", "tinydb", "sqlite", *SERVERS)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    need(MariaDB.is_there(), "mariadbd")
    with running(MariaDB) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    need(PostgreSQL.is_there(), "PostgreSQL 15")
    with running(PostgreSQL) as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server: Server) -> str:
    """The URL, with its password, of an empty store in MariaDB."""
    return _emptied(mariadb_server.url)


@pytest.fixture
def postgresql(postgresql_server: Server) -> str:
    """The URL, with its password, of an empty store in PostgreSQL."""
    return _emptied(postgresql_server.url)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:{tmp_path}/works.db")
    yield store
    store.close()


@pytest.fixture(params=KINDS)
def store_url(request: Any, tmp_path: Path) -> str:
    """The URL of an empty store, one kind after the other."""
    kind: str = request.param
    if kind in ("mariadb", "postgresql"):
        return str(request.getfixturevalue(kind))
    return {"memory": "memory:", "tinydb": f"tinydb:{tmp_path}/works", "sqlite": f"sqlite:{tmp_path}/works.db"}[kind]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def another(store: Store, store_url: str) -> Iterator[Store]:
    """The same works through an object of its own."""
    opened = store if isinstance(store, MemoryStore) and store.url == "memory:" else open_store(store_url)
    yield opened
    if opened is not store:
        opened.close()


def _emptied(url: str) -> str:
    from conqure.queue.stores.tables import metadata

    store = SQLStore(url)
    store.write(lambda connection: [connection.execute(table.delete()) for table in reversed(metadata.sorted_tables)])
    store.close()
    return url
