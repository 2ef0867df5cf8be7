"""`/ready`: the records decide, the back ends are told by name alone."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from ragline.config.settings import Connection, Models
from tests.api.desk import Desk, open_desk
from tests.models.loopback import Loopback


async def test_the_state_of_every_back_end_is_told_without_its_address(
    tmp_path: Path, models_folder: Path, backend: Loopback, dead_url: str
) -> None:
    connections = (
        Connection(name="absent", kind="ollama", url=dead_url),
        Connection(name="silent", kind="openai", url=f"{backend.url}/slow"),
        Connection(name="open", kind="openai", url=f"{backend.url}/v1"),
        Connection(name="functions", kind="functions"),
    )
    models = Models(connections=connections, aliases={}, list_timeout_s=0.5)
    async with open_desk(tmp_path, models_folder, models=models) as desk:
        client = await desk.client()
        began = time.monotonic()
        answer = await client.get("/ready")
        assert time.monotonic() - began < 5
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": True, "backends": {"absent": False, "silent": False, "open": True, "functions": True}},
        )


async def test_without_the_records_nothing_is_ready(desk: Desk) -> None:
    client = await desk.client()
    assert (await client.get("/ready")).status_code == 200
    assert (await client.get("/health/db")).json() == {"status": True}

    @event.listens_for(desk.app.records.engine.sync_engine, "before_cursor_execute")
    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("disk I/O error"))

    for route in ("/ready", "/health/db"):
        answer = await client.get(route)
        assert (answer.status_code, "disk" in answer.text, "SELECT" in answer.text) == (503, False, False)
    assert (await client.get("/health")).status_code == 200
    event.remove(desk.app.records.engine.sync_engine, "before_cursor_execute", fail)
