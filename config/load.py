"""Puts the settings together: arguments over environment variables over ragline.toml over the defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ragline.config import names
from ragline.config.checks import contradictions
from ragline.config.masking import masked
from ragline.config.settings import Settings
from ragline.config.sources import Given, Layer, from_arguments, from_environment, from_toml
from ragline.config.toml_text import toml_text
from ragline.errors import SetupError

NOTHING: Mapping[str, object] = MappingProxyType({})
DEFAULT_FILE = Path("ragline.toml")


def load_settings(*, toml: Path | None = None, arguments: Mapping[str, object] = NOTHING) -> Settings:
    """Return the settings of this machine.

    `toml` is the settings file; None: the one RAGLINE_CONFIG names, else ./ragline.toml where it exists. `arguments`
    are dotted names (`{"server.port": 8080}`) or nested mappings; one that is None was not given. A setting comes whole
    from its strongest source: lists and tables are replaced, not merged. Raises SetupError, one line for each problem.
    """
    return load_with_origins(toml=toml, arguments=arguments)[0]


def load_with_origins(
    *, toml: Path | None = None, arguments: Mapping[str, object] = NOTHING
) -> tuple[Settings, dict[str, Given]]:
    """Return the settings, and by dotted name what was given for those that are not at their default."""
    layers = [from_arguments(arguments), from_environment(os.environ)]
    if (path := _settings_file(toml)) is not None:
        layers.append(from_toml(path))
    given = _strongest(layers)
    problems = [problem for layer in layers for problem in layer.problems]
    try:
        settings = Settings.model_validate(_nested(given))
        problems += contradictions(settings, given)
    except ValidationError as error:
        problems += [_describe(details, given) for details in error.errors()]
    if problems:
        # Outside the handler: pydantic's own text would carry the values, secrets among them, into a traceback.
        raise SetupError("\n".join(problems))
    return settings, given


def _settings_file(toml: Path | None) -> Path | None:
    if toml is not None:
        return toml
    if named := os.environ.get("RAGLINE_CONFIG"):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _strongest(layers: Sequence[Layer]) -> dict[str, Given]:
    """Merge layers, the strongest first."""
    merged: dict[str, Given] = {}
    for layer in reversed(layers):
        merged |= layer.given
    return merged


def _nested(given: Mapping[str, Given]) -> dict[str, object]:
    tree: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for name, entry in given.items():
        section, dot, key = name.partition(".")
        if dot:
            tree[section] = tables.setdefault(section, {})
            tables[section][key] = entry.value
        else:
            tree[name] = entry.value
    return tree


def _describe(details: ErrorDetails, given: Mapping[str, Given]) -> str:
    """Return one of pydantic's errors as a line in the user's terms, without secrets."""
    name, within = _setting_at(details["loc"])
    setting = names.fields()[name]
    entry = given[name]
    key = entry.written + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in within)
    model = names.entry_model(setting)
    match details["type"]:
        case "extra_forbidden" if model is not None:
            meant = " or ".join(names.nearest(str(within[-1]), model.model_fields))
            keys = f"did you mean {meant}?" if meant else f"the keys: {', '.join(model.model_fields)}"
            shown, what = "", f"no such key; {keys}"
        case "missing":
            shown, what = "", "is missing"
        case _:
            innermost = model.model_fields.get(str(within[-1])) if model is not None and within else setting
            shown, what = _shown(details["input"], innermost), details["msg"].removeprefix("Value error, ")
    return f"{key}{shown} ({entry.source}): {what}"


def _setting_at(location: Sequence[int | str]) -> tuple[str, Sequence[int | str]]:
    """Split pydantic's location into the setting's dotted name and the rest, the place within its value."""
    whole = 2 if location[0] in names.sections() else 1
    return ".".join(map(str, location[:whole])), location[whole:]


def _shown(value: object, field: FieldInfo | None) -> str:
    """Return ` = value` where it is short, no list or table, and certainly not a secret."""
    if field is None or names.is_secret(field) or not isinstance(value, str | int | float):
        return ""
    text = toml_text(masked(value))
    return f" = {text}" if len(text) <= 80 else f" = {text[:79]}…"
