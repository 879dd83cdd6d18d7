"""`SQLStore`: works in a database, through SQLAlchemy: SQLite, MariaDB, PostgreSQL.

```
SQLStore ── reads ──────────────────────────────▶ engine (a pool of connections)
    └────── changes ──▶ GroupCommit ── one transaction for all that wait ──▶ one connection
```
"""

from .store import SQLStore

__all__ = ["SQLStore"]
