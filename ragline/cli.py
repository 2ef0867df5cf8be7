"""The command `ragline`. Errors that Ragline raises on purpose are one line each and exit code 1."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from ragline import __version__
from ragline.errors import RaglineError


class Group(click.Group):
    """Prints Ragline's own errors as a line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except RaglineError as error:
            for line in str(error).splitlines():
                click.echo(f"ragline: {line}", err=True)
            sys.exit(1)


config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Settings file."
)
data_dir_option = click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of everything stored.")


@click.group(cls=Group)
@click.version_option(__version__, package_name="ragline")
def main() -> None:
    """Chat with your documents through Open WebUI's and OpenAI's HTTP APIs."""


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port of the API; 0 takes a free one.")
@data_dir_option
@config_option
def serve(host: str | None, port: int | None, data_dir: Path | None, config_file: Path | None) -> None:
    """Start the API, ingestion and the Prefect UI, until Ctrl-C."""
    from ragline.config.load import load_settings
    from ragline.serve import run

    given = {"server.host": host, "server.port": port, "data_dir": data_dir}
    asyncio.run(run(load_settings(toml=config_file, arguments=given), say=click.echo))
    leave()


def leave() -> None:
    """End the process, all is closed: threads of Prefect's client would wait minutes for a server that is gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@main.command()
@click.argument("name")
@data_dir_option
@config_option
def pull(name: str, data_dir: Path | None, config_file: Path | None) -> None:
    """Fetch a language model to run in this process.

    NAME is smollm2 (93 MB) or qwen (1.1 GB).
    """
    from ragline.config.load import load_settings
    from ragline.connectors.models.pull import pull as fetch

    settings = load_settings(toml=config_file, arguments={"data_dir": data_dir})
    asyncio.run(fetch(name, settings.data_dir / "models", say=click.echo))


@main.command()
@data_dir_option
@config_option
def config(data_dir: Path | None, config_file: Path | None) -> None:
    """Print every setting, its value and where it came from."""
    from ragline.config.provenance import explain, lines

    for line in lines(explain(toml=config_file, arguments={"data_dir": data_dir})):
        click.echo(line)


@main.command()
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@data_dir_option
@config_option
def key(name: str, data_dir: Path | None, config_file: Path | None) -> None:
    """Make an API key of the first administrator.

    It is printed this once; keys made before stay valid.
    """
    from ragline.bootstrap import new_key
    from ragline.config.load import load_settings

    settings = load_settings(toml=config_file, arguments={"data_dir": data_dir})
    click.echo(asyncio.run(new_key(settings, name=name)))
