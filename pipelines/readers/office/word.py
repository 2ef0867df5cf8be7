"""Word documents (.docx and its kin) in reading order: titles, lists, tables, boxes and notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragline.pipelines.readers.office.drawings import drawing
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_comments, note_embedded
from ragline.pipelines.readers.office.package import Package
from ragline.pipelines.readers.office.safe_xml import streamed, tree
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.office.word_styles import VAL, Numbering, Style, Styles, W, numbered_lists, whole
from ragline.pipelines.readers.office.word_text import Inline, Line
from ragline.pipelines.readers.tables.grid import (
    MAX_REPEATED_CHARS,
    Cell,
    flattened,
    grid,
    in_flow,
    one_line,
    single_spaced,
)
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

P, TABLE, ROW, CELL = f"{W}p", f"{W}tbl", f"{W}tr", f"{W}tc"
MAX_TITLE_CHARS = 300
"""A longer paragraph is text, whatever its style: numbered clauses of contracts are often in the style of a title."""
MAX_COLUMNS = 63
_CONTAINERS = frozenset({f"{W}{name}" for name in ["sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"]})
_BLOCKS = (P, TABLE, *sorted(_CONTAINERS), f"{W}altChunk")


def docx(reading: Reading) -> Iterator[Element]:
    """Yield a document of Word 2007 or later; pages are known where Word left their breaks in the file."""
    with unlocked(reading) as path, Package(path) as package:
        reading.about |= package.about()
        yield from _Document(reading, package).elements()


class _Document:
    def __init__(self, reading: Reading, package: Package) -> None:
        self._reading = reading
        self._package = package
        self._main = package.main
        related = package.related(self._main)
        self._related = {found.id: found for found in related}
        self._parts = {found.kind: found.part for found in related if found.part in package}
        self._styles = Styles(self._root("styles"))
        self._numbering = Numbering(numbered_lists(self._root("numbering")))
        self._notes = {kind: _notes(self._root(f"{kind}s"), kind) for kind in ("footnote", "endnote")}
        self._numbers = {"footnote": 0, "endnote": 0}
        self._has_pages = False

    def elements(self) -> Iterator[Element]:
        self._has_pages = self._is_paged()
        inline = Inline()
        with self._package.open(self._main) as file:
            found = (self._block(node, inline) for node in streamed(file, f"{W}body", _BLOCKS))
            yield from joined(element for elements in found for element in elements)
        yield from self._heads("header")
        yield from self._heads("footer")
        self._left_out()

    def _root(self, kind: str) -> _Element | None:
        if (part := self._parts.get(kind)) is None:
            return None
        with self._package.open(part) as file:
            return tree(file)

    def _is_paged(self) -> bool:
        """Tell whether Word left the places where its pages began."""
        mark, before = b"lastRenderedPageBreak", b""
        with self._package.open(self._main) as file:
            while block := file.read(1 << 18):
                if mark in before + block:
                    return True
                before = block[-len(mark) :]
        return False

    def _blocks(self, parent: _Element, inline: Inline) -> Iterator[Element]:
        for node in parent:
            yield from self._block(node, inline)

    def _block(self, node: _Element, inline: Inline) -> Iterator[Element]:
        if node.tag == P:
            yield from self._paragraph(node, inline)
        elif node.tag == TABLE:
            yield from self._table(node, inline)
        elif node.tag in _CONTAINERS:
            yield from self._blocks(node, inline)
        elif node.tag == f"{W}altChunk":
            self._reading.note("a part of it is a document in another format and was left out")

    def _paragraph(self, node: _Element, inline: Inline) -> Iterator[Element]:
        style = self._styles.of(node.find(f"{W}pPr"))
        line = inline.line(node)
        page = line.page if self._has_pages else None
        if text := line.text.rstrip() if style.role == "code" else single_spaced(line.text):
            yield styled(text, style, self._numbering, page)
        yield from self._anchored(line, inline, page)

    def _anchored(self, line: Line, inline: Inline, page: int | None) -> Iterator[Element]:
        """Yield what hangs on a paragraph: text boxes, diagrams and charts, notes."""
        for box in line.boxes:
            yield from self._blocks(box, inline)
        for reference in line.references:
            if (found := self._related.get(reference)) and found.part in self._package:
                with self._package.open(found.part) as file:
                    yield from drawing(tree(file), page)
        for kind, name in line.notes:
            self._numbers[kind] += 1
            if (note := self._notes[kind].get(name)) is not None:
                text = flattened(self._blocks(note, Inline()))
                yield Element(f"[{self._numbers[kind]}] {text}" if text.strip() else "", page=page)

    def _table(self, node: _Element, inline: Inline) -> Iterator[Element]:
        page = inline.page
        table = _Table()
        for row in _within(node, ROW):
            if row.find(f"{W}trPr/{W}del") is None:
                cells = [(cell, list(joined(self._blocks(cell, inline)))) for cell in _within(row, CELL)]
                table.add(row, cells)
        if in_flow(table.elements):
            yield from (element for row in table.elements for cell in row for element in cell)
            return
        yield from grid(table.cells, headers=table.headers or None, page=page if self._has_pages else None)

    def _heads(self, kind: str) -> Iterator[Element]:
        """Yield each different header or footer of the document once."""
        seen = Heads()
        for found in self._related.values():
            if found.kind == kind and found.part in self._package:
                with self._package.open(found.part) as file:
                    yield Element(seen.new(flattened(self._blocks(tree(file), Inline()))))

    def _left_out(self) -> None:
        comments = self._root("comments")
        note_comments(self._reading, len(comments) if comments is not None else 0)
        note_embedded(self._reading, sum(found.kind in ("package", "oleObject") for found in self._related.values()))


def styled(text: str, style: Style, numbering: Numbering, page: int | None) -> Element:
    """Return a paragraph as what its style makes of it, with its number or the dash of its bullet."""
    depth = style.depth or 0
    mark = numbering.mark(style.list_id, depth) if style.list_id else None
    if style.role == "title" and len(text) <= MAX_TITLE_CHARS:
        shown = one_line(f"{mark} {text}" if mark and mark != "-" else text)
        return Element(shown, "title", level=style.level, page=page)
    if style.role == "code":
        return Element(text, "code", page=page)
    if not mark:
        return Element(text, page=page)
    return Element(f"{'  ' * depth}{mark} {text}", "list", page=page)


@dataclass(slots=True)
class _Table:
    """The rows of a table as cells, and as what stands in these; `headers` counts those that Word repeats on pages."""

    cells: list[list[Cell]] = field(default_factory=list)
    elements: list[list[list[Element]]] = field(default_factory=list)
    headers: int = 0
    _above: dict[int, str] = field(default_factory=dict)

    def add(self, row: _Element, found: Iterable[tuple[_Element, list[Element]]]) -> None:
        cells, inside, above = [], [], {}
        column = _number(row, "trPr", "gridBefore")
        cells += [Cell("")] * min(column, MAX_COLUMNS)
        for node, elements in found:
            shown = elements
            properties = node.find(f"{W}tcPr")
            merged = properties.find(f"{W}vMerge") if properties is not None else None
            text = flattened(elements)
            if merged is not None and merged.get(VAL) != "restart":
                text = self._above.get(column, "")
                shown = []
            if merged is not None:
                above[column] = text if len(text) <= MAX_REPEATED_CHARS else ""
            width = max(_number(node, "tcPr", "gridSpan"), 1)
            cells.append(Cell(text, width))
            inside.append(shown)
            column += width
        if self.headers == len(self.cells) and row.find(f"{W}trPr/{W}tblHeader") is not None:
            self.headers += 1
        self.cells.append(cells)
        self.elements.append(inside)
        self._above = above


def _number(node: _Element, properties: str, name: str) -> int:
    found = node.find(f"{W}{properties}/{W}{name}")
    return max((whole(found.get(VAL)) if found is not None else None) or 0, 0)


def _within(node: _Element, tag: str) -> Iterator[_Element]:
    """Yield the rows of a table or the cells of a row, those in content controls included."""
    for child in node:
        if child.tag == tag:
            yield child
        elif child.tag in _CONTAINERS:
            yield from _within(child, tag)


def _notes(root: _Element | None, kind: str) -> dict[str, _Element]:
    """Return the foot- or endnotes by their ids, without the lines that separate them from the text."""
    found = root.iterfind(f"{W}{kind}") if root is not None else ()
    return {node.get(f"{W}id", ""): node for node in found if node.get(f"{W}type", "normal") == "normal"}


def joined(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the elements that are not blank, the lines of one piece of code as one element."""
    code: list[Element] = []
    for element in elements:
        if element.kind == "code":
            code.append(element)
        elif element.text.strip():
            yield from _code(code)
            code = []
            yield element
    yield from _code(code)


def _code(lines: list[Element]) -> Iterator[Element]:
    if lines:
        yield Element("\n".join(line.text for line in lines), "code", page=lines[0].page)
