"""Tables as elements: rows as lines `a | b | c`, in groups that each begin with the headings of the columns."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from ragline.pipelines.readers.tables.headings import LOOK_AHEAD, headings_of, is_titled
from ragline.types import Element

ROWS_PER_ELEMENT = 20
MAX_ELEMENT_CHARS = 16_000
"""A longer group is ended before; a longer row is cut between its cells, and a longer cell at a blank."""
MAX_HEADINGS_CHARS = 8_000
"""Longer headings are not repeated as a whole, but only over the cells that a row has."""
MAX_SPREAD = 500
"""In wider tables a heading over several columns stands over the first of them only."""
MAX_NAME_CHARS = 200
"""A row that is cut repeats its first cell in each part, if it is not longer."""


class Row(NamedTuple):
    """The cells of a row that are filled, by their columns from 0, left to right; `number` counts rows from 1.

    `wide` gives the last column of the cells that cover several.
    """

    number: int
    cells: Mapping[int, str]
    wide: Mapping[int, int] = MappingProxyType({})

    @property
    def chars(self) -> int:
        return sum(map(len, self.cells.values())) + 3 * len(self.cells)


def table(rows: Iterable[Sequence[str]], *, page: int | None = None, headers: int | None = None) -> Iterator[Element]:
    """Yield `rows` as table elements of up to 20 rows, each with the headings as its first lines.

    `headers` says how many of the rows that are not empty are headings, None: they are guessed. Rows with a single
    cell above the headings are text. Empty rows, and columns that are empty in the whole element, are left out.
    """
    return _Table(page, None).elements(_filled(rows), headers)


def sheet_table(rows: Iterable[Row], *, page: int | None, sheet: str) -> Iterator[Element]:
    """Yield the tables of a sheet as `table` does, with the numbers of their rows and the names of their columns.

    After empty rows a new table may begin, with headings of its own.
    """
    return _Table(page, sheet).elements(rows, None)


def row_table(rows: Iterable[Row], *, headers: int | None) -> Iterator[Element]:
    """Yield the rows of one table as `table` does, its cells already in their columns."""
    return _Table(None, None).elements(rows, headers)


def column_name(column: int) -> str:
    """Return what spreadsheets call a column that counts from 0: A to Z, AA and so on."""
    name = ""
    column += 1
    while column > 0:
        column, digit = divmod(column - 1, 26)
        name = chr(ord("A") + digit) + name
    return name


@dataclass(slots=True)
class _Table:
    """Takes rows in their order; `_headings` belong to the rows of `_group`, which is not yet written."""

    page: int | None
    sheet: str | None
    _headings: list[Row] = field(default_factory=list)
    _group: list[Row] = field(default_factory=list)
    _columns: set[int] = field(default_factory=set)
    _chars: int = 0
    _in_table: bool = False
    _is_wide: bool = False
    _written: bool = True

    def elements(self, rows: Iterable[Row], headers: int | None) -> Iterator[Element]:
        source = iter(rows)
        ahead: deque[Row] = deque()
        above: Row | None = None
        while row := _next(source, ahead):
            if self.sheet is not None and above and row.number > above.number + 1 and self._is_new(row, ahead):
                yield from self._end()
            if self._in_table or (headers is None and len(row.cells) < 2):
                yield from self._add(row)
            else:
                yield from self._end()
                known = headers if headers is not None else headings_of(row.cells, [later.cells for later in ahead])
                row = yield from self._begin(row, min(known, LOOK_AHEAD), ahead)
            above = row
        yield from self._end()

    def _begin(self, row: Row, headers: int, ahead: deque[Row]) -> Generator[Element, None, Row]:
        """Begin a table at `row` and return the last row that was taken."""
        self._in_table = True
        if not headers:
            yield from self._add(row)
            return row
        self._headings = _spread([row, *(ahead.popleft() for _ in range(min(headers - 1, len(ahead))))])
        self._is_wide = sum(heading.chars for heading in self._headings) > MAX_HEADINGS_CHARS
        self._written = self._is_wide
        if self._is_wide:
            for heading in self._headings:
                yield from self._cut(heading, [])
        return self._headings[-1]

    def _is_new(self, row: Row, ahead: Sequence[Row]) -> bool:
        """Tell whether a row after empty ones begins another table, or a text."""
        lead = 0
        for above, later in pairwise([row, *ahead]):
            if len(above.cells) > 1:
                break
            if later.number > above.number + 1:
                return True
            lead += 1
        first, *below = [later.cells for later in [row, *ahead][lead:]]
        columns = {column for heading in self._headings for column in heading.cells}
        if len(first) < 2:
            return True
        if lead or not first.keys() <= columns:
            return bool(headings_of(first, below))
        return is_titled(first, below) or any(
            heading.cells.get(column) == text for heading in self._headings for column, text in first.items()
        )

    def _add(self, row: Row) -> Iterator[Element]:
        chars = row.chars
        room = MAX_ELEMENT_CHARS - sum(heading.chars for heading in self._headings)
        if self._is_wide or chars > room:
            yield from self._flush()
            yield from self._cut(row, self._headings)
            return
        columns = self._columns | row.cells.keys()
        blanks = 3 * len(columns) * (len(self._headings) + len(self._group) + 1)
        if len(self._group) == ROWS_PER_ELEMENT or self._chars + chars > room or blanks > MAX_ELEMENT_CHARS:
            yield from self._flush()
            columns = set(row.cells)
        self._group.append(row)
        self._chars += chars
        self._columns = columns

    def _flush(self) -> Iterator[Element]:
        if self._group:
            yield self._element(self._headings, self._group)
            self._written = True
        self._group, self._chars, self._columns = [], 0, set()

    def _end(self) -> Iterator[Element]:
        yield from self._flush()
        if not self._written:
            yield self._element(self._headings, [])
        self._headings, self._in_table, self._is_wide, self._written = [], False, False, True

    def _cut(self, row: Row, headings: Sequence[Row]) -> Iterator[Element]:
        """Yield a row that is too long for one element in several, each under the headings of its cells."""
        first = min(row.cells)
        name = {first: row.cells[first]} if len(row.cells[first]) <= MAX_NAME_CHARS else {}
        kept: dict[int, str] = {}
        chars = 0
        for column, text in _pieces(row.cells):
            above = sum(min(len(heading.cells.get(column, "")), MAX_NAME_CHARS) for heading in headings)
            if kept and (column in kept or chars + above + len(text) > MAX_ELEMENT_CHARS - MAX_NAME_CHARS):
                yield self._band(row.number, kept, headings)
                kept, chars = dict(name), 0
            kept[column] = text
            chars += above + len(text) + 6
        yield self._band(row.number, kept, headings)

    def _band(self, number: int, cells: Mapping[int, str], headings: Sequence[Row]) -> Element:
        over = [
            Row(
                heading.number,
                {column: heading.cells[column][:MAX_NAME_CHARS] for column in cells if column in heading.cells},
            )
            for heading in headings
        ]
        return self._element([heading for heading in over if heading.cells], [Row(number, cells)])

    def _element(self, headings: Sequence[Row], rows: Sequence[Row]) -> Element:
        lines = [*headings, *rows]
        columns = sorted({column for row in lines for column in row.cells})
        grid = [[row.cells.get(column, "") for column in columns] for row in lines]
        in_sheet = self.sheet is not None
        is_table = self._in_table
        return Element(
            "\n".join(_line(cells) for cells in grid),
            "table" if is_table else "text",
            page=self.page,
            html=_html(grid, len(headings)) if is_table else None,
            sheet=self.sheet,
            rows=tuple(row.number for row in lines) if in_sheet else (),
            columns=(column_name(columns[0]), column_name(columns[-1])) if in_sheet else None,
            headers=len(headings),
        )


def _filled(rows: Iterable[Sequence[str]]) -> Iterator[Row]:
    """Yield the rows that are not empty, each cell on one line."""
    for number, row in enumerate(rows, start=1):
        cells = {column: clean for column, cell in enumerate(row) if (clean := " ".join(cell.split()))}
        if cells:
            yield Row(number, cells)


def _next(source: Iterator[Row], ahead: deque[Row]) -> Row | None:
    """Return the next row, with LOOK_AHEAD of those that follow it in `ahead` where there are as many."""
    while len(ahead) <= LOOK_AHEAD and (row := next(source, None)):
        ahead.append(row)
    return ahead.popleft() if ahead else None


def _spread(headings: list[Row]) -> list[Row]:
    """Return the headings, each cell repeated over those cells of the row below that it covers."""
    for number in range(len(headings) - 2, -1, -1):
        row, below = headings[number], headings[number + 1].cells
        cells = dict(row.cells)
        for column, last in row.wide.items() if len(below) <= MAX_SPREAD else ():
            cells |= {under: cells[column] for under in below if column < under <= last and column in cells}
        headings[number] = Row(row.number, {column: cells[column] for column in sorted(cells)})
    return headings


def _pieces(cells: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield the cells, those that are too long for an element in pieces."""
    most = MAX_ELEMENT_CHARS // 2
    for column, text in cells.items():
        start = 0
        while len(text) - start > most:
            blank = text.rfind(" ", start + most // 2, start + most)
            stop = blank if blank > 0 else start + most
            yield column, text[start:stop]
            start = stop + (blank > 0)
        yield column, text[start:]


def _line(cells: Sequence[str]) -> str:
    last = max((number for number, cell in enumerate(cells, start=1) if cell), default=0)
    return " | ".join(cells[:last])


def _html(grid: Sequence[Sequence[str]], headers: int) -> str:
    lines = []
    for number, cells in enumerate(grid):
        tag = "th" if number < headers else "td"
        lines.append("<tr>" + "".join(f"<{tag}>{escape(cell, quote=False)}</{tag}>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"
