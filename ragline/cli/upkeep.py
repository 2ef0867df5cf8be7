"""`ragline audit`, `queue`, `retry`, `cancel` and `flows deploy`: what keeps an installation well."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of
from ragline.cli.shown import MAX_ROWS, plain, print_table

if TYPE_CHECKING:
    from ragline.client import Audit
    from ragline.config.settings import Settings, Source


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--verbose", is_flag=True, help="Show all findings.")
@data_dir_option
@config_option
def audit(repair: bool, verbose: bool, data_dir: Path | None, config_file: Path | None) -> None:
    """Name what is stored and does not agree.

    Records, bytes, vectors and cache are compared.
    """
    found = run(audited(settings_of(config_file, data_dir), repair=repair))
    rows = [(each.kind, each.id, "repaired" if each.repaired else "found", each.detail) for each in found.findings]
    print_table(("kind", "id", "state", "detail"), rows, all_rows=verbose)
    left = sum(not each.repaired for each in found.findings)
    young = f" ({found.young} of no file yet, and younger than an hour: left alone)" if found.young else ""
    click.echo(f"{found.files} files, {found.chunks} passages, {found.points} points, {found.blobs} blobs{young}")
    click.echo(f"{len(found.findings) - left} repaired, {left} left" if repair else f"{left} findings")
    sys.exit(1 if left else 0)


async def audited(settings: Settings, *, repair: bool) -> Audit:
    from ragline.client import Client
    from ragline.local import a_server, check_installed

    check_installed(settings)
    async with a_server(settings) as server, Client(server.url, server.token) as client:
        return await client.audit(repair=repair)


@click.command()
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("--verbose", is_flag=True, help="Show all files.")
@data_dir_option
@config_option
def queue(failed: bool, verbose: bool, data_dir: Path | None, config_file: Path | None) -> None:
    """Show the files that wait, are worked on, or failed, and why."""
    from ragline.cli.unfinished import unfinished

    limit = None if verbose else MAX_ROWS
    counts, files = run(unfinished(settings_of(config_file, data_dir), failed_only=failed, limit=limit))
    rows = [
        (each.id, each.name, each.status, each.stage, each.attempts, each.next_try(time.time()), each.reason)
        for each in files
    ]
    print_table(("id", "name", "status", "stage", "attempts", "next try", "reason"), rows, all_rows=True)
    more = sum(counts.values()) - len(files)
    if more:
        click.echo(f"… and {more} more (--verbose shows all)")
    click.echo(", ".join(f"{number} {status}" for status, number in counts.items()) or "nothing waits, nothing failed")


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "all_failed", is_flag=True, help="All that failed.")
@click.option("--exhausted", is_flag=True, help="With --all: only those that were tried as often as is allowed.")
@data_dir_option
@config_option
def retry(
    ids: Sequence[str], all_failed: bool, exhausted: bool, data_dir: Path | None, config_file: Path | None
) -> None:
    """Let failed files be ingested again.

    ID is that of a file, as `ragline queue --failed` shows it.
    """
    if bool(ids) == all_failed or (exhausted and not all_failed):
        raise click.UsageError("name files by their ids, or all that failed with --all (and --exhausted)")
    from ragline.cli.unfinished import retried, retried_all

    settings = settings_of(config_file, data_dir)
    if all_failed:
        number = run(retried_all(settings, exhausted_only=exhausted))
        again = "1 file waits again" if number == 1 else f"{number} files wait again"
        click.echo(f"{again}; {run(next_step(settings, number))}" if number else "no failed files")
    else:
        tell(run(retried(settings, ids)), f"waits again; {run(next_step(settings, 1))}")


async def next_step(settings: Settings, number: int) -> str:
    """Say who takes up so many files that wait."""
    from ragline.local import found_server

    running = await found_server(settings)
    who = "the running server" if running else "the next `ragline serve` or `ragline ingest`"
    return f"{who} takes {'it' if number == 1 else 'them'} up"


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@data_dir_option
@config_option
def cancel(ids: Sequence[str], data_dir: Path | None, config_file: Path | None) -> None:
    """Stop the processing of files.

    An older version of them goes on to answer. ID is that of a file, as `ragline queue` shows it.
    """
    from ragline.cli.unfinished import cancelled

    tell(run(cancelled(settings_of(config_file, data_dir), ids)), "cancelled")


def tell(refused: dict[str, str | None], done: str) -> None:
    """Print of each id what was done, or why nothing was; then the command ends with 1."""
    for file_id, reason in refused.items():
        click.echo(f"{plain(file_id)}: {reason or done}", err=reason is not None)
    sys.exit(1 if any(refused.values()) else 0)


@click.group()
def flows() -> None:
    """Deployments in Prefect."""


@flows.command()
@data_dir_option
@config_option
def deploy(data_dir: Path | None, config_file: Path | None) -> None:
    """Create or update the deployments of all sources, and of the work pool."""
    settings = settings_of(config_file, data_dir)
    for name in run(deployed(settings)):
        source = next((each for each in settings.sources if name == f"sync/{each.name}"), None)
        click.echo(f"{name}  {schedule_of(source)}" if source else name)


async def deployed(settings: Settings) -> list[str]:
    """Deploy to the Prefect of the running server, else the one of the settings. Raises SetupError, Unavailable."""
    from ragline.errors import SetupError
    from ragline.flows.reported import deploy_at
    from ragline.local import found_server

    running = await found_server(settings)
    api_url = (running.prefect_api_url if running else None) or settings.prefect.api_url
    if api_url is None:
        raise SetupError("no Prefect server: start `ragline serve`, which has one, or name yours as prefect.api_url")
    return await deploy_at(settings, api_url)


def schedule_of(source: Source) -> str:
    """Return when a source is synced, in words."""
    if source.cron is not None:
        return f"cron {source.cron} ({source.timezone})"
    return f"every {source.interval_s:g} s" if source.interval_s is not None else "no schedule"
