"""What is wrong with values that are set on a command line or in a request, in plain words: what each setting takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ragline.config import names
from ragline.config.masking import masked

KINDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number"}
BOUNDS: Mapping[str, str] = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
SHOWN_CHARS = 80


def faults(error: ValidationError, fields: Mapping[str, FieldInfo], *, section: str = "") -> list[str]:
    """Return a line for each value that is not allowed: the setting, what was given, and what it takes.

    `section`, as in `retrieval.`, stands before the names. Secrets are not shown.
    """
    lines = []
    for one in error.errors():
        key = str(one["loc"][0]) if one["loc"] else ""
        name, field = f"{section}{key}", fields.get(key)
        if field is None:
            lines.append(no_such(name, [f"{section}{each}" for each in fields]))
            continue
        given = "a secret" if names.is_secret(field) else repr(str(masked(one["input"]))[:SHOWN_CHARS])
        wanted = f"it takes {simple}" if (simple := takes(field)) else one["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {given} is not allowed: {wanted}")
    return list(dict.fromkeys(lines))


def no_such(name: str, known: list[str]) -> str:
    """Return that there is no setting of this name, and which one may be meant, or all there are."""
    meant = names.nearest(name, known)
    hint = f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(known)}"
    return f"there is no setting {name[:SHOWN_CHARS]!r}; {hint}"


def takes(field: FieldInfo) -> str:
    """Return what a field takes, as `a whole number, more than 0, at most 200`; "" where that is not so simple."""
    kinds = [field.annotation] if get_origin(field.annotation) is Literal else get_args(field.annotation)
    kind, *others = [each for each in kinds or (field.annotation,) if each is not NoneType]
    if others:
        return ""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return ", ".join([KINDS[kind], *_bounds(field)]) if kind in KINDS else ""


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        for name, words in BOUNDS.items():
            if (bound := getattr(rule, name, None)) is not None:
                yield f"{words} {bound:g}"
