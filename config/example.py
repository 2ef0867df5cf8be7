"""Writes what the settings say of themselves: ragline.example.toml and docs/settings.md.

`python -m ragline.config.example` rewrites both in a checkout; a test fails while they are out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from types import NoneType
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ragline.config import names
from ragline.config.environment import QUIET
from ragline.config.settings import Settings
from ragline.config.toml_text import toml_text
from ragline.errors import SetupError

_TOML_INTRODUCTION = """\
# Ragline's settings with their defaults. Copy this file to ragline.toml and take the # away from what you change.
# Stronger than this file: environment variables such as RAGLINE_SERVER__PORT, then options of the command.
# An empty text means none, where there can be none. Keys that do not exist are errors.
"""

_MARKDOWN_INTRODUCTION = """\
# Settings

<!-- Written by `python -m ragline.config.example`; change config/settings.py instead. -->

A setting comes from the strongest place that has it: an option of the command, an environment variable, `ragline.toml`,
the default. `ragline config` shows each value and where it came from.

- **Whole values.** A list or a table replaces the one in a weaker place, entries are not merged. In a variable it is
  JSON: `RAGLINE_MODELS__ALIASES='{"gpt-4o": ["llama3.2"]}'`.
- **Empty text** means none where there is such a default (`RAGLINE_VECTORS__URL=`), and is an error elsewhere.
- **Nothing is passed over.** An unknown key in the file, or an unknown variable that starts with `RAGLINE_`, stops the
  start with a line that says which, where and what may be meant.
- **Secrets**, and passwords in URLs, are masked wherever settings are shown.
"""

_ENV_NOTE = """
`ENV` also sets `env`, where `RAGLINE_ENV` is not set. If another program needs `ENV`, set `RAGLINE_ENV`.
"""

_TOML_WIDTH = 110


def example_toml() -> str:
    """Return a settings file with all settings commented out; text lines start with `# `, settings with `#`."""
    parts = [
        _TOML_INTRODUCTION.rstrip(),
        *_toml_keys({name: field for name, field in _top().items() if not _is_tables(field)}),
    ]
    for section, model in names.sections().items():
        parts += [f"\n[{section}]", *_comment(model.__doc__ or "")]
        keys = model.model_fields
        parts += _toml_keys({key: field for key, field in keys.items() if not _is_tables(field)})
        # What follows the header of an entry belongs to the entry, so lists of tables come last.
        parts += _toml_tables({f"{section}.{key}": field for key, field in keys.items() if _is_tables(field)})
    parts += _toml_tables({name: field for name, field in _top().items() if _is_tables(field)})
    return "\n".join(parts) + "\n"


def settings_markdown() -> str:
    """Return the page with a heading for each section and a table of its settings."""
    parts = [_MARKDOWN_INTRODUCTION, "## General\n", *_markdown_table(_top()), _ENV_NOTE]
    for section, model in names.sections().items():
        parts += [f"## {section}\n", f"{model.__doc__}\n"]
        parts += [*_markdown_table({f"{section}.{key}": field for key, field in model.model_fields.items()}), ""]
    for name, field in names.fields().items():
        if entry := names.entry_model(field):
            parts += [f"## Entries of {name}\n", f"{entry.__doc__} In `ragline.toml` each is a table `[[{name}]]`.\n"]
            parts += [*_markdown_table(entry.model_fields, with_variables=False), ""]
    parts += ["## Other variables\n", "| variable | what it does |", "| --- | --- |"]
    parts += [f"| `{variable}` | {text} |" for variable, text in names.OTHER_VARIABLES.items()]
    parts += [
        f"| `{names.TEST_PREFIX}…` | Read by the test suite only. |",
        "",
        "Ragline sends no telemetry, and sets these variables, unless you have set them, so that its libraries send "
        f"none either and do not spin for long: {', '.join(f'`{name}={value}`' for name, value in QUIET.items())}.",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Rewrite both files. Raises SetupError outside a checkout."""
    room = Path(__file__).resolve().parent
    docs = room.parent / "docs"
    if not docs.is_dir():
        raise SetupError(f"{str(docs)!r}: no such folder; run this in a checkout of Ragline")
    (room / "ragline.example.toml").write_text(example_toml(), encoding="utf-8")
    (docs / "settings.md").write_text(settings_markdown(), encoding="utf-8")


def _top() -> Mapping[str, FieldInfo]:
    return {name: field for name, field in names.fields().items() if name in Settings.model_fields}


def _is_tables(field: FieldInfo) -> bool:
    return names.entry_model(field) is not None


def _toml_keys(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for key, field in fields.items():
        yield from ["", *_comment(field.description or "")]
        yield f"#{key} = {toml_text(_default(field))}"


def _toml_tables(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        model = names.entry_model(field)
        assert model is not None
        yield from ["", *_comment(field.description or ""), *_comment(f"{model.__doc__} Keys of an entry:")]
        for key, entry_field in model.model_fields.items():
            default = "" if _default(entry_field) is None else f" Default: {toml_text(_default(entry_field))}."
            yield from _comment(f"- {key}: {_kind(entry_field)}. {entry_field.description}{default}")
        entries = _default(field)
        for entry in entries if isinstance(entries, tuple | list) else ():
            given = {key: value for key in model.model_fields if (value := getattr(entry, key)) is not None}
            yield f"#[[{name}]]"
            yield from (f"#{key} = {toml_text(value)}" for key, value in given.items())


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _TOML_WIDTH)]


def _markdown_table(fields: Mapping[str, FieldInfo], *, with_variables: bool = True) -> Iterator[str]:
    yield "| setting | variable | value | default | |" if with_variables else "| key | value | default | |"
    yield "| --- | --- | --- | --- | --- |" if with_variables else "| --- | --- | --- | --- |"
    for name, field in fields.items():
        cells = [f"`{name}`", _kind(field), _markdown_default(field), field.description or ""]
        if with_variables:
            cells.insert(1, f"`{names.variable(name)}`")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _markdown_default(field: FieldInfo) -> str:
    default = _default(field)
    if field.is_required():
        return "required"
    if default is None:
        return "none"
    if _is_tables(field) and isinstance(default, tuple | list):
        return "<br>".join(f"`{toml_text(entry)}`" for entry in default) or "none"
    return f"`{toml_text(default)}`"


def _default(field: FieldInfo) -> object:
    """Return the default; None for a required setting."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _kind(field: FieldInfo) -> str:
    """Return in words what a value is, with its bounds: `whole number, ≥ 0, ≤ 65535`."""
    kind = next((kind for kind in get_args(field.annotation) if kind is not NoneType), field.annotation)
    if get_origin(field.annotation) in (Literal, tuple, list, dict):
        kind = field.annotation
    bounds = [
        f"{sign} {toml_text(bound)}"
        for limit in field.metadata
        for sign, name in (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt"))
        if (bound := getattr(limit, name, None)) is not None
    ]
    return ", ".join([_kind_name(kind), *bounds])


def _kind_name(kind: object) -> str:
    simple = {bool: "true or false", int: "whole number", float: "number", Path: "path", SecretStr: "secret"}
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) in (tuple, list):
        entry = get_args(kind)[0]
        return "list of tables" if isinstance(entry, type) and issubclass(entry, BaseModel) else "list"
    if get_origin(kind) is dict:
        return "table"
    return next((text for known, text in simple.items() if kind is known), "text")


if __name__ == "__main__":
    main()
