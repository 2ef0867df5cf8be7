"""Opens the records: connects, brings the tables up to date, and hands out one object a subject."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ragline.config.settings import Database
from ragline.connectors.records.collections import Collections
from ragline.connectors.records.embeddings import Embeddings
from ragline.connectors.records.files import Files
from ragline.connectors.records.users import Users
from ragline.errors import SetupError, Unavailable

MIGRATIONS = "ragline.connectors.records:migrations"


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one installation."""

    engine: AsyncEngine
    users: Users
    files: Files
    collections: Collections
    embeddings: Embeddings

    async def check(self) -> None:
        """Raise Unavailable when the database does not answer."""
        try:
            async with self.engine.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError as error:
            raise Unavailable(f"the database does not answer: {error}") from error

    async def close(self) -> None:
        await self.engine.dispose()


async def open_records(settings: Database, *, data_dir: Path) -> Records:
    """Connect and migrate. Raises SetupError when the database cannot be used."""
    url = make_url(
        settings.url.get_secret_value() if settings.url else f"sqlite+aiosqlite:///{data_dir / 'ragline.db'}"
    )
    shown = url.render_as_string(hide_password=True)
    try:
        engine = create_async_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
        if url.get_backend_name() == "sqlite":
            event.listen(engine.sync_engine, "connect", prepare_sqlite)
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    except (OperationalError, OSError, ModuleNotFoundError) as error:
        reason = getattr(error, "orig", None) or error
        raise SetupError(f"cannot use the database {shown}: {reason}") from error
    return Records(engine, Users(engine), Files(engine), Collections(engine), Embeddings(engine))


def prepare_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    """Write-ahead log, so that readers never wait; every commit is on disk before it is acknowledged."""
    cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no common type
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(connection: Connection) -> None:
    """Apply the migrations that are missing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
