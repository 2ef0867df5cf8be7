"""Spreadsheets of LibreOffice (OpenDocument): each sheet a title and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import IO, TYPE_CHECKING

from ragline.errors import OverLimit
from ragline.pipelines.readers.office.package import DAMAGES, Package, about_of, refuse_document_type, refuse_encrypted
from ragline.pipelines.readers.tables.sheets import Merged, merged, sheet_elements
from ragline.pipelines.readers.tables.tables import Row, column_name
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_COLUMN = 16_384
MAX_REPEATED = 1_000
"""A file may say of a filled cell or row that it is repeated; this many of each are written out."""
MAX_WRITTEN_CHARS = 2_000_000

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_BLANKS = (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break")


def spreadsheet(reading: Reading) -> Iterator[Element]:
    """Yield each sheet that is not empty: its name as a title, its tables, then its comments and text boxes."""
    with Package(reading.path) as package:
        refuse_encrypted(package)
        if "meta.xml" in package:
            with suppress(*DAMAGES):  # the sheets can be read without it
                reading.about |= about_of(package.root("meta.xml"))
        with package.open("content.xml") as file:
            yield from _Content(reading).elements(file)


@dataclass(slots=True, eq=False)
class _Sheet:
    """The sheet that is being read: `number` is its own, from 1, `row` the last row's that was read."""

    number: int = 0
    name: str = ""
    row: int = 0
    merged: dict[int, list[Merged]] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Content:
    reading: Reading
    _sheet: _Sheet = field(default_factory=_Sheet)
    _hidden: set[str] = field(default_factory=set)
    _style: str = ""
    _repeats: int = 0

    def elements(self, file: IO[bytes]) -> Iterator[Element]:
        for sheet, found in groupby(self._rows(file), key=itemgetter(0)):
            rows = merged((row for _, row in found), sheet.merged)
            yield from sheet_elements(rows, sheet.beside, page=sheet.number, sheet=sheet.name)

    def _rows(self, file: IO[bytes]) -> Iterator[tuple[_Sheet, Row]]:
        """Yield the rows that are not empty, and an empty one at the end of each sheet."""
        from lxml import etree  # type: ignore[import-untyped]  # has no types

        tags = [f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}shapes", f"{_STYLE}style"]
        depth = 0
        for event, node in etree.iterparse(
            file, ("start", "end"), tag=tags, resolve_entities=False, no_network=True, load_dtd=False
        ):
            tag = str(node.tag).rpartition("}")[2]
            if event == "start":
                if depth == 0:
                    refuse_document_type(node)
                depth += tag == "table"
                if tag == "table" and depth == 1:
                    self._begin(node)
                continue
            if tag == "style":
                self._note_style(node)
            elif tag == "table-row" and depth == 1:
                for row in self._repeated(node):
                    yield self._sheet, row
                _forget(node)
            elif tag == "shapes" and depth == 1:
                self._sheet.beside += _paragraphs(node)
            elif tag == "table":
                depth -= 1
                if depth == 0:
                    yield self._sheet, Row(self._sheet.row + 1, {})
                    _forget(node)

    def _begin(self, table: _Element) -> None:
        name = table.get(f"{_TABLE}name") or ""
        self._sheet = _Sheet(self._sheet.number + 1, name)
        if table.get(f"{_TABLE}style-name") in self._hidden and not name.startswith("'file:"):
            self.reading.note(f"the sheet {name!r} is hidden in the workbook; it was read as the others")

    def _note_style(self, style: _Element) -> None:
        shown = style.find(f"{_STYLE}table-properties")
        if shown is not None and shown.get(f"{_TABLE}display") == "false":
            self._hidden.add(style.get(f"{_STYLE}name") or "")

    def _repeated(self, node: _Element) -> Iterator[Row]:
        sheet = self._sheet
        number = sheet.row + 1
        times = _whole(node.get(f"{_TABLE}number-rows-repeated"))
        sheet.row += times
        if sheet.name.startswith("'file:"):  # what the sheet took from another file, kept out of sight
            return
        cells = self._cells(node, number)
        if not cells:
            return
        if times > MAX_REPEATED:
            self._note_repeated(f"row {number}", times)
        chars = sum(map(len, cells.values()))
        for repeated in range(min(times, MAX_REPEATED)):
            if repeated:
                self._take(chars)
            yield Row(number + repeated, cells)

    def _cells(self, row: _Element, number: int) -> dict[int, str]:
        cells: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren(*_CELLS):
            times = _whole(cell.get(f"{_TABLE}number-columns-repeated"))
            if len(cell) and column < MAX_COLUMN:
                self._sheet.beside += _beside(cell, column, number)
                self._merge(cell, column, number)
                if text := _text(cell):
                    if times > MAX_REPEATED:
                        self._note_repeated(f"cell {column_name(column)}{number}", times)
                    written = min(times, MAX_REPEATED)
                    self._take((written - 1) * len(text))
                    cells |= dict.fromkeys(range(column, column + written), text)
            column += times
        return cells

    def _merge(self, cell: _Element, column: int, row: int) -> None:
        last_column = column + _whole(cell.get(f"{_TABLE}number-columns-spanned")) - 1
        last_row = row + _whole(cell.get(f"{_TABLE}number-rows-spanned")) - 1
        if last_column > column or last_row > row:
            self._sheet.merged.setdefault(row, []).append(Merged(column, row, last_column, last_row))

    def _take(self, chars: int) -> None:
        """Count what is written out of repeats. Raises OverLimit for more than any sheet of people's has."""
        self._repeats += chars
        if self._repeats > MAX_WRITTEN_CHARS:
            raise OverLimit(
                f"says of filled cells that they are repeated, to more than {MAX_WRITTEN_CHARS} characters in all; "
                "delete the rows and columns that are not needed"
            )

    def _note_repeated(self, what: str, times: int) -> None:
        self.reading.note(
            f"{what} of the sheet {self._sheet.name!r} is repeated {times} times; it was read {MAX_REPEATED} times"
        )


def _text(cell: _Element) -> str:
    """Return what a cell shows; numbers with all their digits, dates as ISO 8601."""
    match cell.get(f"{_OFFICE}value-type"):
        case "float" if value := cell.get(f"{_OFFICE}value"):
            try:
                return f"{float(value):.15g}"
            except ValueError:
                return " ".join(value.split())
        case "date" if value := cell.get(f"{_OFFICE}date-value"):
            return " ".join(value.removesuffix("T00:00:00").replace("T", " ").split())
        case "boolean" if value := cell.get(f"{_OFFICE}boolean-value"):
            return str(value).strip().upper()
    return " ".join(" ".join(map(_words, cell.iterchildren(f"{_TEXT}p"))).split())


def _words(paragraph: _Element) -> str:
    """Return the text of a paragraph, whose blanks may be elements."""
    parts = [paragraph.text or ""]
    for node in paragraph.iterdescendants():
        if isinstance(node.tag, str):
            parts.append(" " if node.tag in _BLANKS else node.text or "")
        parts.append(node.tail or "")
    return "".join(parts)


def _paragraphs(node: _Element) -> list[str]:
    return [text for found in node.iter(f"{_TEXT}p") if (text := " ".join(_words(found).split()))]


def _beside(cell: _Element, column: int, row: int) -> Iterator[str]:
    """Yield the comment on a cell, and what stands in boxes or tables inside it."""
    for child in cell:
        if child.tag == f"{_TEXT}p" or not isinstance(child.tag, str):
            continue
        texts = _paragraphs(child)
        if child.tag == f"{_OFFICE}annotation" and texts:
            yield f"{column_name(column)}{row}: {' '.join(texts)}"
        elif child.tag != f"{_OFFICE}annotation":
            yield from texts


def _forget(node: _Element) -> None:
    parent = node.getparent()
    node.clear(keep_tail=False)
    while parent is not None and node.getprevious() is not None:
        del parent[0]


def _whole(text: str | None) -> int:
    """Return how often something is repeated, or how many cells it covers: at least 1."""
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 9 else 1
