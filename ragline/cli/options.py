"""What all commands share: their options, the settings, and how they end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from ragline.config.settings import Settings

T = TypeVar("T")

NOTHING: Mapping[str, object] = MappingProxyType({})
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Settings file."
)
data_dir_option = click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of everything stored.")


def settings_of(config_file: Path | None, data_dir: Path | None, arguments: Mapping[str, object] = NOTHING) -> Settings:
    """Return the settings; child processes read the same file."""
    from ragline.config.environment import remember_settings_file
    from ragline.config.load import load_settings

    if config_file is not None:
        remember_settings_file(config_file)
    return load_settings(toml=config_file, arguments={"data_dir": data_dir, **arguments})


def run(work: Coroutine[object, object, T]) -> T:
    """Return the result of `work`. Ctrl-C cancels it, and the command ends with 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        click.echo("stopped; nothing that was done is lost: run the same command again to continue", err=True)
        sys.exit(INTERRUPTED)


def leave(code: int = 0) -> NoReturn:
    """End the process, all is closed: threads of Prefect's client would wait minutes for a server that is gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
