"""Tables on a PDF's page by columns that are aligned; only where it is sure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ragline.pipelines.readers.pdf.columns import rows
from ragline.pipelines.readers.pdf.hyphens import joined, word_count
from ragline.pipelines.readers.pdf.lines import Line
from ragline.pipelines.readers.pdf.rulings import Rulings

_GAP_EM = 1.2
"""Between two cells of a row, in font sizes; a blank between words is narrower."""
_MOST_LINES = 3_000
_EQUATION = re.compile(r"\(\d+(?:\.\d+)*[a-z]?\)")


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    left: float
    right: float
    bold: bool


@dataclass(frozen=True, slots=True)
class _Row:
    lines: Sequence[Line]
    cells: Sequence[Cell]
    top: float
    bottom: float
    size: float

    @property
    def is_parted(self) -> bool:
        gaps = (after.left - before.right for before, after in pairwise(self.cells))
        return any(gap >= _GAP_EM * self.size for gap in gaps)


def aligned(lines: Sequence[Line], rulings: Rulings, *, strict: bool) -> list[Line]:
    """Return the lines with rows whose cells stand below each other replaced by a line that is a table.

    `strict`: none that has running text in one of its columns, which may be a column of the page.
    """
    if len(lines) > _MOST_LINES:
        return list(lines)
    left = list(lines)
    for run in _runs([line for line in lines if line.rows is None]):
        cells = _aligned_cells(run)
        if cells is not None and _is_sure(cells, run, rulings, strict):
            table = [[cell.text if cell else "" for cell in row] for row in cells]
            left = replaced(left, [line for row in run for line in row.lines], _unwrapped(table, run))
    return left


def replaced(lines: list[Line], inside: Sequence[Line], table: Sequence[Sequence[str]]) -> list[Line]:
    """Return the lines with a table in the place of those `inside` it."""
    gone = {id(line) for line in inside}
    at = next(index for index, line in enumerate(lines) if id(line) in gone)
    made = Line(
        "",
        min(line.left for line in inside),
        min(line.bottom for line in inside),
        max(line.right for line in inside),
        max(line.top for line in inside),
        median(line.size for line in inside),
        False,
        rows=table,
    )
    return [*lines[:at], made, *(line for line in lines[at:] if id(line) not in gone)]


def _runs(lines: Sequence[Line]) -> Iterator[list[_Row]]:
    """Yield the rows that may be a table: at least three with a gap, a single cell between two of them at most."""
    run: list[_Row] = []
    for row in map(_row, rows(lines)):
        far = bool(run) and run[-1].bottom - row.top > 2.5 * row.size
        if run and (far or not (row.is_parted or run[-1].is_parted)):
            yield from _long(run)
            run = []
        if run or row.is_parted:
            run.append(row)
    yield from _long(run)


def _long(run: list[_Row]) -> Iterator[list[_Row]]:
    while run and not run[-1].is_parted:
        run.pop()
    if sum(row.is_parted for row in run) >= 3:
        yield run


def _row(lines: Sequence[Line]) -> _Row:
    cells: list[Cell] = []
    for line in lines:
        if cells and line.left - cells[-1].right <= 0.6 * line.size:
            last = cells[-1]
            cells[-1] = Cell(joined((last.text, line.text), ()), last.left, max(last.right, line.right), last.bold)
        else:
            cells.append(Cell(line.text, line.left, line.right, line.bold))
    return _Row(
        lines,
        cells,
        max(line.top for line in lines),
        min(line.bottom for line in lines),
        max(line.size for line in lines) or 10.0,
    )


def _aligned_cells(run: Sequence[_Row]) -> list[list[Cell | None]] | None:
    """Return the cells of rows in the columns that they share, None where they share none."""
    bounds = _columns([cell for row in run for cell in row.cells], len(run), 0.5 * median(row.size for row in run))
    if len(bounds) < 2:
        return None
    table: list[list[Cell | None]] = []
    for row in run:
        placed: list[Cell | None] = [None] * len(bounds)
        for cell in row.cells:
            column = max(range(len(bounds)), key=lambda at: _overlap(cell, bounds[at]))
            before = placed[column]
            if before is not None:
                cell = Cell(f"{before.text} {cell.text}", before.left, cell.right, before.bold)  # noqa: PLW2901
            placed[column] = cell
        table.append(placed)
    return table


def _overlap(cell: Cell, bounds: tuple[float, float]) -> float:
    return min(cell.right, bounds[1]) - max(cell.left, bounds[0])


def _columns(cells: Sequence[Cell], count: int, gutter: float) -> list[tuple[float, float]]:
    """Return where columns begin and end: between them is a gutter that next to no row crosses."""
    allowed = max(int(count > 3), count // 8)
    steps = sorted([(cell.left, 1) for cell in cells] + [(cell.right, -1) for cell in cells])
    found: list[tuple[float, float]] = []
    depth, start = 0, 0.0
    for at, step in steps:
        before, depth = depth, depth + step
        if before <= allowed < depth:
            start = at
        elif depth <= allowed < before:
            if found and start - found[-1][1] < gutter:
                found[-1] = (found[-1][0], at)
            else:
                found.append((start, at))
    return found


def _is_sure(table: list[list[Cell | None]], run: Sequence[_Row], rulings: Rulings, strict: bool) -> bool:
    columns = [[cell for cell in column if cell] for column in zip(*table, strict=True)]
    filled = sum(map(len, columns)) / (len(table) * len(columns))
    running = sum(map(_is_running, columns))
    if filled < 0.4 or min(map(len, columns)) < 2 or (running and (strict or 2 * running >= len(columns))):
        return False
    if all(_EQUATION.fullmatch(cell.text) for cell in columns[-1]):
        return False
    numbers = sum(_is_numeric(column) for column in columns[1:])
    is_framed = _framed(run, rulings)
    if len(columns) > 2:
        return numbers > 0 or is_framed or (filled >= 0.8 and _has_bold_head(table))
    return not running and filled >= 0.8 and len(table) >= 4 and (is_framed or numbers > 0)


def _is_running(cells: Sequence[Cell]) -> bool:
    """True for running text: lines of several words that begin in lower case or reach the same margin."""
    if sum(word_count(cell.text) for cell in cells) < 3 * len(cells):
        return False
    lower = sum(cell.text[0].islower() for cell in cells)
    widest = max(cell.right for cell in cells) - min(cell.left for cell in cells)
    full = sum(cell.right - cell.left >= 0.85 * widest for cell in cells)
    return lower >= 0.4 * len(cells) or (len(cells) > 3 and full >= 0.5 * len(cells))


def _is_numeric(cells: Sequence[Cell]) -> bool:
    def is_number(text: str) -> bool:
        digits = sum(map(str.isdigit, text))
        return digits > 0 and len(text) <= 24 and digits >= 0.4 * sum(map(str.isalnum, text))

    return sum(is_number(cell.text) for cell in cells) >= 0.5 * len(cells)


def _framed(run: Sequence[_Row], rulings: Rulings) -> bool:
    """True between lines that are drawn across all columns."""
    left = min(cell.left for row in run for cell in row.cells)
    right = max(cell.right for row in run for cell in row.cells)
    top, bottom = run[0].top + run[0].size, run[-1].bottom - run[-1].size
    drawn = [
        line
        for line in rulings.across
        if bottom <= line.at <= top and min(line.end, right) - max(line.start, left) >= 0.8 * (right - left)
    ]
    return len(drawn) > 1


def _has_bold_head(table: Sequence[Sequence[Cell | None]]) -> bool:
    head, *body = table
    return all(cell.bold for cell in head if cell) and not any(cell.bold for row in body for cell in row[1:] if cell)


def _unwrapped(table: list[list[str]], run: Sequence[_Row]) -> list[list[str]]:
    """Join rows that only go on with the words of the row above."""
    made = [table[0]]
    for (above, below), cells in zip(pairwise(run), table[1:], strict=True):
        close = above.bottom - below.top < 0.35 * below.size
        goes_on = not cells[0] and not any(char.isdigit() for cell in cells for char in cell)
        if (
            close
            and goes_on
            and len(made) > 1
            and all(before for before, cell in zip(made[-1], cells, strict=True) if cell)
        ):
            made[-1] = [joined((before, cell), ()) for before, cell in zip(made[-1], cells, strict=True)]
        else:
            made.append(cells)
    return made
