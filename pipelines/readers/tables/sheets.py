"""Spreadsheets: what the readers of their formats share, and workbooks of Excel before 2007."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.tables.grid import MAX_REPEATED_CHARS, MAX_REPEATED_IN_ALL
from ragline.pipelines.readers.tables.numbers import shown
from ragline.pipelines.readers.tables.tables import Row, sheet_table
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    import xlrd  # type: ignore[import-untyped]  # has no types


@dataclass(frozen=True, slots=True)
class Merged:
    """Cells that are one; columns from 0, rows from 1, both ends in it."""

    first_column: int
    first_row: int
    last_column: int
    last_row: int


def sheet_elements(rows: Iterable[Row], beside: Iterable[str], *, page: int, sheet: str) -> Iterator[Element]:
    """Yield the name of a sheet, its tables, and the texts beside them as one element; nothing for an empty sheet."""
    title = [Element(" ".join(sheet.split()), "title", level=1, page=page, sheet=sheet)]
    filled = (row for row in rows if row.cells)
    for element in sheet_table(filled, page=page, sheet=sheet):
        yield from title
        title = []
        yield element
    if texts := "\n".join(dict.fromkeys(text for text in beside if text)):
        yield from title
        yield Element(texts, page=page, sheet=sheet)


def by_row(ranges: Iterable[Merged]) -> dict[int, list[Merged]]:
    """Return the merged cells by the row that they begin in."""
    found: dict[int, list[Merged]] = {}
    for range_ in ranges:
        found.setdefault(range_.first_row, []).append(range_)
    return found


def merged(rows: Iterable[Row], ranges: Mapping[int, Sequence[Merged]]) -> Iterator[Row]:
    """Yield the rows with the cells that are merged downwards in each of them, and the widths of the others.

    `ranges` are by their first row, and known when that comes.
    """
    hanging: dict[int, tuple[str, int]] = {}
    left = MAX_REPEATED_IN_ALL
    for row in rows:
        hanging = {column: cell for column, cell in hanging.items() if cell[1] >= row.number}
        wide: dict[int, int] = {}
        cells = dict(row.cells)
        for column, (text, _) in hanging.items():
            if cells and column not in cells and left > 0:
                cells[column] = text
                left -= len(text)
        for range_ in ranges.get(row.number, ()):
            text = row.cells.get(range_.first_column, "")
            if not text or len(text) > MAX_REPEATED_CHARS:
                continue
            if range_.last_row > row.number:
                hanging[range_.first_column] = (text, range_.last_row)
            if range_.last_column > range_.first_column:
                wide[range_.first_column] = range_.last_column
        yield Row(row.number, {column: cells[column] for column in sorted(cells)} if hanging else cells, wide)


def rescued(reading: Reading) -> Iterator[Element]:
    """Yield what another library can still read of a damaged workbook, without the places of its cells."""
    from ragline.pipelines.readers.libraries.by_kreuzberg import document

    reading.note("the workbook is damaged; its numbers may look different, and something of it may be missing")
    yield from document(reading)


def old_workbook(reading: Reading) -> Iterator[Element]:
    """Yield the sheets of a workbook of Excel 2 to 2003 as `parse_xlsx.workbook` does those of a newer one."""
    import xlrd

    with unlocked(reading) as path, _opened(path) as book:
        if book.user_name:
            reading.about["author"] = " ".join(book.user_name.split())[:500]
        for number in range(book.nsheets):
            sheet = book.sheet_by_index(number)
            ranges = [
                Merged(first_column, first_row + 1, last_column - 1, last_row)
                for first_row, last_row, first_column, last_column in sheet.merged_cells
            ]
            notes = [
                f"{xlrd.cellname(*place)}: {' '.join(note.text.split())}"
                for place, note in sorted(sheet.cell_note_map.items())
            ]
            yield from sheet_elements(
                merged(_old_rows(book, sheet), by_row(ranges)), notes, page=number + 1, sheet=sheet.name
            )
            if sheet.visibility:
                reading.note(f"the sheet {sheet.name!r} is hidden in the workbook; it was read as the others")
            book.unload_sheet(number)


def _opened(path: Path) -> xlrd.Book:
    import xlrd

    try:
        return xlrd.open_workbook(
            str(path), logfile=io.StringIO(), formatting_info=True, on_demand=True, ragged_rows=True
        )
    except RecursionError:
        raise ValueError("the list of the file's streams goes in circles") from None


def _old_rows(book: xlrd.Book, sheet: xlrd.sheet.Sheet) -> Iterator[Row]:
    for number in range(sheet.nrows):
        cells = {}
        for column, cell in enumerate(sheet.row(number)):
            if text := _old_text(book, cell):
                cells[column] = text
        yield Row(number + 1, cells)


def _old_text(book: xlrd.Book, cell: xlrd.sheet.Cell) -> str:
    import xlrd

    match cell.ctype:
        case xlrd.XL_CELL_TEXT:
            return " ".join(cell.value.split())
        case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
            style = book.xf_list[cell.xf_index] if cell.xf_index is not None else None
            form = book.format_map.get(style.format_key) if style else None
            return shown(cell.value, form.format_str if form else "", from_1904=book.datemode == 1)
        case xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if cell.value else "FALSE"
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return ""
