"""The portal's tables: made by whichever replica comes first."""

from __future__ import annotations

from importlib.resources import files

from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import connect_writer

SCHEMA = "countersign_portal"


async def make_tables(dsn: str) -> None:
    """Bring the tables up to date. Raises ``DatabaseUnavailable``, ``MigrationRefused``, ``DatabaseMisconfigured``."""
    connection = await connect_writer(dsn, application_name="countersign-portal-migrations")
    try:
        await migrate(connection, SCHEMA, load_migrations(files("countersign.portal") / "migrations"))
    finally:
        await connection.close()
