"""Spreadsheets and separated values: rows as lines `a | b | c`, in groups that each begin with the header."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ragline.pipelines.parse_text import decode
from ragline.types import Element

ROWS_PER_ELEMENT = 20
_DELIMITERS = ",;\t|"


def sheets(path: Path) -> Iterator[Element]:
    """Yield each sheet of a workbook: its name as a title, then its rows. Formulas appear as their last result."""
    import openpyxl  # type: ignore[import-untyped]  # has no types

    with path.open("rb") as file:  # given a path, openpyxl wants it to end in .xlsx
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        for number, sheet in enumerate(workbook.worksheets, start=1):
            sheet.reset_dimensions()  # the size that a file declares may be wrong, up to 16,384 empty columns
            rows = ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
            elements = table(rows, page=number)
            first = next(elements, None)
            if first is not None:
                yield Element(sheet.title, "title", level=1, page=number)
                yield first
                yield from elements


def comma_separated(path: Path) -> Iterator[Element]:
    """Yield the rows of a CSV file whose delimiter is any of , ; tab |."""
    text = decode(path.read_bytes())
    yield from _separated(text, _delimiter(text))


def tab_separated(path: Path) -> Iterator[Element]:
    """Yield the rows of a TSV file."""
    yield from _separated(decode(path.read_bytes()), "\t")


def table(rows: Iterable[Sequence[str]], *, page: int | None = None) -> Iterator[Element]:
    """Yield `rows` as table elements of up to 20 rows, each with the header as its first line.

    The header is the first row with two filled cells; single cells above it are text, such as a sheet's heading.
    Empty rows and empty cells at the end of a row are left out.
    """
    header, grouped = "", False
    lines: list[str] = []
    for row in rows:
        cells = [re.sub(r"\s+", " ", cell).strip() for cell in row]
        line = " | ".join(cells).rstrip(" |")
        if not line:
            continue
        if not header and sum(map(bool, cells)) > 1:
            if lines:
                yield Element("\n".join(lines), page=page)
            header, lines = line, []
            continue
        lines.append(line.strip(" |") if not header else line)
        if len(lines) == ROWS_PER_ELEMENT:
            yield _group(header, lines, page)
            lines, grouped = [], bool(header)
    if lines or (header and not grouped):
        yield _group(header, lines, page)


def _group(header: str, lines: list[str], page: int | None) -> Element:
    if not header:
        return Element("\n".join(lines), page=page)
    return Element("\n".join([header, *lines]), "table", page=page)


def _separated(text: str, delimiter: str) -> Iterator[Element]:
    # A quote that is never closed swallows the rest of the file: such a file has no quoting to speak of.
    quoted = text.count('"') % 2 == 0
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # of the whole process: other libraries read csv, too
    lines = io.StringIO(text, newline="")
    return table(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE))


def _delimiter(text: str) -> str:
    """The delimiter that the first lines share: the one found most often, and as often, in each of them."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text[:20_000].splitlines()[:20] if line.strip()]
    if not lines:
        return ","
    return max(_DELIMITERS, key=lambda mark: (min(line.count(mark) for line in lines), lines[0].count(mark)))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ", "seconds")
    return str(value)
