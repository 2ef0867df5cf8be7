"""Electronic books (EPUB): their chapters in reading order, each read as a web page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ragline.errors import ParseFailed
from ragline.pipelines.readers.office.package import DAMAGES, Package, about_of, resolved
from ragline.pipelines.readers.text.encoding import decode
from ragline.pipelines.readers.web.html import declared_in, elements, tree_of
from ragline.pipelines.readers.web.html_survey import local, words
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_LEVEL = 6
MAX_TITLE_CHARS = 400
TITLE_AMONG = 3
"""Among so many elements at the beginning of a chapter its title from the table of contents is looked for."""

_CHAPTERS = frozenset({"application/xhtml+xml", "text/html", "application/xml", "text/xml", "text/x-oeb1-document", ""})
_PICTURES = ("image/", "audio/", "video/", "font/")
_ABOUT = {"title": "title", "creator": "author", "language": "language", "date": "date", "subject": "subject"}
_OBFUSCATED_FONTS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
_PAGE = re.compile(r"\.x?html?\Z", re.IGNORECASE)
_DECLARATION_BYTES = 4096


def book(reading: Reading) -> Iterator[Element]:
    """Yield the chapters of a book in its reading order; titles that they lack are taken from its table of contents.

    Raises ParseFailed where the chapters are encrypted.
    """
    with Package(reading.path) as package:
        yield from _Book(package, reading).elements()


@dataclass(frozen=True, slots=True)
class _Item:
    """A part of the book as its list names it."""

    id: str
    part: str
    kind: str
    properties: Sequence[str]


class _Book:
    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        self._items: dict[str, _Item] = {}
        self._order: list[str] = []
        self._ncx = ""

    def elements(self) -> Iterator[Element]:
        self._open()
        self._refuse_encrypted()
        titles = self._titles()
        for item in self._chapters():
            if item.part not in self._package:
                self._reading.note(f"the chapter {_name(item)!r} is missing in the book")
            elif item.kind.startswith(_PICTURES):
                self._reading.note(f"{_name(item)!r} is no text ({item.kind}) and was left out")
            else:
                try:
                    yield from _titled(self._chapter(item), titles.get(item.part.lower()))
                except DAMAGES:
                    self._reading.note(f"the chapter {_name(item)!r} is damaged, and something of it is missing")

    def _open(self) -> None:
        """Read what the book says of itself and of its parts; a book without that is what lies in it."""
        try:
            part = self._description()
            root = self._package.root(part)
        except (ParseFailed, *DAMAGES):
            self._reading.note("the list of the book's chapters is damaged; they were read in the order of their names")
            names = sorted(filter(_PAGE.search, self._package.parts()))
            self._items = {name: _Item(name, name, "", ()) for name in names}
            self._order = names
            return
        folder = part.rpartition("/")[0]
        for metadata in root.iter("{*}metadata"):
            self._reading.about |= about_of(metadata, _ABOUT)
        for node in root.iter("{*}item"):
            place, kind = resolved(folder, node.get("href") or ""), (node.get("media-type") or "").strip().lower()
            item = _Item(node.get("id") or "", place, kind, (node.get("properties") or "").split())
            self._items.setdefault(item.id, item)
        self._order = [node.get("idref") or "" for node in root.iter("{*}itemref")]
        spine = next(root.iter("{*}spine"), None)
        self._ncx = (spine.get("toc") or "") if spine is not None else ""

    def _description(self) -> str:
        """Return the part that lists the chapters. Raises ParseFailed where there is none."""
        container = "META-INF/container.xml"
        if container in self._package:
            for node in self._package.root(container).iter("{*}rootfile"):
                if (part := resolved("", node.get("full-path") or "")) in self._package:
                    return part
        for part in self._package.parts():
            if part.lower().endswith(".opf"):
                return part
        raise ParseFailed("lacks the list of its chapters; it is damaged or no EPUB")

    def _chapters(self) -> Iterator[_Item]:
        """Yield the chapters, each once; all pages that are listed where the book names no order."""
        order = dict.fromkeys(self._order)
        if not any(id_ in self._items for id_ in order):
            order = dict.fromkeys(id_ for id_, item in self._items.items() if item.kind in _CHAPTERS - {""})
            if order:
                self._reading.note("the book does not say in which order its chapters are read; it may be another")
        for id_ in order:
            if (item := self._items.get(id_)) is None:
                self._reading.note(f"the chapter {id_[:80]!r} is named but not in the book's list")
            elif "nav" not in item.properties:
                yield item

    def _refuse_encrypted(self) -> None:
        rules = "META-INF/encryption.xml"
        if rules not in self._package:
            return
        chapters = {item.part.lower() for item in self._chapters()}
        for node in self._package.root(rules).iter("{*}EncryptedData"):
            method = next((found.get("Algorithm") for found in node.iter("{*}EncryptionMethod")), None)
            parts = {resolved("", found.get("URI") or "").lower() for found in node.iter("{*}CipherReference")}
            if method not in _OBFUSCATED_FONTS and parts & chapters:
                raise ParseFailed("is protected against copying (DRM) and cannot be read; get it without protection")

    def _chapter(self, item: _Item) -> Iterator[Element]:
        with self._package.open(item.part) as file:
            data = file.read()
        self._reading.budget.take_bytes(len(data))
        root = tree_of(decode(data, declared_in(data[:_DECLARATION_BYTES])))
        if root is not None:
            yield from elements(root)

    def _titles(self) -> dict[str, tuple[str, int]]:
        """Return the title and the level of each part in the table of contents, the first where it has several."""
        found: dict[str, tuple[str, int]] = {}
        contents = [item for item in self._items.values() if "nav" in item.properties]
        ncx = self._items.get(self._ncx) or next(
            (item for item in self._items.values() if item.kind == "application/x-dtbncx+xml"), None
        )
        for item in [*contents, *([ncx] if ncx else [])]:
            if item.part not in self._package:
                continue
            try:
                root = self._package.root(item.part)
            except DAMAGES:
                continue  # the chapters are read without it
            folder = item.part.rpartition("/")[0]
            for target, title, level in _entries(root):
                found.setdefault(resolved(folder, target).lower(), (title[:MAX_TITLE_CHARS], min(level, MAX_LEVEL)))
        return found


def _entries(root: _Element) -> Iterator[tuple[str, str, int]]:
    """Yield the target, the title and the level of each entry in a table of contents of EPUB 2 or 3."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    level, title = 0, ""
    for event, node in etree.iterwalk(root, events=("start", "end")):
        name = local(node)
        if name in ("ol", "navpoint"):
            level += 1 if event == "start" else -1
        elif event == "start" and name == "navlabel":
            title = words(node)
        elif event == "start" and name in ("a", "content"):
            text, target = (words(node), node.get("href")) if name == "a" else (title, node.get("src"))
            if level and text and target:
                yield unquote(target), text, level


def _titled(chapter: Iterator[Element], entry: tuple[str, int] | None) -> Iterator[Element]:
    """Yield a chapter under its title in the table of contents, if it has none at its beginning itself."""
    first = [element for _, element in zip(range(TITLE_AMONG), chapter, strict=False)]
    if entry is not None and first and not any(element.kind == "title" for element in first):
        title, level = entry
        same = next((place for place, element in enumerate(first) if _folded(element.text) == _folded(title)), None)
        if same is None:
            first.insert(0, Element(title, "title", level=level))
        else:
            first[same] = replace(first[same], kind="title", level=level)
    yield from first
    yield from chapter


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _name(item: _Item) -> str:
    return item.part.rpartition("/")[2][:80]
