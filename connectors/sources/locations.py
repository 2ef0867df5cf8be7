"""The locations and secrets of a source on the web."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx

from ragline.connectors.sources.urls import origin_of, parse_url
from ragline.errors import BadInput

if TYPE_CHECKING:
    from ragline.config.settings import Source as SourceSettings


def locations(settings: SourceSettings) -> list[str]:
    """Return the addresses in one form, each once. Raises BadInput."""
    listed = [settings.location] if isinstance(settings.location, str) else settings.location
    return list(dict.fromkeys(str(parse_url(url)) for url in listed))


def credentials(settings: SourceSettings) -> dict[str, str]:
    """Return what is sent as Authorization, by origin: only those of the locations get it."""
    secrets = {name: secret.get_secret_value() for name, secret in settings.secrets.items()}
    if "token" in secrets:
        value = f"Bearer {secrets['token']}"
    elif "username" in secrets:
        pair = f"{secrets['username']}:{secrets.get('password', '')}"
        value = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        return {}
    return {origin_of(url): value for url in locations(settings)}


def private_hosts(settings: SourceSettings) -> frozenset[str]:
    """Return the hosts that may be in private networks: those of the locations, where that is set."""
    hosts = (httpx.URL(url).raw_host.decode("ascii") for url in locations(settings))
    return frozenset(hosts if settings.allow_private else ())


def wrong_settings(settings: SourceSettings) -> Iterator[str]:
    """Yield what is wrong with the locations and secrets."""
    try:
        if not locations(settings):
            yield "location: no address"
    except BadInput as error:
        yield f"location: {error}"
    names = settings.secrets.keys()
    if unknown := sorted(names - {"username", "password", "token"}):
        yield f"secrets.{unknown[0]} is not known; known: username and password, or token"
    elif "token" in names and len(names) > 1:
        yield "secrets: a token, or username and password, but not both"
    elif "password" in names and "username" not in names:
        yield "secrets.password needs secrets.username"
