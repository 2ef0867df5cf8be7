"""The blocks of an OpenDocument in reading order: paragraphs, lists, tables, frames and what is noted at their foot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragline.pipelines.readers.office.odf_styles import DRAW, OFFICE, TABLE, TEXT, Counter, Styles
from ragline.pipelines.readers.tables.grid import (
    MAX_REPEATED_CHARS,
    Cell,
    flattened,
    grid,
    in_flow,
    one_line,
    single_spaced,
)
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_TITLE_CHARS = 300
MAX_REPEATED = 100
"""Cells or rows that are said to be repeated more often are padding."""
_XLINK = "{http://www.w3.org/1999/xlink}href"
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_PARAGRAPHS = (f"{TEXT}p", f"{TEXT}h")
_SHAPES = frozenset(
    f"{DRAW}{name}"
    for name in ("frame", "custom-shape", "rect", "ellipse", "circle", "line", "connector", "path", "polygon", "g")
) | {f"{DRAW}a"}
_LEFT_OUT = frozenset(
    {f"{TEXT}tracked-changes", f"{OFFICE}forms", f"{OFFICE}annotation", f"{OFFICE}annotation-end", f"{TEXT}ruby-text"}
)
_LEFT_OUT_ENDS = ("-source", "-decls", "-decl", "}title", "}desc", "}event-listeners", "}image-map", "}glue-point")
_PAGE_BREAK = f"{TEXT}soft-page-break"


@dataclass(slots=True)
class _Line:
    parts: list[str] = field(default_factory=list)
    shapes: list[_Element] = field(default_factory=list)
    notes: list[_Element] = field(default_factory=list)


class Blocks:
    """Reads blocks in their order. `page` is None in a document that does not tell its pages."""

    def __init__(self, styles: Styles, embedded: Callable[[str, int | None], Iterable[Element]]) -> None:
        self.page: int | None = None
        self.comments = 0
        self.embedded = 0
        self._styles = styles
        self._embedded = embedded
        self._outline = Counter(styles.outline)
        self._lists: dict[str, Counter] = {}
        self._begun = False
        self._notes = 0

    def each(self, parent: _Element) -> Iterator[Element]:
        for node in parent:
            yield from self.block(node)

    def block(self, node: _Element) -> Iterator[Element]:
        tag = str(node.tag)
        if tag in _PARAGRAPHS:
            yield from self._paragraph(node, None)
        elif tag == f"{TEXT}list":
            yield from self._list(node, 1, "", None)
        elif tag == f"{TABLE}table":
            yield from self._table(node)
        elif tag == _PAGE_BREAK:
            self._next_page()
        elif tag == f"{DRAW}object":
            yield from self._embedded(node.get(_XLINK, ""), self.page)
        elif tag == f"{OFFICE}annotation":
            self.comments += 1
        elif tag == f"{DRAW}object-ole":
            self.embedded += 1
        elif tag == f"{DRAW}frame":
            yield from self._frame(node)
        elif tag not in _LEFT_OUT and not tag.endswith(_LEFT_OUT_ENDS):
            yield from self.each(node)

    def _next_page(self) -> None:
        if self.page is not None and self._begun:
            self.page += 1

    def _frame(self, node: _Element) -> Iterator[Element]:
        """Yield the first of the forms of the same content that says anything."""
        for child in node:
            found = [element for element in self.block(child) if element.text.strip()]
            if found:
                yield from found
                return

    def _paragraph(self, node: _Element, mark: str | None, depth: int = 1) -> Iterator[Element]:
        style = self._styles.of(node.get(f"{TEXT}style-name", ""))
        if style.breaks_page:
            self._next_page()
        page = self.page
        line = _Line()
        self._walk(node, line)
        text = "".join(line.parts)
        self._begun = self._begun or not text.isspace()
        level = style.level
        if node.tag == f"{TEXT}h":
            said = node.get(f"{TEXT}outline-level", "")
            level = int(said) if said.isdecimal() and len(said) < 3 else level or 1
        if style.is_code:
            yield Element(text.rstrip(), "code", page=page)
        elif text := single_spaced(text):
            number = mark if mark is not None else self._number(node, level)
            if level and len(text) <= MAX_TITLE_CHARS:
                shown = f"{number} {text}" if number and number != "-" else text
                yield Element(one_line(shown), "title", level=max(level, 1), page=page)
            elif number:
                yield Element(f"{'  ' * (depth - 1)}{number} {text}", "list" if mark else "text", page=page)
            else:
                yield Element(text, page=page)
        yield from self._after(line, page)

    def _number(self, node: _Element, level: int) -> str:
        """Return the number of a heading in the outline of the document, if it has one."""
        if node.tag != f"{TEXT}h" or not self._styles.outline or node.get(f"{TEXT}is-list-header") == "true":
            return ""
        mark = self._outline.mark(level, start=node.get(f"{TEXT}start-value"))
        return "" if mark == "-" else mark

    def _after(self, line: _Line, page: int | None) -> Iterator[Element]:
        for shape in line.shapes:
            yield from self.block(shape)
        for note in line.notes:
            number = self._cited(note)
            body = note.find(f"{TEXT}note-body")
            text = flattened(self.each(body)) if body is not None else ""
            yield Element(f"[{number}] {text}" if text.strip() else "", page=page)

    def _cited(self, note: _Element) -> str:
        """Return the mark of a note: digits are counted, for LibreOffice may leave zeros in the file."""
        citation = (note.findtext(f"{TEXT}note-citation") or "").strip()
        self._notes += note.get(f"{TEXT}note-class") != "endnote"
        return str(self._notes) if citation.isdecimal() and note.get(f"{TEXT}note-class") != "endnote" else citation

    def _walk(self, node: _Element, line: _Line) -> None:
        if node.text:
            line.parts.append(node.text)
        for child in node:
            self._inline(child, line)
            if child.tail:
                line.parts.append(child.tail)

    def _inline(self, node: _Element, line: _Line) -> None:
        tag = str(node.tag)
        if tag == f"{TEXT}s":
            count = node.get(f"{TEXT}c", "1")
            line.parts.append(" " * (int(count) if count.isdecimal() and len(count) < 3 else 1))
        elif tag == f"{TEXT}tab":
            line.parts.append("\t")
        elif tag == f"{TEXT}line-break":
            line.parts.append("\n")
        elif tag == _PAGE_BREAK:
            self._next_page()
        elif tag == f"{TEXT}note":
            line.notes.append(node)
        elif tag == f"{OFFICE}annotation":
            self.comments += 1
        elif tag in _SHAPES:
            line.shapes.append(node)
        elif tag not in _LEFT_OUT and not tag.endswith(_LEFT_OUT_ENDS):
            self._walk(node, line)

    def _list(self, node: _Element, depth: int, name: str, counter: Counter | None) -> Iterator[Element]:
        """Yield the items of a list; the first paragraph of each has its mark."""
        name = node.get(f"{TEXT}style-name", name)
        if counter is None or node.get(f"{TEXT}style-name"):
            continued = node.get(f"{TEXT}continue-numbering") == "true" or node.get(f"{TEXT}continue-list")
            above = self._lists.get(node.get(f"{TEXT}continue-list", "")) or self._lists.get(name)
            counter = above if continued and above else Counter(self._styles.list_levels(name))
            self._lists[name] = counter
        if identity := node.get(_XML_ID):
            self._lists[identity] = counter
        for item in node:
            mark: str | None = ""
            if item.tag == f"{TEXT}list-item":
                mark = None
            for child in item:
                if child.tag == f"{TEXT}list":
                    yield from self._list(child, depth + 1, name, counter)
                elif child.tag in _PARAGRAPHS:
                    if mark is None:
                        mark = counter.mark(depth, start=item.get(f"{TEXT}start-value"))
                    yield from self._paragraph(child, mark, depth)
                    mark = ""
                else:
                    yield from self.block(child)

    def _table(self, node: _Element) -> Iterator[Element]:
        page = self.page
        cells: list[list[Cell]] = []
        inside: list[list[list[Element]]] = []
        headers = 0
        for row, is_heading in _rows(node):
            found = [(cell, list(self.each(cell))) for cell in row if cell.tag == f"{TABLE}table-cell"]
            line = [cell for node, elements in found for cell in _cells(node, flattened(elements))]
            chars = sum(len(cell.text) for cell in line)
            times = _count(row, "rows-repeated") if 0 < chars <= MAX_REPEATED_CHARS else 1
            for _ in range(times):
                cells.append(line)
                inside.append([elements for _, elements in found])
            headers += times if is_heading else 0
        if in_flow(inside):
            yield from (element for row in inside for cell in row for element in cell)
        else:
            yield from grid(cells, headers=headers or None, page=page)


def _rows(node: _Element, *, is_heading: bool = False) -> Iterator[tuple[_Element, bool]]:
    for child in node:
        if child.tag == f"{TABLE}table-row":
            yield child, is_heading
        elif child.tag == f"{TABLE}table-header-rows":
            yield from _rows(child, is_heading=True)
        elif child.tag in (f"{TABLE}table-rows", f"{TABLE}table-row-group"):
            yield from _rows(child, is_heading=is_heading)


def _cells(node: _Element, text: str) -> list[Cell]:
    width, height = (_count(node, f"{name}-spanned") for name in ("columns", "rows"))
    again = Cell(text if len(text) <= MAX_REPEATED_CHARS else "", width, height)
    return [Cell(text, width, height), *[again] * (_count(node, "columns-repeated") - 1)]


def _count(node: _Element, name: str) -> int:
    said = node.get(f"{TABLE}number-{name}", "1")
    number = int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else 1
    return min(max(number, 1), MAX_REPEATED)
