"""Syncs on time: a child process that runs the deployments of this machine, and folders that are watched."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
STOP_S = 2.0


@asynccontextmanager
async def schedules(settings: Settings, prefect: PrefectServer) -> AsyncIterator[None]:
    """Run the syncs of all sources when they are due, for the length of the block."""
    tasks = [asyncio.create_task(keep_child(settings, prefect), name="schedules")]
    tasks += [
        asyncio.create_task(watch(settings, source, prefect), name=f"watch {source.name}")
        for source in settings.sources
        if source.watch
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
    workers = Workers(settings.parsing)
    folder = settings.data_dir / "sources" / source.name
    opened = open_source(source, folder=folder, workers=workers, max_bytes=settings.server.max_upload_bytes)
    if not isinstance(opened, Watched):
        log.warning("source %s: the kind %r cannot be watched; give it cron or interval_s", source.name, source.kind)
        return
    while True:
        try:
            async for _ in opened.watch():
                await start_sync(source.name, prefect)
        except RaglineError as error:
            log.warning("source %s is not watched: %s", source.name, error)
        except Exception:  # Prefect or its server; the edge of the loop
            log.exception("source %s: its sync could not be started", source.name)
        await asyncio.sleep(PAUSE_S)


async def start_sync(name: str, prefect: PrefectServer) -> None:
    """Ask Prefect for a run of a source's deployment now."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect.api_url}):
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(f"sync/{name}")
            await client.create_flow_run_from_deployment(deployment.id)
    log.info("something changed in source %s: syncing", name)


def log_file(settings: Settings) -> Path:
    return settings.data_dir / "prefect" / "schedules.log"
