"""Syncs on time: a child process that runs the deployments of this machine, and folders that are watched."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from ragline.app import Stores
from ragline.background import in_background
from ragline.config.environment import child_environment
from ragline.config.settings import Settings
from ragline.config.settings import Source as SourceSettings
from ragline.connectors.sources.protocol import Watched
from ragline.connectors.sources.registry import open_source
from ragline.connectors.tether import TETHER
from ragline.connectors.workers import Workers
from ragline.errors import RaglineError
from ragline.flows.prefect_server import PrefectServer

log = logging.getLogger(__name__)

START_S = 180.0
"""How long the child waits for a Prefect server that is starting."""
PAUSE_S = 10.0
"""Pause before the child or a watch that ended is started again."""
SETTLE_S = 1.0
"""Time in which a watch begins, or fails."""
AGAIN_S = 2.0
"""Pause before Prefect is asked again for a deployment that is not there yet."""
STOP_S = 2.0


@asynccontextmanager
async def schedules(stores: Stores, prefect: PrefectServer) -> AsyncIterator[None]:
    """Run the syncs of all sources when they are due, for the length of the block."""
    settings = stores.settings
    watches = [watch(settings, source, prefect) for source in settings.sources if source.watch]
    async with in_background(keep_child(settings, prefect), catch_up(stores, prefect), *watches):
        yield


async def catch_up(stores: Stores, prefect: PrefectServer) -> None:
    """Sync now what came due while nobody was there: each source with an interval that has passed since its last."""
    ends = await stores.records.sources.ends()
    for source in stores.settings.sources:
        last = ends[source.name].synced_at if source.name in ends else None
        if source.interval_s is not None and not source.watch and time.time() - (last or 0) >= source.interval_s:
            await attempt(source.name, prefect, "is due")


async def keep_child(settings: Settings, prefect: PrefectServer) -> None:
    """Keep the child alive; where it ends by itself, say so and start it again."""
    while True:
        if await prefect.wait(limit_s=START_S):
            code = await run_child(settings, prefect)
            log.warning("the child that runs the syncs ended with code %s: see %s", code, log_file(settings))
        else:
            log.warning("Prefect does not answer at %s: no sync runs on time", prefect.api_url)
        await asyncio.sleep(PAUSE_S)


async def run_child(settings: Settings, prefect: PrefectServer) -> int:
    """Run the child until it ends, or end it with this task."""
    data_dir = settings.data_dir.resolve()
    environment = child_environment(
        {
            "PREFECT_API_URL": prefect.api_url,
            "PREFECT_HOME": str(data_dir / "prefect"),
            "PREFECT_LOGGING_LEVEL": "INFO",
            "RAGLINE_DATA_DIR": str(data_dir),
        }
    )
    command = [*TETHER, sys.executable, "-m", "ragline.flows.schedules"]
    with log_file(settings).open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()


async def watch(settings: Settings, source: SourceSettings, prefect: PrefectServer) -> None:
    """Start a sync each time something changes in a source that can tell."""
    workers = Workers(settings.parsing, home=settings.data_dir)
    folder = settings.data_dir / "sources" / source.name
    opened = open_source(source, folder=folder, workers=workers, max_bytes=settings.server.max_upload_bytes)
    if not isinstance(opened, Watched):  # an opener of another package, which is not a class
        log.warning("source %s: the kind %r cannot be watched; give it cron or interval_s", source.name, source.kind)
        return
    silent = False
    while True:
        changes = opened.watch()
        change = asyncio.ensure_future(anext(changes))
        try:
            await asyncio.wait({change}, timeout=SETTLE_S)  # where it cannot be watched, it fails at once
            if not change.done():
                silent = False
                await attempt(source.name, prefect, "is watched from now on")  # for what changed before
            while True:
                await change
                await attempt(source.name, prefect, "has changed")
                change = asyncio.ensure_future(anext(changes))
        except RaglineError as error:
            if not silent:
                log.warning("source %s is not watched: %s", source.name, error)
            silent = True
        except StopAsyncIteration:
            log.warning("source %s is not watched any more; watching it again", source.name)
        finally:
            change.cancel()
        await asyncio.sleep(PAUSE_S)


async def attempt(name: str, prefect: PrefectServer, reason: str) -> None:
    """Ask Prefect for a run of a source's deployment now; where that cannot be, say so."""
    try:
        await start_sync(name, prefect)
        log.info("source %s %s: syncing", name, reason)
    except Exception:  # Prefect or its server; the edge of the loop
        log.exception("source %s: its sync could not be started", name)


async def start_sync(name: str, prefect: PrefectServer) -> None:
    """Ask Prefect for a run of a source's deployment now; while Prefect and the child start, wait for them."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_API_URL, temporary_settings

    until = time.monotonic() + START_S
    while True:
        try:
            with temporary_settings({PREFECT_API_URL: prefect.api_url}):
                async with get_client() as client:
                    deployment = await client.read_deployment_by_name(f"sync/{name}")
                    await client.create_flow_run_from_deployment(deployment.id)
            return
        except (ObjectNotFound, httpx.TransportError):
            if time.monotonic() > until:
                raise
        await asyncio.sleep(AGAIN_S)


def log_file(settings: Settings) -> Path:
    return settings.data_dir / "prefect" / "schedules.log"
