"""`ragline reindex`: the stored passages come under the embedding model and the analysis of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of

if TYPE_CHECKING:
    from ragline.config.settings import Settings
    from ragline.pipelines.reindex import Progress, Reindexed

BAR_CELLS = 20


@click.command()
@click.option("--drop-old", is_flag=True, help="Delete the passages of the model before, once the new ones answer.")
@data_dir_option
@config_option
def reindex(*, drop_old: bool, data_dir: Path | None, config_file: Path | None) -> None:
    """Bring all passages under the present embedding model.

    No document is read again. After an interruption the same command goes on; until its end the old passages answer.
    """
    settings = settings_of(config_file, data_dir)
    for line in lines_of(settings, run(reindexed(settings, drop_old=drop_old))):
        click.echo(line)


async def reindexed(settings: Settings, *, drop_old: bool) -> Reindexed:
    """Reindex in this process. Raises SetupError where a server has the data folder."""
    from ragline.config.environment import quiet_libraries
    from ragline.errors import SetupError
    from ragline.local import check_installed, found_server, quiet_logging
    from ragline.pipelines import reindex as moving

    quiet_libraries()
    quiet_logging()
    check_installed(settings)
    if settings.vectors.url is None and (server := await found_server(settings)) is not None:
        raise SetupError(f"the server at {server.url} has the data folder open: stop it first, then reindex")
    with showing() as show:
        return await moving.reindex(settings, drop_old=drop_old, show=show)


@contextmanager
def showing() -> Iterator[Callable[[Progress], None]]:
    """Give what shows how far it is: a bar on a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        BarColumn(BAR_CELLS),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[texts]} texts"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("files", total=None, texts=0)
        yield lambda so_far: bar.update(
            task, total=so_far.total, completed=so_far.files + len(so_far.again), texts=so_far.looked_up
        )


def lines_of(settings: Settings, done: Reindexed) -> Iterator[str]:
    """Yield what was done, and what is left to do."""
    files, again = done.progress.files, len(done.progress.again)
    if done.before is None:
        yield f"nothing is stored yet; new files are embedded with {done.now.model}"
    elif done.before == done.now:
        yield f"nothing to do: the passages are under {done.now.model} already"
    else:
        yield f"{many(files, 'file')}, {many(done.progress.passages, 'passage')} under {done.now.model}"
    if again:
        yield (
            f"{many(again, 'file')} had no whole passages and {'is' if again == 1 else 'are'} read again by the next "
            "`ragline serve` or `ragline ingest`"
        )
    for each in done.dropped:
        yield f"deleted: the passages of {each.model}"
    for each in done.kept:
        yield f"kept, and no longer asked: the passages of {each.model}; `ragline reindex --drop-old` deletes them"
    if settings.vectors.url is not None and done.before not in (None, done.now):
        yield "servers that still run ask the old passages: restart them"


def many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
