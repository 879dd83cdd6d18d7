"""From an older schema of the database to the present one, by Alembic.

One file in ``versions/`` for each version, named by its number. A version that is out is never changed again: whoever
changes `tables` adds the next one, and raises `sql.schema.VERSION`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

FOLDER = Path(__file__).parent


def upgrade(connection: Connection, version: str = "head", folder: Path = FOLDER) -> None:
    """Bring the tables to a version, within the transaction of this connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, version)
