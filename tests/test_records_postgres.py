"""What only PostgreSQL does: it tells other processes, it is migrated by many at once, it has locks of all servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from ragline.config.environment import child_environment
from ragline.config.settings import Database
from ragline.connectors.records.changes import QUEUE
from ragline.connectors.records.store import Records, open_records
from ragline.errors import SetupError
from tests.http.postgres import empty_database, postgres
from tests.test_queue import put

HEARD_S = 0.5
OPEN = """
import asyncio, pathlib
from ragline.config.load import load_settings
from ragline.connectors.records.store import open_records
async def main():
    records = await open_records(load_settings().database, data_dir=pathlib.Path())
    await records.close()
asyncio.run(main())
"""


@pytest.fixture
def database() -> Database:
    return empty_database("postgres")


@pytest.fixture
def host() -> str:
    return f"127.0.0.1:{postgres().port}"


@pytest.fixture
async def other(database: Database, tmp_path: Path) -> AsyncIterator[Records]:
    """The same records, as another process has them: connections and waiters of its own."""
    opened = await open_records(database, data_dir=tmp_path)
    yield opened
    await opened.close()


async def backends(records: Records, state: str) -> list[Any]:
    """Return what the connections of this database that are in a state did last, those of `records` not counted."""
    query = text(
        "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state = :state"
    )
    async with records.engine.connect() as connection:
        return list(await connection.execute(query, {"state": state}))


async def listener(records: Records) -> int:
    """Return the process id of the one connection that listens, once it does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for row in await backends(records, "idle"):
            if row.query.startswith("LISTEN"):
                return int(row.pid)
        await asyncio.sleep(0.02)
    raise AssertionError("nobody listens")


async def test_what_another_process_writes_is_heard_at_once(records: Records, other: Records) -> None:
    with other.changes.watching(QUEUE) as queued, other.changes.watching("f") as changed:
        await listener(records)
        for event in (queued, changed):
            event.clear()
        started = time.monotonic()
        await put(records, "f")
        await asyncio.wait_for(queued.wait(), 5)
        claim = await records.queue.claim("w", lane="small", small_bytes=99, limit=9, max_bytes=99)
        assert claim is not None
        await asyncio.wait_for(changed.wait(), 5)
        assert time.monotonic() - started < HEARD_S


async def test_a_lost_connection_is_made_again_and_what_was_missed_is_told(records: Records, other: Records) -> None:
    with other.changes.watching("f") as changed:
        lost = await listener(records)
        changed.clear()
        async with records.engine.begin() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": lost})
        await put(records, "f")
        await records.files.mark_untidy("f")  # nobody listens now
        await asyncio.wait_for(changed.wait(), 10)
        assert await listener(records) != lost
        changed.clear()
        await records.files.mark_untidy("f")
        await asyncio.wait_for(changed.wait(), 5)


async def test_a_thousand_files_that_change_at_once_are_told_in_one_statement(records: Records, other: Records) -> None:
    names = [f"f{number:04}" for number in range(1000)]
    with other.changes.watching(names[-1]) as changed:
        await listener(records)
        changed.clear()
        async with records.engine.begin() as connection:
            await records.changes.publish(connection, *names)
        await asyncio.wait_for(changed.wait(), 5)


async def test_a_process_that_closes_leaves_no_listener(records: Records, database: Database, tmp_path: Path) -> None:
    short = await open_records(database, data_dir=tmp_path)
    with short.changes.watching(QUEUE):
        await listener(records)
    await short.close()
    assert await backends(records, "idle") == []


async def test_cancelled_tasks_leave_no_open_transaction(records: Records, other: Records) -> None:
    async def work() -> None:
        while True:
            await other.queue.claim("w", lane="small", small_bytes=99, limit=1, max_bytes=99)
            await other.queue.release("w", died=False)

    await put(records, *"abcdef")
    for number in range(20):
        workers = [asyncio.create_task(work()) for _ in range(4)]
        await asyncio.sleep(0.001 * number)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    deadline = time.monotonic() + 10  # the server needs a moment to see that a connection has gone
    while left := [*await backends(records, "idle in transaction"), *await backends(records, "active")]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.02)


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    url = postgres().new_database()
    environment = child_environment({"RAGLINE_DATABASE__URL": url})
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN], env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [each.communicate(timeout=120)[1].decode() for each in started] == [""] * 4
    assert len(postgres().execute("SELECT * FROM alembic_version", database=url.rpartition("/")[2])) == 1


async def test_a_task_for_one_server_is_done_by_one(records: Records, other: Records) -> None:
    async with records.alone("a") as first, other.alone("a") as second, other.alone("b") as another_task:
        assert (first, second, another_task) == (True, False, True)
    async with other.alone("a") as now:
        assert now


async def test_a_url_as_others_write_it_is_understood(database: Database, tmp_path: Path) -> None:
    assert database.url is not None
    url = database.url.get_secret_value().replace("postgresql+asyncpg://", "postgres://")
    opened = await open_records(Database(url=SecretStr(url)), data_dir=tmp_path)
    assert await opened.users.first_admin() is None
    await opened.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("postgresql+asyncpg://postgres:sesame@{host}/absent", "does not exist", id="no-database"),
        pytest.param("postgresql+asyncpg://nobody:sesame@{host}/postgres", "does not exist", id="no-role"),
        pytest.param("postgresql+asyncpg://postgres:sesame@127.0.0.1:1/postgres", "111", id="nobody-listens"),
        pytest.param("oracel://me:sesame@somewhere/x", "oracel", id="no-such-kind"),
    ],
)
async def test_a_database_that_cannot_be_used_is_one_clear_error(
    url: str, reason: str, host: str, tmp_path: Path
) -> None:
    wrong = url.format(host=host)
    with pytest.raises(SetupError, match=reason) as raised:
        await open_records(Database(url=SecretStr(wrong)), data_dir=tmp_path)
    assert "sesame" not in str(raised.value)
