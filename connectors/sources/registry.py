"""Kinds of sources by name: those of Ragline, and those that other packages add by an entry point."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ValidationError

from ragline.connectors.sources.globs import Globs
from ragline.errors import BadInput, SetupError

if TYPE_CHECKING:
    from ragline.config import settings as config
    from ragline.connectors.sources.protocol import Source
    from ragline.connectors.workers import Workers

log = logging.getLogger(__name__)

GROUP = "ragline.sources"
"""Entry point group of other packages: `name = "module:Class"`, with a model `Options` in the same module."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind is found, `module:Class`, and what to do where its import fails."""

    target: str
    hint: str


KINDS: Mapping[str, Kind] = {
    "folder": Kind("ragline.connectors.sources.folder:FolderSource", "pip install watchfiles pathspec"),
    "fsspec": Kind("ragline.connectors.sources.remote:RemoteSource", "pip install fsspec"),
    "s3": Kind("ragline.connectors.sources.remote:RemoteSource", "pip install 'ragline[s3]'"),
    "git": Kind("ragline.connectors.sources.git:GitSource", "pip install dulwich"),
    "web": Kind("ragline.connectors.sources.web:WebSource", "pip install trafilatura protego"),
    "feed": Kind("ragline.connectors.sources.feed:FeedSource", "pip install feedparser trafilatura"),
}

Opener: TypeAlias = "Callable[..., Source]"
"""Called with `(settings, options, *, folder, workers, max_bytes)`; opens no connection yet.

It may have an attribute `problems(settings, options) -> list[str]`: what is wrong, told without network.
"""


def check_source(settings: config.Source) -> list[str]:
    """Return what is wrong with the settings of a source, a line each; reads no place and needs no network.

    A folder that is not there is not wrong: it may be mounted later.
    """
    try:
        Globs(settings.include, settings.exclude)
        wrong_globs = []
    except BadInput as error:
        wrong_globs = [_named(settings, str(error))]
    try:
        opener, options = _load(settings)
    except SetupError as error:
        return [*wrong_globs, *str(error).splitlines()]
    problems = _problems(opener, settings, options)
    if settings.watch and isinstance(opener, type) and not hasattr(opener, "watch"):
        problems.append(f"watch: the kind {settings.kind!r} cannot be watched; give it cron or interval_s")
    return [*wrong_globs, *(_named(settings, problem) for problem in problems)]


def open_source(settings: config.Source, *, folder: Path, workers: Workers, max_bytes: int) -> Source:
    """Return the source that the settings describe; nothing is read or connected to before it is asked.

    `folder` is its own, to keep what should outlive a run; `workers` parse what needs parsing to be listed;
    `max_bytes` is the size of the largest document it reads. Raises SetupError with every problem of the settings.
    """
    if problems := check_source(settings):
        raise SetupError("\n".join(problems))
    opener, options = _load(settings)
    return opener(settings, options, folder=folder, workers=workers, max_bytes=max_bytes)


def one_location(settings: config.Source) -> str:
    """Return the location of a kind that has one. Raises BadInput where there are several or none."""
    locations = [settings.location] if isinstance(settings.location, str) else settings.location
    if len(locations) != 1 or not locations[0].strip():
        raise BadInput(
            f"location: kind {settings.kind!r} takes one place, not {len(locations)} {list(locations)!r}; "
            "write a source for each"
        )
    return locations[0]


def _load(settings: config.Source) -> tuple[Opener, BaseModel]:
    """Import the kind and validate its options. Raises SetupError, a line for each problem."""
    added = {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in KINDS}
    kind = KINDS.get(settings.kind) or (_kind_of(added[settings.kind]) if settings.kind in added else None)
    if kind is None:
        known = ", ".join([*KINDS, *sorted(added)])
        raise SetupError(_named(settings, f"kind {settings.kind!r} is not known; known: {known}"))
    opener, model = _import(settings, kind)
    try:
        return opener, model.model_validate(settings.options)
    except ValidationError as error:
        raise SetupError("\n".join(_named(settings, line) for line in _wrong_options(error, model))) from error


def _kind_of(entry: EntryPoint) -> Kind:
    package = entry.dist.name if entry.dist is not None else entry.module
    return Kind(entry.value, f"it comes from the package {package!r}: install that again, or ask its authors")


def _import(settings: config.Source, kind: Kind) -> tuple[Opener, type[BaseModel]]:
    name, _, attribute = kind.target.partition(":")
    try:
        module = importlib.import_module(name)
        opener, model = getattr(module, attribute), module.Options
    except Exception as error:
        # A kind may be anybody's package, and importing it anybody's code.
        log.exception("source kind failed to load kind=%s target=%s", settings.kind, kind.target)
        raise SetupError(
            _named(settings, f"kind {settings.kind!r} cannot be loaded: {type(error).__name__}: {error}; {kind.hint}")
        ) from error
    return opener, model


def _wrong_options(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    known = ", ".join(model.model_fields) or "none"
    for wrong in error.errors(include_input=False, include_url=False):
        where = ".".join(["options", *map(str, wrong["loc"])])
        if wrong["type"] == "extra_forbidden":
            yield f"{where} is not known; known options: {known}"
        else:
            yield f"{where}: {wrong['msg']}"


def _problems(opener: Opener, settings: config.Source, options: BaseModel) -> list[str]:
    check: Callable[[config.Source, BaseModel], list[str]] | None = getattr(opener, "problems", None)
    return list(check(settings, options)) if check is not None else []


def _named(settings: config.Source, problem: str) -> str:
    return f"source {settings.name!r}: {problem}"
