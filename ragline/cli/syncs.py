"""Syncs of `ragline sync`: beside a running server or without one, in Prefect where that server has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import click

from ragline.app import Stores, open_stores
from ragline.cli.documents import show_key
from ragline.cli.shown import plain, print_table
from ragline.config.environment import quiet_libraries
from ragline.config.settings import Settings
from ragline.errors import Conflict, RaglineError
from ragline.local import check_installed, found_server, quiet_logging
from ragline.pipelines.forget import forget
from ragline.pipelines.sync import Sync
from ragline.pipelines.syncing import find, opened_sync, run_sync, summary
from ragline.pipelines.tidy import keep_tidy


@dataclass(frozen=True, slots=True)
class Place:
    """Where syncs run: in stores of their own or in those of this process, shown by the Prefect at this address."""

    settings: Settings
    stores: Stores | None = None
    prefect_api_url: str | None = None


async def sync_all(settings: Settings, names: Sequence[str], *, dry_run: bool, force: bool, verbose: bool) -> bool:
    """Sync these sources one after the other, print what was done, and tell whether anything failed.

    One source that cannot be synced does not stop the others. Raises NotFound where one is not in the settings.
    """
    for name in names:
        find(settings, name)
    if not names:
        click.echo("no sources: add [[sources]] to ragline.toml")
        return False
    failed = False
    async with place(settings, dry_run=dry_run) as here:
        for name in names:
            if len(names) > 1:
                click.echo(f"{name}:")
            try:
                failed |= await sync_one(here, name, dry_run=dry_run, force=force, verbose=verbose)
            except RaglineError as error:
                click.echo(f"ragline: {plain(str(error))}", err=True)
                failed = True
    return failed


@asynccontextmanager
async def place(settings: Settings, *, dry_run: bool) -> AsyncIterator[Place]:
    """Beside a running server, which ingests, else in this process; a dry run ingests nothing."""
    quiet_libraries()
    quiet_logging()
    running = await found_server(settings)
    if running is not None or dry_run:
        yield Place(settings, prefect_api_url=running.prefect_api_url if running and not dry_run else None)
        return
    from ragline.alone import own_app

    async with own_app(settings) as (app, _, new_key):
        show_key(new_key)
        yield Place(settings, stores=app)


async def forget_source(settings: Settings, name: str, *, keep_files: bool) -> int:
    """Forget a source that left the settings, beside a running server or without one; return how many files it had."""
    quiet_libraries()
    quiet_logging()
    check_installed(settings)
    running = await found_server(settings)
    if running is not None:
        if name in running.sources:
            raise Conflict(
                f"the server at {running.url} still follows source {name!r}: restart it without the source first"
            )
        async with open_stores(settings) as stores:  # the server deletes what is stored of the files
            return await forget(stores, name, keep_files=keep_files)
    from ragline.alone import own_app

    async with own_app(settings) as (app, _, _):
        number = await forget(app, name, keep_files=keep_files)
        while await keep_tidy(app):
            pass
        return number


async def sync_one(here: Place, name: str, *, dry_run: bool, force: bool, verbose: bool) -> bool:
    """Sync one source, print what was done, and tell whether a document failed. Raises what stopped the whole."""
    if here.prefect_api_url is not None:
        from ragline.flows.reported import sync_reported

        async with opened_sync(here.settings, name, force=force, stores=here.stores) as sync:
            with shown(sync, verbose=verbose):
                done = await sync_reported(sync, here.prefect_api_url)
            if done:
                return bool(sync.counts.get("failed"))
    async with opened_sync(here.settings, name, dry_run=dry_run, force=force, stores=here.stores) as sync:
        with shown(sync, verbose=verbose):
            await run_sync(sync)
        return bool(sync.counts.get("failed"))


@contextmanager
def shown(sync: Sync, *, verbose: bool) -> Iterator[None]:
    """Print after the block what was done, also where an error stopped the rest."""
    try:
        yield
    except RaglineError:
        print_rows(sync, verbose=verbose)
        raise
    print_rows(sync, verbose=verbose)
    click.echo(summary(sync))


def print_rows(sync: Sync, *, verbose: bool) -> None:
    rows = [(row.action, row.path, row.outcome, row.reason or "") for row in sync.rows]
    print_table(("action", "path", "outcome", "reason"), rows, all_rows=verbose)
