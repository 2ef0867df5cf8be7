"""`ragline ingest` and `ragline sync`: documents come in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ragline.cli.options import config_option, data_dir_option, leave, run, settings_of
from ragline.errors import BadInput, NotFound, NotSignedIn, Unavailable

if TYPE_CHECKING:
    from ragline.cli.paths import Document
    from ragline.cli.sending import Sent
    from ragline.config.settings import Settings

GO_ON = "nothing that was done is lost: run the same command again to continue"
NAMED = 3
"""Files with an older version that are named."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--collection", help="Name or id of a collection to put them into; it is made where there is none.")
@click.option("--include", multiple=True, help="Take only these files of folders, pattern as in .gitignore.")
@click.option("--exclude", multiple=True, help="Leave out these files and folders.")
@click.option("--password", help="Password of those documents that need one; `-` asks for it.")
@click.option("--server", help="Address of a Ragline server, instead of the one of this machine.")
@click.option("--key", envvar="RAGLINE_KEY", help="API key for --server, else that of RAGLINE_KEY.")
@data_dir_option
@config_option
def ingest(
    *,
    paths: Sequence[Path],
    collection: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    password: str | None,
    server: str | None,
    key: str | None,
    data_dir: Path | None,
    config_file: Path | None,
) -> None:
    """Take in files and folders, and wait until they can be searched.

    What is there already is not sent again: after an interruption the same command goes on.
    """
    from ragline.cli import paths as files
    from ragline.cli.sending import summary
    from ragline.connectors.sources.globs import Globs

    if server is None and click.get_current_context().get_parameter_source("key") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--key is for --server: a server of this machine needs none")
    if collection is not None and not collection.strip():
        raise click.UsageError("--collection is empty: give the name or the id of a collection")
    try:
        documents = files.find(paths, Globs(include or ("**",), exclude))
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    if not documents:
        named = ", ".join(repr(str(path)) for path in paths)
        raise NotFound(f"no files found in {named}: hidden ones, and those that the patterns leave out, do not count")
    if password == "-":
        password = click.prompt("Password of the documents", hide_input=True)
    if server is not None:
        sent = run(ingest_at(server, key, documents, collection, password=password))
    else:
        sent = run(ingest_here(settings_of(config_file, data_dir), documents, collection, password=password))
    click.echo(summary(sent.counts))
    if sent.beside_older:
        click.echo(older_versions(sent.beside_older), err=True)
    sys.exit(1 if sent.counts.get("failed") else 0)


async def ingest_here(
    settings: Settings, documents: Sequence[Document], collection: str | None, *, password: str | None = None
) -> Sent:
    """Ingest through the server that has the data folder, or one for this command."""
    from ragline.local import a_server

    async with a_server(settings) as server:
        show_key(server.new_key)
        return await ingest_at(server.url, server.token, documents, collection, password=password)


async def ingest_at(
    url: str,
    token: str | None,
    documents: Sequence[Document],
    collection: str | None,
    *,
    password: str | None = None,
) -> Sent:
    """Ingest through a server, show how far it is, and return what became of the documents."""
    from ragline.cli.progress import showing
    from ragline.cli.sending import send
    from ragline.client import Client

    async with Client(url, token) as client:
        await client.check()
        try:
            collection_id = await client.collection(collection) if collection is not None else None
            with showing(len(documents)) as show:
                return await send(client, documents, show, collection_id=collection_id, password=password)
        except NotSignedIn as error:
            if token:
                raise
            raise NotSignedIn(f"the server at {url!r} asks for an API key: give --key, or set RAGLINE_KEY") from error
        except Unavailable as error:
            raise Unavailable(f"{error}; {GO_ON}") from error


def older_versions(files: Sequence[Document]) -> str:
    """Say of which files there is an older version, too, and what replaces versions."""
    from ragline.cli.shown import plain

    named = ", ".join(plain(file.inside) for file in files[:NAMED]) + (", …" if len(files) > NAMED else "")
    have = "1 file has" if len(files) == 1 else f"{len(files)} files have"
    return (
        f"{have} an older version of the same name beside {'it' if len(files) == 1 else 'them'}: {named}; "
        "a folder that is one of the [[sources]] has its versions replaced by `ragline sync`"
    )


def show_key(key: str | None) -> None:
    """Show the API key of an installation that was made just now."""
    if key is not None:
        click.echo(f"API key  {key}   (for `ragline serve`; shown this once, `ragline key` makes another)", err=True)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "all_sources", is_flag=True, help="Sync all sources, one after the other.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--force", is_flag=True, help="Look again where nothing changed, and delete however many are gone.")
@click.option("--verbose", is_flag=True, help="Show all rows.")
@data_dir_option
@config_option
def sync(
    *,
    name: str | None,
    all_sources: bool,
    dry_run: bool,
    force: bool,
    verbose: bool,
    data_dir: Path | None,
    config_file: Path | None,
) -> None:
    """Take over what changed in a source of ragline.toml.

    NAME is that of the source.
    """
    if name is not None and all_sources:
        raise click.UsageError("NAME and --all exclude each other: name one source, or take all of them with --all")
    if name is None and not all_sources:
        raise click.UsageError("name a source, or all of them with --all")
    settings = settings_of(config_file, data_dir)
    from ragline.cli.syncs import sync_all

    names = [name] if name is not None else [source.name for source in settings.sources]
    failed = run(sync_all(settings, names, dry_run=dry_run, force=force, verbose=verbose))
    leave(1 if failed else 0)


@click.command()
@click.argument("name")
@click.option("--keep-files", is_flag=True, help="Leave its files where they are, as if they had been uploaded.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@data_dir_option
@config_option
def forget(*, name: str, keep_files: bool, yes: bool, data_dir: Path | None, config_file: Path | None) -> None:
    """Delete what came from a source that left ragline.toml.

    NAME is that of the source.
    """
    settings = settings_of(config_file, data_dir)
    from ragline.cli.syncs import forget_source

    if not (keep_files or yes):
        click.confirm(f"Delete all files that came from {name}, also those it has no more?", abort=True)
    number = run(forget_source(settings, name, keep_files=keep_files))
    click.echo(f"{name}: {number} files {'kept' if keep_files else 'deleted'}")
