"""The stores: TinyDB for one person, a database by URL for a service, memory for tests."""

from __future__ import annotations

from qpu_executors.errors import StoreError

from ..store import Store


def open_by_url(url: str | None) -> Store:
    """See `conqure.queue.store.open_store`."""
    if url == "memory:":
        from ..memory import MemoryStore

        return MemoryStore()
    raise StoreError(f"no kind of store for {url!r}.")
