"""OpenDocument, the format of LibreOffice: texts (.odt) and presentations (.odp), straight from their XML."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragline.errors import OverLimit
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_comments, note_embedded, note_hidden
from ragline.pipelines.readers.office.odf_styles import (
    DRAW,
    META,
    OFFICE,
    PRESENTATION,
    STYLE,
    SVG,
    TABLE,
    TEXT,
    Styles,
)
from ragline.pipelines.readers.office.odf_text import Blocks
from ragline.pipelines.readers.office.package import MAX_ABOUT_CHARS, Package, about_of, refuse_encrypted
from ragline.pipelines.readers.office.safe_xml import streamed, tree
from ragline.pipelines.readers.office.slide_shapes import SAME_LINE_EMU
from ragline.pipelines.readers.office.slides import slide
from ragline.pipelines.readers.tables.grid import flattened, one_line
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

_TEXTS = (
    *("p", "h", "list", "section", "soft-page-break", "numbered-paragraph", "bibliography", "alphabetical-index"),
    *("table-of-content", "illustration-index", "table-index", "object-index", "user-index"),
)
_SHAPES = ("frame", "g", "custom-shape", "rect", "ellipse", "circle", "path", "polygon")
_BLOCKS = (*(TEXT + name for name in _TEXTS), f"{TABLE}table", *(DRAW + name for name in _SHAPES))
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_CHART = "{urn:oasis:names:tc:opendocument:xmlns:chart:1.0}"
_EMU = {"cm": 360_000, "mm": 36_000, "in": 914_400, "pt": 12_700, "pc": 152_400, "px": 9_525}
_LENGTH = re.compile(r"(-?\d{1,6}(?:\.\d{1,9})?)([a-z]{2})")
_FURNITURE = ("header", "footer", "date-time", "page-number", "page")
_HEADS = {"header": ("header", "header-first", "header-left"), "footer": ("footer", "footer-first", "footer-left")}


def odt(reading: Reading) -> Iterator[Element]:
    """Yield a text document; pages are known where LibreOffice left their breaks in the file."""
    with Package(reading.path) as package:
        document = _Document(reading, package)
        yield from document.heads("header")
        with package.open("content.xml") as file:
            for node in document.nodes(streamed(file, f"{OFFICE}text", _BLOCKS)):
                if node.getparent().get(f"{TEXT}use-soft-page-breaks") == "true":
                    document.blocks.page = document.blocks.page or 1
                yield from document.blocks.block(node)
        yield from document.heads("footer")
        document.left_out()


def odp(reading: Reading) -> Iterator[Element]:
    """Yield the slides of a presentation with their notes; the page is the number of the slide."""
    with Package(reading.path) as package:
        document = _Document(reading, package)
        count, hidden = 0, []
        with package.open("content.xml") as file:
            for node in document.nodes(streamed(file, f"{OFFICE}presentation", (f"{DRAW}page",))):
                count += 1
                if count > reading.options.max_pages:
                    raise OverLimit(f"has more than {reading.options.max_pages} slides (parsing.max_pages)")
                if node.get(f"{DRAW}style-name") in document.styles.hidden_pages:
                    hidden.append(count)
                yield from _slide(node, document.blocks, count)
        reading.about["pages"] = count
        note_hidden(reading, hidden)
        document.left_out()


class _Document:
    """The styles of a document, and a reader of its blocks."""

    def __init__(self, reading: Reading, package: Package) -> None:
        self._reading = reading
        self._package = package
        refuse_encrypted(package)
        self._looks = self._root("styles.xml")
        self.styles = Styles()
        if self._looks is not None:
            self.styles.add(self._looks)
        self.blocks = Blocks(self.styles, self._embedded)
        reading.about.update(_about(self._root("meta.xml")))

    def nodes(self, nodes: Iterator[_Element]) -> Iterator[_Element]:
        """Yield the nodes, and take the styles that stand before the first of them."""
        for number, node in enumerate(nodes):
            if number == 0:
                for styles in node.getroottree().getroot().iterfind(f"{OFFICE}automatic-styles"):
                    self.styles.add(styles)
            yield node

    def heads(self, kind: str) -> Iterator[Element]:
        seen = Heads()
        names = tuple(f"{STYLE}{name}" for name in _HEADS[kind])
        for node in self._looks.iter(*names) if self._looks is not None else ():
            yield Element(seen.new(flattened(Blocks(self.styles, self._embedded).each(node))))

    def left_out(self) -> None:
        note_comments(self._reading, self.blocks.comments)
        note_embedded(self._reading, self.blocks.embedded)

    def _root(self, part: str) -> _Element | None:
        if part not in self._package:
            return None
        with self._package.open(part) as file:
            return tree(file)

    def _embedded(self, reference: str, page: int | None) -> Iterator[Element]:
        """Yield what a formula or a chart in the document says."""
        part = posixpath.normpath(posixpath.join("/", reference, "content.xml")).lstrip("/")
        if (root := self._root(part)) is None:
            return
        if root.tag == f"{_MATH}math":
            texts = (node.text for node in root.iter(*(f"{_MATH}{name}" for name in ("mi", "mn", "mo", "mtext"))))
            yield Element(one_line(" ".join(filter(None, texts))), page=page)
            return
        blocks = Blocks(self.styles, lambda *_: ())
        blocks.page = page
        for title in root.iter(f"{_CHART}title"):
            yield from blocks.each(title)
        for table in root.iter(f"{TABLE}table"):
            yield from blocks.block(table)


def _slide(node: _Element, blocks: Blocks, number: int) -> Iterator[Element]:
    blocks.page = number
    shapes = [child for child in node if child.tag.startswith(DRAW)]
    titles = [shape for shape in shapes if shape.get(f"{PRESENTATION}class") == "title"]
    title = " ".join(one_line(element.text) for shape in titles for element in blocks.block(shape))
    rest = [
        element
        for shape in _in_order(shapes)
        if shape.get(f"{PRESENTATION}class") not in ("title", *_FURNITURE)
        for element in blocks.block(shape)
        if element.text.strip()
    ]
    notes = [
        element
        for shape in node.iterfind(f"{PRESENTATION}notes/*")
        if shape.get(f"{PRESENTATION}class") not in _FURNITURE
        for element in blocks.block(shape)
        if element.text.strip()
    ]
    blocks.page = number  # whatever breaks its texts contain
    yield from slide(title, rest, notes, number)


def _in_order(shapes: list[_Element]) -> list[_Element]:
    """Return the shapes from top to bottom, those beside each other from left to right."""
    placed = sorted(((_emu(shape, "y"), _emu(shape, "x"), number) for number, shape in enumerate(shapes)))
    lines: list[list[tuple[int, int, int]]] = []
    for place in placed:
        if not lines or place[0] - lines[-1][0][0] > SAME_LINE_EMU:
            lines.append([])
        lines[-1].append(place)
    return [shapes[number] for line in lines for _, _, number in sorted(line, key=lambda place: place[1:])]


def _emu(shape: _Element, name: str) -> int:
    if shape.tag == f"{DRAW}g":
        return min((_emu(child, name) for child in shape), default=0)
    found = _LENGTH.fullmatch(shape.get(f"{SVG}{name}", ""))
    return int(float(found[1]) * _EMU.get(found[2], 0)) if found else 0


def _about(root: _Element | None) -> dict[str, str | int]:
    if root is None:
        return {}
    said: dict[str, str | int] = dict(about_of(root))
    for node in root.iter(f"{META}initial-creator"):
        said.setdefault("author", one_line(node.text or "")[:MAX_ABOUT_CHARS])
    for node in root.iter(f"{META}document-statistic"):
        if (pages := node.get(f"{META}page-count", "")).isdecimal() and len(pages) < 7:
            said["pages"] = int(pages)
    return {key: value for key, value in said.items() if value}
