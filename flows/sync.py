"""The Prefect flow `sync`: one run compares a source with what is known of it, a task for each step and a table."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import acreate_progress_artifact, acreate_table_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings
from ragline.pipelines.sync import Row, Sync
from ragline.pipelines.syncing import STEPS, opened_sync, summary

log = logging.getLogger(__name__)

current: ContextVar[Sync] = ContextVar("current_sync")
"""What the run works on."""


@flow(name="sync", flow_run_name="sync {source}")
async def sync_flow(source: str, dry_run: bool = False, force: bool = False) -> State[None]:
    """Take over what changed in a source. `dry_run` only shows it, `force` passes the guard and the fingerprint."""
    quiet_libraries()
    settings = load_settings()
    async with opened_sync(settings, source, dry_run=dry_run, force=force) as sync:
        return await follow(sync)


async def follow(sync: Sync) -> State[None]:
    """Run the steps as tasks and leave a table of what was done."""
    token = current.set(sync)
    try:
        for name in STEPS:
            await run_step.with_options(name=name, task_run_name=f"{name} {sync.settings.name}")(name)
    finally:
        current.reset(token)
        rows = sync.rows
        await acreate_table_artifact(
            key=f"sync-{sync.settings.name}".replace("_", "-"),
            table=[cells(row) for row in rows] or [{"action": "nothing to do"}],
            description=f"{sync.settings.name}: {summary(sync)}",
        )
    failed = [row for row in rows if row.outcome == "failed"]
    message = summary(sync)
    if failed:
        message += f"; {failed[0].path}: {failed[0].reason}"
        log.warning("source %s: %s", sync.settings.name, message)
    return Failed(message=message) if failed and len(failed) == len(rows) else Completed(message=message)


@task(cache_policy=NO_CACHE, persist_result=False)
async def run_step(name: str) -> None:
    """Run one step; the last one shows how far the ingestion is."""
    sync = current.get()
    await STEPS[name](sync, await progress_bar(sync) if name == "ingest" and sync.taken else None)


async def progress_bar(sync: Sync) -> Callable[[int, int], Awaitable[None]]:
    """Return what moves a progress artifact, in per cent, when told (done, total)."""
    artifact: UUID = await acreate_progress_artifact(
        0.0, key=f"ingesting-{sync.settings.name}".replace("_", "-"), description="files that can be searched"
    )

    async def show(done: int, total: int) -> None:
        await aupdate_progress_artifact(artifact, round(100 * done / max(1, total), 1))

    return show


def cells(row: Row) -> dict[str, object]:
    """Return a row as the table shows it."""
    return {
        "action": row.action,
        "path": row.path,
        "outcome": row.outcome,
        "reason": row.reason or "",
        "file": row.file_id or "",
    }
