"""The stores: TinyDB for one person, a database by URL for a service, memory for tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from qpu_executors.errors import MissingPackage, StoreError

from ..store import Store

VARIABLE = "CONQURE_STORE"
SQLITE_FILES = (".db", ".sqlite", ".sqlite3")
_DATABASES = ("sqlite", "mariadb", "mysql", "postgresql")
_KINDS = """Kinds of stores:
  tinydb:FOLDER                  files, for one person
  sqlite:FILE, FILE.db           one file, for a service on one machine
  mariadb://USER@HOST/NAME       a database, for services and dispatchers on several
  postgresql://USER@HOST/NAME    the same
  memory:                        gone with the process"""


def default_url() -> str:
    """The variable CONQURE_STORE, else TinyDB in the user's own folder."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return os.environ.get(VARIABLE) or f"tinydb:{Path(data) / 'conqure' / 'works'}"


def open_by_url(url: str | None) -> Store:
    """See `conqure.queue.store.open_store`."""
    url = url or default_url()
    if url.endswith(SQLITE_FILES) and ":" not in url:
        url = f"sqlite:{url}"
    kind, _, rest = url.partition(":")
    if url == "memory:":
        from ..memory import MemoryStore

        return MemoryStore()
    if kind == "tinydb" and rest:
        _need("tinydb", url)
        from .tiny import TinyStore

        return TinyStore(Path(rest))
    if kind.partition("+")[0] in _DATABASES and rest:
        _need("sqlalchemy", kind + ":")
        from .sql import SQLStore

        return SQLStore(url)
    raise StoreError(f"{_without_password(url)!r} names no store. {_KINDS}")


def _need(module: str, what: str) -> None:
    if find_spec(module) is None:
        raise MissingPackage(f"the store {what} needs the package {module!r}: pip install 'conqure[queue]'")


def _without_password(url: str) -> str:
    scheme, there, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if there and "@" in rest else url
