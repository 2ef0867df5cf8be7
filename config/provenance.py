"""Tells of each setting what it is and where it came from: what `ragline config` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from ragline.config import names
from ragline.config.load import NOTHING, load_with_origins
from ragline.config.masking import masked
from ragline.config.settings import Settings
from ragline.config.sources import Given
from ragline.config.toml_text import toml_text

_WIDEST_VALUE = 48
"""Longer values push their origin to the right, instead of all origins."""


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One setting: `value` is TOML with secrets masked; `origin` is `default`, a file, a variable or `argument`."""

    name: str
    value: str
    origin: str


def explain(*, toml: Path | None = None, arguments: Mapping[str, object] = NOTHING) -> list[SettingOrigin]:
    """Load the settings as `load_settings` does and return all of them, in the order of `Settings`.

    The entries of a list of tables come one by one: `models.connections[0].url`.
    """
    settings, given = load_with_origins(toml=toml, arguments=arguments)
    return list(_origins(settings, given))


def lines(origins: Sequence[SettingOrigin]) -> list[str]:
    """Return `name = value  # origin` for each, in columns."""
    left = max((len(origin.name) for origin in origins), default=0)
    middle = max((len(origin.value) for origin in origins if len(origin.value) <= _WIDEST_VALUE), default=0)
    return [f"{origin.name:<{left}} = {origin.value:<{middle}}  # {origin.origin}" for origin in origins]


def _origins(settings: Settings, given: Mapping[str, Given]) -> Iterator[SettingOrigin]:
    for name in names.fields():
        section, dot, key = name.partition(".")
        value = getattr(getattr(settings, section), key) if dot else getattr(settings, name)
        origin = given[name].origin if name in given else "default"
        for leaf, part in _parts(name, value):
            yield SettingOrigin(leaf, toml_text(masked(part, leaf)), origin)


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Take a list of tables apart; anything else is one part."""
    if not isinstance(value, tuple) or not value or not isinstance(value[0], BaseModel):
        yield name, value
        return
    for index, entry in enumerate(value):
        for key in type(entry).model_fields:
            yield f"{name}[{index}].{key}", getattr(entry, key)
