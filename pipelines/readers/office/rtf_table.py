"""The tables of Rich Text Format, whose cells are known by where they end on the line."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from ragline.pipelines.readers.tables.grid import MAX_REPEATED_CHARS, Cell, flattened, grid, in_flow
from ragline.types import Element

SAME_EDGE_TWIPS = 60
"""Cells that end so close to each other end at the same column: a twentieth of an inch."""
MAX_COLUMNS = 1_000
_MERGES = {"clmrg": "left", "clvmgf": "first", "clvmrg": "above"}


@dataclass(slots=True)
class _Row:
    cells: list[list[Element]]
    edges: list[int]
    merges: list[str]
    is_heading: bool


@dataclass(slots=True)
class RtfTable:
    """Takes cells and rows as they end. `cell` is the one that is being written."""

    cell: list[Element] = field(default_factory=list)
    _cells: list[list[Element]] = field(default_factory=list)
    _nested: list[str] = field(default_factory=list)
    _rows: list[_Row] = field(default_factory=list)
    _edges: list[int] = field(default_factory=list)
    _merges: list[str] = field(default_factory=list)
    _merge: str = ""
    _is_heading: bool = False

    def define(self, word: str) -> bool:
        """Take a word on how the next cell is merged with others; False for any other word."""
        if word not in _MERGES:
            return False
        self._merge = _MERGES[word]
        return True

    def place(self, word: str, number: int | None) -> None:
        """Take where a cell ends, and the words that begin the definition of a row or make it a heading."""
        if word == "trowd":
            self._edges, self._merges, self._merge, self._is_heading = [], [], "", False
        elif word == "trhdr":
            self._is_heading = True
        elif len(self._edges) < MAX_COLUMNS:
            self._edges.append(number or 0)
            self._merges.append(self._merge)
            self._merge = ""

    def end_cell(self, *, is_nested: bool) -> None:
        if not is_nested:
            self._cells.append(self.cell)
            self.cell = []

    def end_row(self, *, is_nested: bool) -> None:
        if is_nested:
            return
        if any(self._cells):
            self._rows.append(_Row(self._cells, self._edges, self._merges, self._is_heading))
        self._cells = []

    def elements(self) -> Iterator[Element]:
        """Yield the table, and begin a new one."""
        self.end_cell(is_nested=False)
        self.end_row(is_nested=False)
        rows, self._rows = self._rows, []
        if not rows:
            return
        if in_flow([row.cells for row in rows]):
            yield from (element for row in rows for cell in row.cells for element in cell)
            return
        headers = next((number for number, row in enumerate(rows) if not row.is_heading), len(rows))
        yield from grid(_placed(rows), headers=headers or None)


def _placed(rows: list[_Row]) -> Iterator[list[Cell]]:
    """Yield the cells with the columns that they cover, counted by the edges of all rows."""
    edges: list[int] = []
    for edge in sorted({edge for row in rows for edge in row.edges}):
        if not edges or edge - edges[-1] > SAME_EDGE_TWIPS:
            edges.append(edge)
    above: dict[int, str] = {}
    for row in rows:
        line: list[Cell] = []
        below: dict[int, str] = {}
        column = 0
        for number, elements in enumerate(row.cells):
            merge = row.merges[number] if number < len(row.merges) else ""
            text = flattened(elements)
            end = bisect_left(edges, row.edges[number] - SAME_EDGE_TWIPS) + 1 if number < len(row.edges) else column + 1
            width = max(end - column, 1)
            if merge == "left" and line:
                line[-1] = Cell(line[-1].text, line[-1].width + width)
            else:
                text = above.get(column, "") if merge == "above" else text
                line.append(Cell(text, width))
                if merge in ("first", "above"):
                    below[column] = text if len(text) <= MAX_REPEATED_CHARS else ""
            column += width
        above = below
        yield line
