"""`ragline serve` and what belongs to it: models, settings, keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import click

from ragline.cli.options import config_option, data_dir_option, leave, settings_of


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port of the API; 0 takes a free one.")
@data_dir_option
@config_option
def serve(host: str | None, port: int | None, data_dir: Path | None, config_file: Path | None) -> None:
    """Start the API, ingestion and the Prefect UI, until Ctrl-C."""
    settings = settings_of(config_file, data_dir, {"server.host": host, "server.port": port})
    from ragline.serve import run

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run(settings, say=click.echo))
    leave()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the server's event loop: uvloop's takes a quarter less time for a chat, where there is one."""
    try:
        import uvloop
    except ImportError:  # on Windows
        return None
    return uvloop.new_event_loop


@click.command()
@click.argument("name")
@data_dir_option
@config_option
def pull(name: str, data_dir: Path | None, config_file: Path | None) -> None:
    """Fetch a language model to run in this process.

    NAME is smollm2 (93 MB) or qwen (1.1 GB).
    """
    settings = settings_of(config_file, data_dir)
    from ragline.connectors.models.pull import pull as fetch

    asyncio.run(fetch(name, settings.data_dir / "models", say=click.echo))


@click.command()
@data_dir_option
@config_option
def config(data_dir: Path | None, config_file: Path | None) -> None:
    """Print every setting, its value and where it came from."""
    from ragline.config.provenance import explain, lines

    for line in lines(explain(toml=config_file, arguments={"data_dir": data_dir})):
        click.echo(line)


@click.command()
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@data_dir_option
@config_option
def key(name: str, data_dir: Path | None, config_file: Path | None) -> None:
    """Make an API key of the first administrator.

    It is printed this once; keys made before stay valid.
    """
    settings = settings_of(config_file, data_dir)
    from ragline.local import new_key

    click.echo(asyncio.run(new_key(settings, name=name)))
