"""What one setting alone cannot tell: settings that contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ragline.config.masking import masked
from ragline.config.settings import Settings
from ragline.config.sources import Given
from ragline.config.toml_text import toml_text


def contradictions(settings: Settings, given: Mapping[str, Given]) -> list[str]:
    """Return a line for each contradiction; `given` tells where the values come from."""
    return [
        *_open_to_the_network(settings, given),
        *_overlap(settings, given),
        *_connections(settings, given),
        *_embedder(settings, given),
        *_reranker(settings, given),
        *_urls(settings, given),
        *_sources(settings, given),
        *_evaluations(settings, given),
        *_work_pool(settings, given),
    ]


def _open_to_the_network(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    if not settings.auth.enabled and not _is_loopback(settings.server.host):
        yield (
            f"{_said('auth.enabled', False, given)} with {_said('server.host', settings.server.host, given)}: "
            "everyone who reaches this address would be the administrator; set server.host to 127.0.0.1 "
            "or auth.enabled to true"
        )


def _overlap(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    overlap, longest = settings.chunking.overlap_tokens, settings.chunking.max_tokens
    if overlap >= longest:
        yield (
            f"{_said('chunking.overlap_tokens', overlap, given)}: must be less than "
            f"{_said('chunking.max_tokens', longest, given)}, or a passage would only repeat the one before"
        )


def _connections(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    connections = settings.models.connections
    for name, times in Counter(connection.name for connection in connections).items():
        if times > 1:
            yield f"{_said('models.connections', None, given)}: {times} are named {name!r}; names must be unique"
    for index, connection in enumerate(connections):
        if connection.kind in ("ollama", "openai") and not connection.url:
            yield (
                f"{_said('models.connections', None, given, f'[{index}]')}: {connection.name!r} is of kind "
                f"{connection.kind!r} and has no url; give the base URL of its server"
            )


def _embedder(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    embedder = settings.embedder
    kind = _said("embedder.kind", embedder.kind, given)
    if embedder.kind in ("ollama", "openai") and not embedder.url:
        yield f"{kind}: needs embedder.url, the base URL of its server; the kind 'packaged' needs none"
    if (embedder.kind == "folder") != (embedder.path is not None):
        path = None if embedder.path is None else str(embedder.path)
        yield (
            f"{kind} with {_said('embedder.path', path, given)}: the kind 'folder' needs embedder.path, the folder of "
            "its model, and no other kind has one"
        )
    for name in ("query_prefix", "passage_prefix"):
        if embedder.kind == "packaged" and (prefix := getattr(embedder, name)):
            yield f"{_said(f'embedder.{name}', prefix, given)}: the kind 'packaged' has its own; leave it out"


def _reranker(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    reranker = settings.reranker
    kind = _said("reranker.kind", reranker.kind, given)
    if reranker.kind == "folder" and reranker.path is None:
        yield f"{kind}: needs reranker.path, the folder of its model"
    if reranker.kind == "http" and not reranker.url:
        yield f"{kind}: needs reranker.url, the base URL of its server, without /rerank"


def _urls(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    urls = {
        ("vectors.url", ""): settings.vectors.url,
        ("embedder.url", ""): settings.embedder.url,
        ("reranker.url", ""): settings.reranker.url,
        ("prefect.api_url", ""): settings.prefect.api_url,
    }
    for index, connection in enumerate(settings.models.connections):
        urls["models.connections", f"[{index}].url"] = connection.url
    for (name, within), url in urls.items():
        if url and not url.startswith(("http://", "https://")):
            yield f"{_said(name, url, given, within)}: must start with http:// or https://"


def _sources(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    for name, times in Counter(source.name for source in settings.sources).items():
        if times > 1:
            yield f"{_said('sources', None, given)}: {times} are named {name!r}; names must be unique"
    for index, source in enumerate(settings.sources):
        said = f"{_said('sources', None, given, f'[{index}]')}: source {source.name!r}"
        if source.cron is not None and source.interval_s is not None:
            yield f"{said} has both cron and interval_s; give one of them"
        if source.cron is not None and (problem := cron_problem(source.cron)):
            yield f"{said}: cron {source.cron!r}: {problem}"
        if problem := timezone_problem(source.timezone):
            yield f"{said}: {problem}"


def _evaluations(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    for name, times in Counter(one.name for one in settings.evaluations).items():
        if times > 1:
            yield f"{_said('evaluations', None, given)}: {times} are named {name!r}; names must be unique"
    for index, one in enumerate(settings.evaluations):
        said = f"{_said('evaluations', None, given, f'[{index}]')}: evaluation {one.name!r}"
        if one.cron is not None and (problem := cron_problem(one.cron)):
            yield f"{said}: cron {one.cron!r}: {problem}"
        if problem := timezone_problem(one.timezone):
            yield f"{said}: {problem}"


def timezone_problem(name: str) -> str | None:
    """Return what is wrong with the name of a time zone, None where nothing is."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return f"timezone {name!r} is not known; name one such as Europe/Paris or UTC"
    return None


CRON_FIELDS = "minute 0-59, hour 0-23, day of month 1-31 (one that comes), month 1-12, day of week 0-7"


def cron_problem(expression: str) -> str | None:
    """Return what is wrong with a cron expression of five fields, None where nothing is."""
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        return "five fields are needed: minute, hour, day of month, month, day of week"
    try:
        CronSim(expression, datetime(2000, 1, 1))
    except CronSimError as error:
        return f"{str(error).lower()}; {CRON_FIELDS}"
    return None


def _work_pool(settings: Settings, given: Mapping[str, Given]) -> Iterator[str]:
    """With workers in other processes, everything they share must be a server."""
    if settings.prefect.work_pool is None:
        return
    missing = [
        name
        for name, value in (
            ("prefect.api_url", settings.prefect.api_url),
            ("database.url", settings.database.url),
            ("vectors.url", settings.vectors.url),
        )
        if not value
    ]
    if missing:
        said = _said("prefect.work_pool", settings.prefect.work_pool, given)
        yield f"{said}: its workers need {', '.join(missing)} too: what the data folder holds belongs to one process"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _said(name: str, value: object, given: Mapping[str, Given], within: str = "") -> str:
    """Return the setting as the user wrote it, its value unless None, and its source."""
    entry = given.get(name)
    key, source = (entry.written, entry.source) if entry else (name, "default")
    shown = "" if value is None else f" = {toml_text(masked(value))}"
    return f"{key}{within}{shown} ({source})"
