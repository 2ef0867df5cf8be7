"""XML: the titles, paragraphs and tables of documents, the values of records as lines `name: value`."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.readers.text.encoding import decode
from ragline.pipelines.readers.text.plain import cut
from ragline.pipelines.readers.text.xml_document import document, is_document, is_mixed, local, texts, words
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

_TITLED = frozenset({"rss", "feed", "RDF", "svg"})
_TITLES = frozenset({"article-title", "title", "book-title"})
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,30};)")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,500}\?>")


def xml_document(reading: Reading) -> Iterator[Element]:
    """Yield titles, paragraphs, items and tables of a document; of anything else, its records and running text.

    Entities that the file declares are not replaced and nothing outside the file is read.
    """
    root = _root(reading)
    is_text = is_document(root)
    if is_text or local(root) in _TITLED:
        titles = (words("".join(texts(node))) for node in root.iter("*") if local(node) in _TITLES)
        if title := next(filter(None, titles), ""):
            reading.about["title"] = title[:500]
    yield from document(root) if is_text else _records(root)


def _root(reading: Reading) -> _Element:
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    def parsed(source: io.BytesIO) -> _Element:
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        return etree.parse(source, parser).getroot()

    data = reading.path.read_bytes()
    try:
        return parsed(io.BytesIO(data))
    except etree.XMLSyntaxError as error:
        message = str(error.msg)
        if not re.search(r"encoding|UTF-8|Entity '\w+' not defined|declaration allowed only at the start", message):
            raise ParseFailed(f"is not well-formed XML: {message}") from error
    # In another encoding than it says, or with the entities of HTML.
    text = _DECLARATION.sub("", decode(data).removeprefix("\ufeff"), count=1).lstrip()
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    try:
        return parsed(io.BytesIO(text.encode(errors="replace")))
    except etree.XMLSyntaxError as error:
        raise ParseFailed(f"is not well-formed XML: {error.msg}") from error


def _records(root: _Element) -> Iterator[Element]:
    """Walk without recursion; an element whose children are all plain values is a record."""
    record: list[str] = []
    owner: _Element | None = None
    skip: set[_Element] = set()
    for node in root.iter("*"):
        parent = node.getparent()
        if parent in skip:
            skip.add(node)
            continue
        mixed = is_mixed(node)
        if record and (parent is not owner or mixed):
            yield from _whole(record)
            record = []
        if mixed:
            skip.add(node)
            for part in cut(words("".join(texts(node)))):
                yield Element(part)
        elif text := words(_unmarked(node.text or "")):
            owner = parent
            record.append(f"{local(node)}: {text}")
    yield from _whole(record)


def _whole(record: list[str]) -> Iterator[Element]:
    for part in cut("\n".join(record)):
        yield Element(part)


def _unmarked(text: str) -> str:
    """The words of HTML that a feed carries as text."""
    if "</" not in text:
        return text
    from lxml import html as lxml_html

    return str(lxml_html.fromstring(f"<div>{text}</div>").text_content())
