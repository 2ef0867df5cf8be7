"""Filters on the metadata of files: read from Ragline's and from OpenAI's notation, and matched.

A filter is matched against the metadata that came with a file and against what is known of the file itself (`facts`).
"""

from __future__ import annotations

import math
import operator
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from ragline.errors import Invalid
from ragline.types import Condition, FileRecord, Json, Operator, Scalar, Where

__all__ = ["Condition", "Where", "facts", "matches", "of_metadata", "of_openai"]

MAX_DEPTH = 8
"""Levels of `and` and `or` inside each other."""
MAX_CONDITIONS = 100
"""Conditions in one filter."""
MAX_VALUES = 500
"""Values in one list."""
MAX_KEY_CHARS = 256
MAX_VALUE_CHARS = 1000

OPERATORS: tuple[Operator, ...] = get_args(Operator)
ORDERING: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def of_metadata(given: Mapping[str, object], *, at: str = "metadata") -> Where:
    """Read `{"year": 2024, "lang": ["fr", "en"], "size": {"gte": 3, "lt": 9}}`: all keys must fit, a list is any of.

    `at` is what messages call the filter. Raises Invalid naming the place.
    """
    parts: list[Condition] = []
    for key, wanted in given.items():
        place = f"{at}.{shown(key)}"
        check_key(key, place)
        match wanted:
            case Mapping():
                if not wanted:
                    raise Invalid(f"{place}: names no operator; known: {', '.join(OPERATORS)}")
                parts += [condition(key, name, value, f"{place}.{shown(name)}") for name, value in wanted.items()]
            case list() | tuple():
                parts.append(condition(key, "in", wanted, place))
            case _:
                parts.append(condition(key, "eq", wanted, place))
        check_size(len(parts), at)
    return Where(tuple(parts))


def of_openai(given: object, *, at: str = "filters") -> Where:
    """Read OpenAI's filters: `{"type": "eq", "key": …, "value": …}`, and `{"type": "and" or "or", "filters": […]}`.

    `at` is what messages call the filter. Raises Invalid naming the place.
    """
    count = 0

    def read(part: object, place: str, depth: int) -> Condition | Where:
        nonlocal count
        if depth > MAX_DEPTH:
            raise Invalid(f"{at}: lies deeper than {MAX_DEPTH} levels; write it flatter")
        match part:
            case {"type": "and" | "or" as joined, "filters": list() | tuple() as inner}:
                if not inner:
                    raise Invalid(f"{place}.filters: is empty; leave {joined!r} out, or name what it joins")
                check_size(len(inner), at)
                return Where(
                    tuple(read(one, f"{place}.filters[{i}]", depth + 1) for i, one in enumerate(inner)), joined
                )
            case {"type": "and" | "or" as joined}:
                raise Invalid(f"{place}: {joined!r} needs a list `filters`")
            case {"type": str() as name, "key": str() as key, "value": value}:
                count += 1
                check_size(count, at)
                check_key(key, f"{place}.key")
                return condition(key, name, value, place)
            case Mapping():
                raise Invalid(f"{place}: needs `type`, and `key` and `value` or a list `filters`")
        raise Invalid(f"{place}: is no object")

    found = read(given, at, 1)
    return found if isinstance(found, Where) else Where((found,))


def facts(file: FileRecord) -> dict[str, Json]:
    """Return what a filter is matched against: the file's metadata, and of the file what that does not name itself."""
    return {
        "name": file.filename,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size_bytes,
        "created_at": file.created_at,
        "sha256": file.sha256,
        **file.metadata,
    }


def matches(where: Where, values: Mapping[str, object]) -> bool:
    """Tell whether metadata fits a filter.

    Where the key is missing only `ne` and `nin` are true. A list fits if one of its values does, and for `ne` and `nin`
    if none does. `gt` and the like compare numbers with numbers and texts with texts, so dates as 2024-05-31.
    """
    found = (
        matches(part, values) if isinstance(part, Where) else fits(part, values.get(part.key)) for part in where.parts
    )
    return all(found) if where.joined == "and" else any(found)


def fits(wanted: Condition, value: object) -> bool:
    have = [comparable(one) for one in (value if isinstance(value, list | tuple) else [value]) if is_scalar(one)]
    against = wanted.value if isinstance(wanted.value, tuple) else (wanted.value,)
    accepted = [comparable(one) for one in against]
    if wanted.operator in ("eq", "in"):
        return any(one in accepted for one in have)
    if wanted.operator in ("ne", "nin"):
        return all(one not in accepted for one in have)
    compare, (kind, limit) = ORDERING[wanted.operator], accepted[0]
    return any(kind == other and compare(one, limit) for other, one in have)


def comparable(value: object) -> tuple[str, object]:
    """Return a value beside its kind: true is not 1, and texts are the same however their accents are written."""
    if isinstance(value, str):
        return "text", unicodedata.normalize("NFC", value)
    return "truth" if isinstance(value, bool) else "number", value


def is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def condition(key: str, name: object, value: object, place: str) -> Condition:
    """Return a condition whose value fits its operator. Raises Invalid."""
    if name not in OPERATORS:
        raise Invalid(f"{place}: no operator {shown(name)!r}; known: {', '.join(OPERATORS)}")
    wanted: Operator = name
    if wanted in ("in", "nin"):
        return Condition(key, wanted, values_of(value, place))
    only = scalar(value, place)
    if wanted in ORDERING and isinstance(only, bool):
        raise Invalid(f"{place}: true and false have no order; use eq or ne")
    return Condition(key, wanted, only)


def values_of(value: object, place: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple):
        raise Invalid(f"{place}: needs a list of values")
    if len(value) > MAX_VALUES:
        raise Invalid(f"{place}: {len(value)} values, and {MAX_VALUES} are allowed; use gte and lte, or ask in parts")
    return tuple(scalar(one, f"{place}[{number}]") for number, one in enumerate(value))


def scalar(value: object, place: str) -> Scalar:
    if not isinstance(value, str | int | float | bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise Invalid(f"{place}: must be a text, a number, true or false")
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
        raise Invalid(f"{place}: a text of {len(value)} characters, and {MAX_VALUE_CHARS} are allowed")
    return value


def check_key(key: str, place: str) -> None:
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise Invalid(f"{place}: a key has 1 to {MAX_KEY_CHARS} characters")


def check_size(conditions: int, at: str) -> None:
    if conditions > MAX_CONDITIONS:
        raise Invalid(f"{at}: more than {MAX_CONDITIONS} conditions are not allowed; use `in` for many values of a key")


def chosen(where: Where | None, files: Iterable[FileRecord]) -> Sequence[FileRecord]:
    """Return the files that a filter fits, in their order; all of them without one."""
    return [file for file in files if where is None or matches(where, facts(file))]


def shown(word: object) -> str:
    """Return a word of the client for a message: bounded, and without what could break a line."""
    return repr(str(word)[:60])[1:-1]
