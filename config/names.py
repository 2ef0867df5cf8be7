"""The names of settings: dotted as in ragline.toml, and as environment variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ragline.config.settings import Section, Settings

PREFIX = "RAGLINE_"
DELIMITER = "__"

OTHER_VARIABLES: Mapping[str, str] = {
    "RAGLINE_CONFIG": "Path of the settings file; without it `./ragline.toml` where that exists.",
    "RAGLINE_URL": "Address of a running server, for examples and clients.",
    "RAGLINE_KEY": "API key for a running server, for `ragline ingest --server`, examples and clients.",
}
"""Variables with our prefix that are not settings, and what each is for."""

TEST_PREFIX = "RAGLINE_TEST_"
"""Variables of the test suite, such as the URL of a real Qdrant server."""


@cache
def sections() -> Mapping[str, type[Section]]:
    """Return the sections of `Settings` by name, in its order."""
    annotations = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Section)}


@cache
def fields() -> Mapping[str, FieldInfo]:
    """Return each setting by its dotted name, such as `server.port`, in the order of `Settings`."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        if section := sections().get(name):
            found |= {f"{name}.{key}": value for key, value in section.model_fields.items()}
        else:
            found[name] = field
    return found


def variable(name: str) -> str:
    """Return the environment variable of a dotted name: `server.port` is RAGLINE_SERVER__PORT."""
    return PREFIX + name.replace(".", DELIMITER).upper()


def dotted(variable_name: str) -> str:
    """Return what `variable` makes this of, whether or not there is such a setting; any case is taken."""
    return variable_name[len(PREFIX) :].lower().replace(DELIMITER, ".")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return what a misspelt dotted name may mean: the one that looks like it, else those with its last part."""
    known = list(known)
    last = name.rpartition(".")[2]
    return get_close_matches(name, known, 1) or [other for other in known if other.rpartition(".")[2] == last]


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def is_optional(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def is_structured(field: FieldInfo) -> bool:
    """Tell whether a value is a list or a table, which a variable holds as JSON."""
    return get_origin(field.annotation) in (tuple, list, dict)


def entry_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of the entries where a setting is a list of tables, such as `models.connections`."""
    if get_origin(field.annotation) not in (tuple, list):
        return None
    entry = get_args(field.annotation)[0]
    return entry if isinstance(entry, type) and issubclass(entry, BaseModel) else None
