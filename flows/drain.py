"""The Prefect flow `drain`: a worker anywhere ingests what waits, and ends when nothing does."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App, open_app
from ragline.background import in_background
from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings
from ragline.config.settings import Settings
from ragline.flows.prefect_server import PrefectServer
from ragline.flows.runner import HEARTBEAT_S, ingesting
from ragline.flows.watched import Watched

log = logging.getLogger(__name__)

LOOK_S = 1.0
SILENT_S = 2 * HEARTBEAT_S
"""A lease that was not renewed for so long will run out: the run stays for its files, to start another takes longer."""
BEAT = "ragline.alive"
"""The label of a run that changes as long as its process lives."""
BEAT_S = 15.0


@flow(name="drain", flow_run_name="ingest what waits")
async def drain_flow(idle_s: float = 10.0) -> State[None]:
    """Ingest until no file waited for `idle_s` seconds. Cancelled, it gives back what it has in hand."""
    quiet_libraries()
    settings = load_settings()
    start_logging(settings)
    run_id = str(flow_run.id)
    async with alive(run_id), open_app(settings) as app:
        watched = Watched(PrefectServer(settings.prefect, data_dir=settings.data_dir), alone=False)
        owner = owner_of(run_id)
        async with ingesting(app, watched, owner=owner):
            files = await until_idle(app, owner, idle_s)
    return Completed(message=f"nothing waited for {idle_s:g} s; {files} files were waiting when it started")


def owner_of(run_id: str) -> str:
    """Return a name that no other process ever has: a run may be started twice. `dispatch` looks for its end."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}:{run_id}"


async def until_idle(app: App, owner: str, idle_s: float) -> int:
    """Return, once nothing waited and nothing was in hand for `idle_s`, how many files waited at the start."""
    started_with = await app.records.queue.waiting()
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < idle_s:
        await asyncio.sleep(LOOK_S)
        if await busy(app, owner):
            quiet_since = time.monotonic()
    return started_with


async def busy(app: App, owner: str) -> bool:
    """Tell whether files wait or are in hand, or will soon wait because another process died with them in hand.

    True also while the database does not answer: nobody knows.
    """
    try:
        due, _ = await app.records.queue.due()
        return due > 0 or owner in await app.records.queue.owners() or await app.records.queue.silent(SILENT_S) > 0
    except SQLAlchemyError as error:
        log.debug("the database does not answer: %s", error)
        return True


@asynccontextmanager
async def alive(run_id: str) -> AsyncIterator[None]:
    """Let Prefect know for the length of the block that the process of this run lives."""
    async with in_background(beat(run_id)):
        yield


async def beat(run_id: str) -> None:
    """Count in the label BEAT of the run, for ever."""
    beats = 0
    while True:
        try:
            async with get_client() as client:
                await client.update_flow_run_labels(uuid.UUID(run_id), {BEAT: beats})
            beats += 1
        except Exception as error:  # noqa: BLE001  # the edge of the loop; files in hand show the same
            log.debug("Prefect took no sign of life: %s", error)
        await asyncio.sleep(BEAT_S)


def start_logging(settings: Settings) -> None:
    """Write our lines to standard error, which the worker passes on; Prefect shows its own only."""
    ours = logging.getLogger("ragline")
    if not ours.handlers:
        lines = logging.StreamHandler()
        lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        ours.addHandler(lines)
        ours.propagate = False
    ours.setLevel(settings.log_level.upper())
