"""JSON and XML: lines that a person can read, `key: value`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.parse_text import decode
from ragline.types import Element, Json

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_DEPTH = 100


def json_document(path: Path) -> Iterator[Element]:
    """Yield one element for each object or list directly below the top, and one for the plain values between them."""
    yield from _json_elements(_load(decode(path.read_bytes())))


def json_lines(path: Path) -> Iterator[Element]:
    """Yield one element for each line of a file that holds one JSON value a line."""
    for number, line in enumerate(decode(path.read_bytes()).splitlines(), start=1):
        if line.strip():
            yield Element("\n".join(_lines(_load(line, f" on line {number}"))))


def xml_document(path: Path) -> Iterator[Element]:
    """Yield the paragraphs of running text, and for each record its values as lines `name: value`.

    Entities that the file declares are not replaced and nothing outside the file is read.
    """
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.parse(str(path), parser).getroot()
    except etree.XMLSyntaxError as error:
        raise ParseFailed(f"is not well-formed XML: {error.msg}") from error
    yield from _xml_elements(root)


def _load(text: str, where: str = "") -> Json:
    try:
        value: Json = json.loads(text)
    except json.JSONDecodeError as error:
        line = where or f" on line {error.lineno}"
        raise ParseFailed(f"is not valid JSON: {error.msg}{line}, column {error.colno}") from error
    return value


def _json_elements(value: Json) -> Iterator[Element]:
    plain: list[str] = []
    for name, child in _children(value) if isinstance(value, dict | list) else [("", value)]:
        if not isinstance(child, dict | list):
            plain.extend(_lines(child, name))
            continue
        if plain:
            yield Element("\n".join(plain))
            plain = []
        # The items of a list need no number to be told apart: each is an element.
        yield Element("\n".join(_lines(child, name if isinstance(value, dict) else "")))
    if plain:
        yield Element("\n".join(plain))


def _lines(value: Json, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield `a.b[0]: value` for each plain value inside `value`."""
    if depth > MAX_DEPTH:
        raise ParseFailed(f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict | list):
        for key, child in _children(value):
            yield from _lines(child, f"{name}.{key}".lstrip(".") if isinstance(value, dict) else name + key, depth + 1)
    elif value is not None and value != "":
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"{name}: {text}" if name else text


def _children(value: dict[str, Json] | list[Json]) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    else:
        yield from ((f"[{number}]", child) for number, child in enumerate(value))


def _xml_elements(root: _Element) -> Iterator[Element]:
    """Walk without recursion; an element whose children are all plain values is a record."""
    record: list[str] = []
    owner: _Element | None = None
    walk = root.iter("*")
    skip: set[_Element] = set()
    for node in walk:
        parent = node.getparent()
        if parent in skip:
            skip.add(node)
            continue
        mixed = _is_mixed(node)
        if record and (parent is not owner or mixed):
            yield Element("\n".join(record))
            record = []
        if mixed:
            skip.add(node)
            yield Element(_words("".join(_texts(node))))
        elif text := _words(_unmarked(node.text or "")):
            owner = parent
            record.append(f"{_local(node)}: {text}")
    if record:
        yield Element("\n".join(record))


def _is_mixed(node: _Element) -> bool:
    """True for running text with markup inside, such as `<p>see <b>here</b></p>`."""
    return len(node) > 0 and bool((node.text or "").strip() or any((child.tail or "").strip() for child in node))


def _texts(node: _Element) -> Iterator[str]:
    return (str(text) for text in node.itertext("*"))


def _unmarked(text: str) -> str:
    """The words of HTML that a feed carries as text."""
    if "</" not in text:
        return text
    from lxml import html

    return str(html.fromstring(f"<div>{text}</div>").text_content())


def _local(node: _Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _words(text: str) -> str:
    return " ".join(text.split())
