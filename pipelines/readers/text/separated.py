"""Separated values, such as CSV: rows as tables, with the numbers that their rows have in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from ragline.pipelines.readers.tables.tables import Row, sheet_table
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.reading import Reading
from ragline.types import Element

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 30
_SEPARATOR_LINE = re.compile(r"\s*sep=(.)[ \t]*(?:\r\n|\r|\n)", re.IGNORECASE)
"""What Excel writes first into a file, and does not show."""


def comma_separated(reading: Reading) -> Iterator[Element]:
    """Yield the rows of a CSV file whose delimiter is any of , ; tab |."""
    text = decoded(reading)
    said = _SEPARATOR_LINE.match(text[:100])
    first = 2 if said else 1
    yield from _rows(text[said.end() :] if said else text, said[1] if said else delimiter_of(text), first)


def tab_separated(reading: Reading) -> Iterator[Element]:
    """Yield the rows of a TSV file; without a tab in it, of a CSV file that is called so."""
    text = decoded(reading)
    yield from _rows(text, "\t" if "\t" in text else delimiter_of(text), 1)


def delimiter_of(text: str) -> str:
    """Return which of , ; tab | gives the most rows the same number of cells, and the most cells among equals."""
    whole = len(text) <= _SAMPLE_CHARS
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        rows = [row for row in islice(_records(text[:_SAMPLE_CHARS], delimiter), _SAMPLE_ROWS) if row]
        if not whole and 1 < len(rows) < _SAMPLE_ROWS:
            rows.pop()  # it may be cut
        counts = Counter(len(row) for row in rows)
        cells, agreeing = max(counts.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(1, 0))
        score = (agreeing / len(rows), cells) if cells > 1 else (0.0, 0)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(text: str, delimiter: str, first: int) -> Iterator[Element]:
    rows = (
        Row(number, {column: clean for column, cell in enumerate(record) if (clean := " ".join(cell.split()))})
        for number, record in enumerate(_records(text, delimiter), start=first)
    )
    for element in sheet_table((row for row in rows if row.cells), page=None, sheet=""):
        yield replace(element, sheet=None)


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    # A quote that is never closed swallows the rest of the file: such a file has no quoting to speak of.
    quoted = text.count('"') % 2 == 0
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # of the whole process: other libraries read csv, too
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
