"""Tables on a PDF's page by the lines that are ruled around their cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ragline.pipelines.readers.pdf.aligned import replaced
from ragline.pipelines.readers.pdf.columns import rows
from ragline.pipelines.readers.pdf.hyphens import joined
from ragline.pipelines.readers.pdf.lines import Line
from ragline.pipelines.readers.pdf.rulings import Grid

_CELL_CHARS = 250
"""Grids whose cells hold more on average are frames around running text."""


def ruled(lines: Sequence[Line], grids: Sequence[Grid]) -> list[Line]:
    """Return the lines with those inside a grid replaced by a line that is a table."""
    left = list(lines)
    for grid in grids:
        inside = [line for line in left if line.rows is None and _is_inside(line, grid)]
        cells = _cells(grid, inside)
        if _is_table(cells):
            left = replaced(left, inside, cells)
    return left


def _is_inside(line: Line, grid: Grid) -> bool:
    x, y = (line.left + line.right) / 2, (line.bottom + line.top) / 2
    return grid.xs[0] - 2 <= x <= grid.xs[-1] + 2 and grid.ys[-1] <= y <= grid.ys[0]


def _cells(grid: Grid, lines: Sequence[Line]) -> list[list[str]]:
    """Return the texts of a grid's cells; a row without lines between its own rows is taken apart."""
    table: list[list[str]] = []
    for top, bottom in pairwise(grid.ys):
        inside = [line for line in lines if bottom <= (line.bottom + line.top) / 2 < top]
        printed = [_printed_row(grid, row) for row in rows(inside)]
        if _are_rows(printed):
            table.extend(printed)
        elif printed:
            table.append([joined((row[column] for row in printed), ()) for column in range(len(grid.xs) - 1)])
    filled = [any(row[column] for row in table) for column in range(len(grid.xs) - 1)]
    return [[cell for cell, kept in zip(row, filled, strict=True) if kept] for row in table]


def _printed_row(grid: Grid, lines: Sequence[Line]) -> list[str]:
    cells: list[list[str]] = [[] for _ in grid.xs[1:]]
    for line in lines:
        y = (line.bottom + line.top) / 2
        borders = [(x, column) for column, x in enumerate(grid.xs[1:-1], start=1) if grid.is_ruled(x, y)]
        crossed = any(line.left < x < line.right for x, _ in borders)
        for text, start, end in line.words if crossed else [(line.text, line.left, line.right)]:
            middle = (start + end) / 2
            cells[max((column for x, column in borders if x < middle), default=0)].append(text)
    return [" ".join(cell) for cell in cells]


def _are_rows(printed: Sequence[Sequence[str]]) -> bool:
    """True for rows that no line parts, other than the lines of long cells side by side."""
    cells = [cell for row in printed for cell in row if cell]
    full = sum(sum(map(bool, row)) > 1 for row in printed)
    reads_on = sum(cell[0].islower() for cell in cells)
    return len(printed) > 2 and full >= 0.7 * len(printed) and reads_on < 0.4 * len(cells)


def _is_table(cells: Sequence[Sequence[str]]) -> bool:
    if len(cells) < 2 or len(cells[0]) < 2:
        return False
    texts = [cell for row in cells for cell in row if cell]
    full = sum(sum(map(bool, row)) > 1 for row in cells)
    spacious = sum(map(len, texts)) > _CELL_CHARS * len(texts)
    return full >= 2 and len(texts) >= 0.3 * len(cells) * len(cells[0]) and not spacious
