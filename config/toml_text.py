"""Writes a value as TOML. The standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(value: object) -> str:
    """Return the value on one line; None as an empty text, which means none in Ragline's settings."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case None | str() | Path():
            return _quoted("" if value is None else str(value))
        case list() | tuple():
            return f"[{', '.join(map(toml_text, value))}]"
        case BaseModel():
            return _table({key: getattr(value, key) for key in type(value).model_fields})
        case Mapping():
            return _table(value)
    raise TypeError(f"{type(value).__name__!r} has no TOML form; known: bool, int, float, str, Path, table, list")


def _table(entries: Mapping[str, object]) -> str:
    pairs = ", ".join(
        f"{key if _BARE_KEY.fullmatch(key) else _quoted(key)} = {toml_text(entry)}"
        for key, entry in entries.items()
        if entry is not None
    )
    return f"{{ {pairs} }}" if pairs else "{}"


def _quoted(text: str) -> str:
    """A JSON string is a TOML string but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
