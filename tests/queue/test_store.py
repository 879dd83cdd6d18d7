"""The contract of a store, kept by each of them."""

from conqure.queue.testing import StoreContract


class TestStores(StoreContract):
    """Memory, TinyDB, SQLite, MariaDB, PostgreSQL: see the fixture ``store``."""
