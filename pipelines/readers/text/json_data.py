"""JSON: lines that a person can read, `key: value`, an element for each record."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ragline.errors import ParseFailed
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.reading import Reading
from ragline.types import Element, Json

MAX_DEPTH = 100
_ENOUGH_CHARS = 1_500
"""An element of so many ends where the next value is of another object, and surely with four times as many."""
_BLANKS = " \t\r\n\x1e"


def json_document(reading: Reading) -> Iterator[Element]:
    """Yield one element for each object or list directly below the top, and one for the plain values between them.

    A list of objects further down yields one for each of them. Several values after one another are read, too.
    """
    for value in loaded(decoded(reading)):
        yield from _records(value)


def json_lines(reading: Reading) -> Iterator[Element]:
    """Yield one element for each line of a file that holds one JSON value a line."""
    text = decoded(reading)
    first = text.lstrip(_BLANKS).partition("\n")[0]
    if first and not _is_json(first):  # values that go over several lines
        for value in loaded(text):
            yield from _records(value)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip(_BLANKS):
            yield from _pieces(_lines(_load(line, f" on line {number}")))


def loaded(text: str) -> Iterator[Json]:
    """Yield the values of a JSON text, which usually is one. Raises ParseFailed for anything else."""
    decoder = json.JSONDecoder()
    place = _skip(text, 0)
    if place == len(text):
        raise ParseFailed("has no text")
    while place < len(text):
        value, place = _decoded(decoder, text, place, "")
        yield value
        place = _skip(text, place)


def _load(line: str, where: str) -> Json:
    value, end = _decoded(json.JSONDecoder(), line, _skip(line, 0), where)
    if _skip(line, end) < len(line):
        raise ParseFailed(f"is not valid JSON: Extra data{where}, column {end + 1}")
    return value


def _decoded(decoder: json.JSONDecoder, text: str, place: int, where: str) -> tuple[Json, int]:
    try:
        found: tuple[Json, int] = decoder.raw_decode(text, place)
    except json.JSONDecodeError as error:
        line = where or f" on line {error.lineno}"
        raise ParseFailed(f"is not valid JSON: {error.msg}{line}, column {error.colno}") from error
    except ValueError as error:  # a number of thousands of digits
        raise ParseFailed("is not valid JSON: it holds a number that is too long") from error
    return found


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    except ValueError:
        return True
    return True


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _BLANKS:
        place += 1
    return place


def _records(value: Json, prefix: str = "", depth: int = 0) -> Iterator[Element]:
    if depth > MAX_DEPTH:
        raise ParseFailed(f"is nested more than {MAX_DEPTH} levels deep")
    plain: list[str] = []
    for name, child in _children(value) if isinstance(value, dict | list) else [("", value)]:
        path = _joined(prefix, name, value)
        if not isinstance(child, dict | list):
            plain.extend(_lines(child, path))
            continue
        yield from _pieces(plain)
        plain = []
        # The items of a list at the top need no number to be told apart: each is an element.
        path = path if prefix or isinstance(value, dict) else ""
        if isinstance(child, list) and any(isinstance(item, dict) for item in child):
            yield from _records(child, path or name, depth + 1)
        else:
            yield from _pieces(_lines(child, path, depth + 1))
    yield from _pieces(plain)


def _pieces(lines: Iterator[str] | list[str]) -> Iterator[Element]:
    """Yield the lines as elements, long ones cut where another object begins."""
    group: list[str] = []
    chars = 0
    owner = ""
    for line in lines:
        of = line.partition(": ")[0].rpartition(".")[0]
        if group and (chars > 4 * _ENOUGH_CHARS or (chars > _ENOUGH_CHARS and of != owner)):
            yield Element("\n".join(group))
            group, chars = [], 0
        group.append(line)
        chars += len(line) + 1
        owner = of
    if group:
        yield Element("\n".join(group))


def _lines(value: Json, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield `a.b[0]: value` for each plain value inside `value`."""
    if depth > MAX_DEPTH:
        raise ParseFailed(f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict | list):
        for key, child in _children(value):
            yield from _lines(child, _joined(name, key, value), depth + 1)
    elif value is not None and value != "":
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"{name}: {text}" if name else text


def _joined(name: str, key: str, owner: Json) -> str:
    return f"{name}.{key}".lstrip(".") if isinstance(owner, dict) else name + key


def _children(value: dict[str, Json] | list[Json]) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    else:
        yield from ((f"[{number}]", child) for number, child in enumerate(value))
