"""A sync from its name to its end: opens what it needs and takes the steps one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from ragline.app import Stores, open_stores
from ragline.bootstrap import first_admin
from ragline.config.settings import Settings, Source
from ragline.connectors.sources.registry import open_source
from ragline.connectors.workers import Workers
from ragline.errors import NotFound
from ragline.pipelines.sync import Sync
from ragline.types import User

NOBODY = User(id="", name="nobody", email="", role="admin")
"""Who would own what a dry run shows, where nobody is there yet."""

Progress = Callable[[int, int], Awaitable[None]]
"""Told (done, total) while files are ingested."""


async def list_step(sync: Sync, _: Progress | None) -> None:
    await sync.list()


async def compare_step(sync: Sync, _: Progress | None) -> None:
    await sync.compare()


async def take_step(sync: Sync, _: Progress | None) -> None:
    await sync.move()
    await sync.take()


async def delete_step(sync: Sync, _: Progress | None) -> None:
    await sync.delete()


async def ingest_step(sync: Sync, progress: Progress | None) -> None:
    await sync.wait(progress)


STEPS: Mapping[str, Callable[[Sync, Progress | None], Awaitable[None]]] = {
    "list": list_step,
    "compare": compare_step,
    "take": take_step,
    "delete": delete_step,
    "ingest": ingest_step,
}
"""The steps of a sync in their order, by the names that people see."""


async def run_sync(sync: Sync, progress: Progress | None = None) -> None:
    """Take all steps. Raises what stops the whole: an unreachable source, the guard."""
    for step in STEPS.values():
        await step(sync, progress)


@asynccontextmanager
async def opened_sync(
    settings: Settings, name: str, *, dry_run: bool = False, force: bool = False, stores: Stores | None = None
) -> AsyncIterator[Sync]:
    """Open a sync of the source `name`, in stores of its own unless some are given. Raises NotFound naming others."""
    chosen = find(settings, name)
    if stores is None:
        async with (
            open_stores(settings) as own,
            opened_sync(settings, name, dry_run=dry_run, force=force, stores=own) as it,
        ):
            yield it
        return
    workers = Workers(settings.parsing, home=settings.data_dir)
    source = open_source(
        chosen,
        folder=settings.data_dir / "sources" / name,
        workers=workers,
        max_bytes=settings.server.max_upload_bytes,
    )
    user = await stores.records.users.first_admin()
    if user is None:  # a dry run makes none: they would have a key that nobody was shown
        user = NOBODY if dry_run else (await first_admin(stores.records, settings.auth))[0]
    sync = Sync(stores, chosen, source, user, dry_run=dry_run, force=force)
    try:
        yield sync
    finally:
        await sync.close()
        await source.close()
        await workers.close()


def find(settings: Settings, name: str) -> Source:
    """Return the source of this name. Raises NotFound."""
    for source in settings.sources:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in settings.sources) or "none; add [[sources]] to ragline.toml"
    raise NotFound(f"no source {name!r}; known: {known}")


def summary(sync: Sync) -> str:
    """Return what a sync did in a line."""
    counted = [f"{number} {action}" for action, number in sync.counts.items() if number]
    return ", ".join(counted) or "nothing to do"
