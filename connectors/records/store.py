"""Opens the records: connects, brings the tables up to date, and hands out one object a subject."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy import URL, Connection, Dialect, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ragline.config.settings import Database
from ragline.connectors.records.attributes import Attributes
from ragline.connectors.records.calibrations import Calibrations
from ragline.connectors.records.changes import Changes
from ragline.connectors.records.collections import Collections
from ragline.connectors.records.directories import Directories
from ragline.connectors.records.embeddings import Embeddings
from ragline.connectors.records.events import Events
from ragline.connectors.records.facts import Facts
from ragline.connectors.records.files import Files
from ragline.connectors.records.grants import Grants
from ragline.connectors.records.keys import Keys
from ragline.connectors.records.listings import Listings
from ragline.connectors.records.members import Members
from ragline.connectors.records.outage import away
from ragline.connectors.records.queue import Queue
from ragline.connectors.records.removals import Removals
from ragline.connectors.records.sources import Sources
from ragline.connectors.records.usage import Usage
from ragline.connectors.records.users import Users
from ragline.errors import SetupError

MIGRATIONS = "ragline.connectors.records:migrations"


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one installation."""

    engine: AsyncEngine
    users: Users
    keys: Keys
    grants: Grants
    usage: Usage
    events: Events
    files: Files
    attributes: Attributes
    listings: Listings
    queue: Queue
    removals: Removals
    collections: Collections
    directories: Directories
    members: Members
    embeddings: Embeddings
    facts: Facts
    calibrations: Calibrations
    sources: Sources
    changes: Changes

    async def check(self) -> None:
        """Raise Unavailable when the database does not answer."""
        try:
            async with self.engine.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError as error:
            raise away(error) from error

    @asynccontextmanager
    async def alone(self, task: str) -> AsyncIterator[bool]:
        """Hold a lock among all processes on this database for the length of the block; False: another has it.

        Only PostgreSQL is shared by several servers; elsewhere it is always True.
        """
        if self.engine.dialect.name != "postgresql":
            yield True
            return
        async with self.engine.begin() as connection:
            yield bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(lock_number(task)))))

    async def close(self) -> None:
        await self.changes.close()
        await self.engine.dispose()


async def open_records(settings: Database, *, data_dir: Path) -> Records:
    """Connect and migrate. Raises SetupError when the database cannot be used."""
    url = url_of(settings, data_dir)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).parent.is_dir():
        raise SetupError(f"cannot use the database {shown}: its folder is not there")
    try:
        lite = url.get_backend_name() == "sqlite"
        options = LITE if lite else {"pool_pre_ping": True}
        engine = create_async_engine(url, **options)
        if lite:
            event.listen(engine.sync_engine, "connect", prepare_sqlite)
        elif engine.dialect.driver == "asyncpg":
            event.listen(engine.sync_engine, "do_connect", connect_postgres)
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    except (DBAPIError, NoSuchModuleError, OSError, ModuleNotFoundError) as error:
        reason = getattr(error, "orig", None) or error
        raise SetupError(f"cannot use the database {shown}: {reason}") from error
    changes = Changes(engine)
    return Records(
        engine=engine,
        users=Users(engine),
        keys=Keys(engine),
        grants=Grants(engine),
        usage=Usage(engine),
        events=Events(engine),
        files=Files(engine, changes),
        attributes=Attributes(engine),
        listings=Listings(engine),
        queue=Queue(engine, changes),
        removals=Removals(engine, changes),
        collections=Collections(engine, changes),
        directories=Directories(engine),
        members=Members(engine),
        embeddings=Embeddings(engine),
        facts=Facts(engine),
        calibrations=Calibrations(engine),
        sources=Sources(engine, changes),
        changes=changes,
    )


def url_of(settings: Database, data_dir: Path) -> URL:
    """Return the URL of the database; `postgresql://` and `postgres://`, as others write it, are understood."""
    if settings.url is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / "ragline.db"))
    url = make_url(settings.url.get_secret_value())
    return url.set(drivername="postgresql+asyncpg") if url.drivername in ("postgres", "postgresql") else url


class Closing(sqlite3.Cursor):
    """Is closed by an error, in the thread of its connection.

    The error keeps the cursor until the garbage collector comes by, in the thread of the event loop. That would have to
    wait there for the connection, which may wait for a lock that only the event loop can free: 30 seconds of nothing.
    """

    def execute(self, *arguments: Any) -> Self:
        try:
            return super().execute(*arguments)
        except BaseException:
            self.close()
            raise

    def executemany(self, *arguments: Any) -> Self:
        try:
            return super().executemany(*arguments)
        except BaseException:
            self.close()
            raise


class Letting(sqlite3.Connection):
    """Lets go of its lock when it is closed.

    When a task is cancelled, SQLAlchemy closes the connection it used. With a statement half read SQLite would keep
    such a connection, and its lock on the whole file, until the garbage collector comes by.
    """

    def cursor(self, factory: type[sqlite3.Cursor] = Closing) -> Any:  # type: ignore[override]  # overloads there
        return super().cursor(factory)

    def close(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed already
            self.rollback()
        super().close()


LITE: Mapping[str, Any] = MappingProxyType({"connect_args": {"factory": Letting}, "pool_size": 20, "max_overflow": 20})
"""Each connection is a thread, opened when it is needed and kept: one beyond `pool_size` is closed after each use."""


def prepare_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    """Write-ahead log, so that readers never wait; every commit is on disk before it is acknowledged."""
    cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no common type
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def connect_postgres(
    dialect: Dialect, _: ConnectionPoolEntry, arguments: Sequence[Any], options: dict[str, Any]
) -> DBAPIConnection:
    """Connect. SQLAlchemy translates errors of statements only: a server that starts or is full would look like a fault
    of ours, and cost the file that is being ingested.
    """
    import asyncpg  # type: ignore[import-untyped]  # has no types

    try:
        return dialect.connect(*arguments, **options)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise dialect.loaded_dbapi.OperationalError(str(error)) from error


def migrate(connection: Connection) -> None:
    """Apply the migrations that are missing; where several processes start at once, the others wait for the first."""
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(lock_number("migrate"))))
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def lock_number(task: str) -> int:
    """Return the number by which PostgreSQL knows a lock of ours: 64 bits, signed."""
    return int.from_bytes(hashlib.sha256(f"ragline {task}".encode()).digest()[:8], signed=True)
