"""`ragline check`: does each part work that was set up?"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of
from ragline.cli.shown import plain
from ragline.errors import SetupError

if TYPE_CHECKING:
    from ragline.cli.parts import Finding, Place
    from ragline.config.settings import Settings

COLOURS = {"ok": "green", "note": "yellow", "FAILS": "red"}
PART_CHARS = 20
LOAD_S = 10.0
"""How long files of functions may take to load before that is told."""

NO_MODELS = {
    "ollama": "no models: `ollama pull` brings some",
    "openai": "no models",
    "embedded": "no models: `ragline pull smollm2` brings one",
}


@click.command()
@data_dir_option
@config_option
def check(data_dir: Path | None, config_file: Path | None) -> None:
    """Tell of each part whether it works.

    A line a part; exit code 1 when something does not work that was set up. A server may be running.
    """
    sys.exit(1 if run(told(config_file, data_dir)) else 0)


async def told(config_file: Path | None, data_dir: Path | None) -> bool:
    """Print all findings as they come, and tell whether one is a failure."""
    from ragline.config.environment import quiet_libraries

    quiet_libraries()
    failed = False
    with quiet_logs():
        async for finding in findings(config_file, data_dir):
            state = click.style(f"{finding.state:<5}", fg=COLOURS[finding.state])
            click.echo(f"{plain(finding.part):<{PART_CHARS}} {state} {plain(finding.said)}")
            failed = failed or finding.state == "FAILS"
    return failed


async def findings(config_file: Path | None, data_dir: Path | None) -> AsyncIterator[Finding]:
    from ragline.cli import parts
    from ragline.cli.parts import Finding, Place, looked
    from ragline.config.load import load_with_origins
    from ragline.local import found_server

    try:
        settings = settings_of(config_file, data_dir)
        _, given = load_with_origins(toml=config_file, arguments={"data_dir": data_dir})
    except SetupError as error:
        for line in str(error).splitlines():
            yield Finding("settings", "FAILS", line)
        return
    origins = sorted({each.origin for each in given.values()})
    yield Finding("settings", "ok", f"{len(given)} given: {', '.join(origins)}" if given else "the defaults")
    place = Place(settings, frozenset(given), await found_server(settings))
    for part, look in (
        ("data folder", parts.data_folder),
        ("records", parts.records),
        ("blobs", parts.blobs),
        ("embedder", parts.embedder),
        ("parser", parts.parser),
        ("Prefect", prefect),
        ("reranker", parts.reranker),
        ("models", connections),
        ("functions", functions),
        ("sources", sources),
    ):
        for finding in await looked(part, look, place):
            yield finding


async def prefect(place: Place) -> list[Finding]:
    """Ask the user's own server, or the one that the running server started."""
    from ragline.cli.parts import Finding
    from ragline.flows.prefect_server import PrefectServer, port_taken

    settings = place.settings.prefect
    url = settings.api_url or (place.running.prefect_api_url if place.running else None)
    if not settings.enabled:
        return [Finding("Prefect", "ok", "off (prefect.enabled)")]
    if url is not None:
        known = PrefectServer(settings.model_copy(update={"api_url": url}), data_dir=place.settings.data_dir)
        if await known.answers():
            return [Finding("Prefect", "ok", f"answers at {url}")]
        return [place.problem("Prefect", f"does not answer at {url} (it may still be starting)", "prefect.api_url")]
    if place.running is None and settings.port and port_taken(settings.port):
        return [Finding("Prefect", "FAILS", f"its port {settings.port} is taken: choose another (prefect.port)")]
    return [Finding("Prefect", "ok", "not with the running server" if place.running else "starts with `ragline serve`")]


async def connections(place: Place) -> list[Finding]:
    """Ask each connection for its models; functions have lines of their own."""
    from ragline.app import embedded_name, open_models
    from ragline.cli.parts import Finding
    from ragline.connectors.models.embedded import EmbeddedBackend

    chosen = [each for each in place.settings.models.connections if each.kind != "functions"]
    settings = with_connections(place.settings, [each.name for each in chosen])
    embedded = EmbeddedBackend(
        embedded_name(settings), settings.data_dir.resolve() / "models", settings.embedded_models
    )
    registry = open_models(settings, embedded)
    try:
        listed = await registry.list(refresh=True)
        found = []
        for connection in chosen:
            name = f"models: {connection.name}"
            number = sum(model.backend == connection.name and model.alias_of is None for model in listed)
            if (reason := registry.down.get(connection.name)) is not None:
                found.append(place.problem(name, reason, "models.connections"))
            elif number == 0:
                found.append(Finding(name, "note", NO_MODELS[connection.kind]))
            else:
                found.append(Finding(name, "ok", "1 model" if number == 1 else f"{number} models"))
        return found
    finally:
        await registry.close()


def with_connections(settings: Settings, names: list[str]) -> Settings:
    kept = tuple(each for each in settings.models.connections if each.name in names)
    return settings.model_copy(update={"models": settings.models.model_copy(update={"connections": kept})})


async def functions(place: Place) -> list[Finding]:
    """Load the user's files as the server does."""
    from ragline.cli.parts import Finding
    from ragline.connectors.models.function_loader import FunctionLoader

    if all(each.kind != "functions" for each in place.settings.models.connections):
        return [Finding("functions", "ok", "no connection of this kind")]
    folder = place.settings.models.functions_dir
    loader = FunctionLoader(folder)
    try:
        loaded = await loader.settled(LOAD_S)
        problems = loader.problems
    finally:
        loader.close()
    absent = not folder.exists()
    wanted = absent and "models.functions_dir" in place.given
    where = f"no folder {str(folder)!r}" if absent else f"from {str(folder)!r} and packages"
    found = [Finding("functions", "FAILS" if wanted else "ok", f"{', '.join(loaded) or 'none'}; {where}")]
    return [*found, *(Finding(f"functions: {name}", "FAILS", said) for name, said in problems.items())]


async def sources(place: Place) -> list[Finding]:
    """Look at the settings of each source; nothing is read."""
    from ragline.cli.parts import Finding
    from ragline.connectors.sources.registry import check_source

    found = []
    for source in place.settings.sources:
        problems = await asyncio.to_thread(check_source, source)
        name = f"source: {source.name}"
        found += [Finding(name, "FAILS", said) for said in problems] or [Finding(name, "ok", f"{source.kind}")]
    return found or [Finding("sources", "ok", "none")]


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Log nothing for the length of the block: what is wrong is printed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
