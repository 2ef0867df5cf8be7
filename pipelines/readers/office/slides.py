"""Presentations (.pptx and its kin): the slides with their texts in reading order, tables, charts and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ragline.errors import OverLimit
from ragline.pipelines.readers.office.drawings import DGM, A, C, drawing
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_embedded, note_hidden
from ragline.pipelines.readers.office.package import Package, Related
from ragline.pipelines.readers.office.safe_xml import tree
from ragline.pipelines.readers.office.slide_shapes import PML, Shape, in_order, places
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.office.word_text import ALTERNATIVES, M, formula
from ragline.pipelines.readers.tables.grid import Cell, grid, one_line, single_spaced
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
MAX_TITLE_CHARS = 120
"""Longest first line of a slide that is taken for its title, where it has none."""
_TITLES = ("title", "ctrTitle")
_BODIES = ("body", "obj", None)
_FURNITURE = ("sldNum", "dt", "ftr", "hdr", "sldImg")
_HIDDEN = ("0", "false")


def pptx(reading: Reading) -> Iterator[Element]:
    """Yield the slides of a presentation of PowerPoint 2007 or later; the page is the number of the slide."""
    with unlocked(reading) as path, Package(path) as package:
        reading.about |= package.about()
        yield from _Deck(reading, package).elements()


def slide(title: str, rest: Sequence[Element], notes: Sequence[Element], number: int) -> Iterator[Element]:
    """Yield a slide under its title; where it has none, under a short text that it begins with, or its number.

    Without a title of its own, what stands on it would belong to the slide before.
    """
    if not title and rest:
        first = rest[0]
        if first.kind == "text" and len(first.text) <= MAX_TITLE_CHARS and "\n" not in first.text:
            title, rest = first.text, rest[1:]
    if title or rest or notes:
        yield Element(title or str(number), "title", level=1, page=number)
    yield from rest
    yield from notes


class _Deck:
    def __init__(self, reading: Reading, package: Package) -> None:
        self._reading = reading
        self._package = package
        self._heads = Heads()
        self._embedded = 0
        self._places: dict[str, Mapping[tuple[str, str], tuple[int, int]]] = {}

    def elements(self) -> Iterator[Element]:
        main = self._package.main
        parts = {found.id: found.part for found in self._package.related(main) if found.part in self._package}
        listed = (node.get(f"{REL}id") for node in self._root(main).iterfind(f"{PML}sldIdLst/{PML}sldId"))
        slides = [parts[identity] for identity in listed if identity in parts]
        most = self._reading.options.max_pages
        if len(slides) > most:
            raise OverLimit(f"has {len(slides)} slides; allowed are {most} (parsing.max_pages)")
        self._reading.about["pages"] = len(slides)
        hidden = []
        for number, part in enumerate(slides, start=1):
            root = self._root(part)
            if root.get("show") in _HIDDEN:
                hidden.append(number)
            yield from self._slide(root, self._package.related(part), number)
        note_hidden(self._reading, hidden)
        note_embedded(self._reading, self._embedded)

    def _root(self, part: str) -> _Element:
        with self._package.open(part) as file:
            return tree(file)

    def _slide(self, root: _Element, related: Sequence[Related], number: int) -> Iterator[Element]:
        self._embedded += sum(found.kind in ("package", "oleObject") for found in related)
        layout = next((found.part for found in related if found.kind == "slideLayout"), "")
        parts = {found.id: found.part for found in related if found.part in self._package}
        shapes = in_order(root.find(f"{PML}cSld/{PML}spTree"), self._placed(layout))
        titles = [shape for shape in shapes if shape.placeholder in _TITLES]
        title = " ".join(one_line(text) for shape in titles for text, _ in _paragraphs(shape.node))
        rest = [
            element
            for shape in shapes
            if shape.placeholder not in (*_TITLES, *_FURNITURE)
            for element in self._shape(shape, parts, number)
            if element.text.strip()
        ]
        rest += [Element(text, page=number) for shape in shapes if (text := self._furniture(shape))]
        notes = [element for found in related if found.kind == "notesSlide" for element in self._notes(found, number)]
        yield from slide(title, rest, notes, number)

    def _placed(self, layout: str) -> Mapping[tuple[str, str], tuple[int, int]]:
        """Return where the placeholders of a layout stand, those of its master behind them."""
        if layout not in self._package:
            return {}
        if layout not in self._places:
            master = (found.part for found in self._package.related(layout) if found.kind == "slideMaster")
            self._places[layout] = {}  # a layout that is its own master ends here
            above = self._placed(next(master, ""))
            found = places(self._root(layout))
            by_type = {kind: place for (kind, _), place in above.items()}
            self._places[layout] = {**{(kind, ""): place for kind, place in by_type.items()}, **above, **found}
        return self._places[layout]

    def _shape(self, shape: Shape, parts: Mapping[str, str], number: int) -> Iterator[Element]:
        node = shape.node
        if node.tag == f"{PML}graphicFrame":
            if (found := node.find(f"{A}graphic/{A}graphicData/{A}tbl")) is not None:
                yield from _table(found, number)
            for name in (f"{C}chart", f"{DGM}relIds"):
                for reference in node.iter(name):
                    part = parts.get(reference.get(f"{REL}id") or reference.get(f"{REL}dm") or "")
                    if part is not None:
                        yield from drawing(self._root(part), number)
            return
        found_texts = _paragraphs(node)
        is_list = shape.is_placeholder and shape.placeholder in _BODIES and len(found_texts) > 1
        for text, properties in found_texts:
            mark = _mark(properties, is_list)
            yield Element(mark + text, "list" if mark else "text", page=number)

    def _furniture(self, shape: Shape) -> str:
        """Return what somebody wrote where the date, the number or the footer stands, the first time only."""
        if shape.placeholder not in _FURNITURE:
            return ""
        paragraphs = shape.node.iterfind(f"{PML}txBody/{A}p")
        return self._heads.new("\n".join(one_line(_text(paragraph, fields=False)) for paragraph in paragraphs))

    def _notes(self, found: Related, number: int) -> Iterator[Element]:
        if found.part not in self._package:
            return
        for shape in in_order(self._root(found.part).find(f"{PML}cSld/{PML}spTree"), {}):
            if shape.placeholder not in _FURNITURE:
                yield Element("\n".join(text for text, _ in _paragraphs(shape.node)), page=number)


def _paragraphs(node: _Element) -> list[tuple[str, _Element | None]]:
    """Return the paragraphs of a shape that are not blank, with their properties."""
    body = node.find(f"{PML}txBody")
    return [
        (text, paragraph.find(f"{A}pPr"))
        for paragraph in (body.iterfind(f"{A}p") if body is not None else ())
        if (text := single_spaced(_text(paragraph)))
    ]


def _text(node: _Element, *, fields: bool = True) -> str:
    parts = []
    for child in node:
        if child.tag == f"{A}r":
            parts.append(child.findtext(f"{A}t") or "")
        elif child.tag == f"{A}br":
            parts.append("\n")
        elif child.tag == f"{A}fld":
            parts.append((child.findtext(f"{A}t") or "") if fields and child.get("type") != "slidenum" else "")
        elif child.tag == ALTERNATIVES:
            parts += [_text(choice) for choice in child[:1]]
        elif child.tag.endswith("}m"):
            parts += [formula(child)]
        elif child.tag == f"{M}oMath":
            parts.append(formula(child))
    return "".join(parts)


def _mark(properties: _Element | None, is_list: bool) -> str:
    """Return what stands before a paragraph: nothing where it has no bullet."""
    depth = 0
    if properties is not None:
        level = properties.get("lvl", "0")
        depth = int(level) if level.isascii() and level.isdecimal() and len(level) == 1 else 0
        if properties.find(f"{A}buNone") is not None:
            return ""
        is_list = is_list or any(
            properties.find(f"{A}{name}") is not None for name in ("buChar", "buAutoNum", "buBlip")
        )
    return f"{'  ' * depth}- " if is_list or depth else ""


def _table(node: _Element, number: int) -> Iterator[Element]:
    rows = [[cell for found in row.iterfind(f"{A}tc") if (cell := _cell(found))] for row in node.iterfind(f"{A}tr")]
    properties = node.find(f"{A}tblPr")
    has_headings = properties is not None and properties.get("firstRow") in ("1", "true")
    yield from grid(rows, headers=1 if has_headings and len(rows) > 1 else None, page=number)


def _cell(node: _Element) -> Cell | None:
    """Return a cell, None where another covers it."""
    if node.get("hMerge") in ("1", "true") or node.get("vMerge") in ("1", "true"):
        return None
    text = "\n".join(_text(paragraph) for paragraph in node.iterfind(f"{A}txBody/{A}p"))
    return Cell(text, _count(node.get("gridSpan")), _count(node.get("rowSpan")))


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 5 else 1
