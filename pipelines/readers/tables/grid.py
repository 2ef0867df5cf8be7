"""Tables of texts and slides, whose cells may be merged: each line says everything that stands in its row."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ragline.pipelines.readers.tables.headings import LOOK_AHEAD, headings_of
from ragline.pipelines.readers.tables.tables import MAX_ELEMENT_CHARS, ROWS_PER_ELEMENT, table
from ragline.types import Element

MAX_REPEATED_CHARS = 200
"""A cell that is merged with those below is repeated in their rows if it is not longer, so that each row says it."""
MAX_REPEATED_IN_ALL = 1_000_000
"""Most characters that are repeated so in one table or sheet."""
MAX_WIDTH = 100
"""Most columns that one cell may cover; Word's tables have up to 63."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as it is written: it covers `width` columns and `height` rows."""

    text: str
    width: int = 1
    height: int = 1


def grid(rows: Iterable[Sequence[Cell]], *, headers: int | None = None, page: int | None = None) -> Iterator[Element]:
    """Yield the rows as table elements; as texts if no row has two filled cells. Empty rows are left out.

    `headers` counts the rows at the beginning that are headings; None: they are guessed.
    """
    given = [list(row) for row in rows]
    if not any(sum(bool(cell.text.strip()) for cell in row) > 1 for row in given):
        yield from (Element(cell.text, page=page) for row in given for cell in row if cell.text.strip())
        return
    full = [row for row in _spread(given) if any(cell.text for cell in row)]
    if headers is not None:
        headers = min(headers, len(full))
    is_short = len(full) <= ROWS_PER_ELEMENT and sum(len(cell.text) for row in full for cell in row) < MAX_ELEMENT_CHARS
    if is_short and any(cell.width > 1 for row in full for cell in row):
        yield _merged(full, headers, page)
    else:
        yield from table([_cells(row) for row in full], page=page, headers=headers)


def one_line(text: str) -> str:
    return " ".join(text.split())


def single_spaced(text: str) -> str:
    """Return the text with single blanks, its lines kept and trimmed."""
    return "\n".join(map(one_line, text.split("\n"))).strip() if "\n" in text else one_line(text)


def _spread(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Cell]]:
    """Yield rows with cells of one row each: what is merged downwards stands in all of its rows."""
    hanging: dict[int, Cell] = {}  # by the first column; `height` counts the rows still to come
    left = MAX_REPEATED_IN_ALL
    for row in rows:
        spread: list[Cell] = []
        below: dict[int, Cell] = {}
        waiting = deque(row)
        column, last = 0, max(hanging, default=-1)
        while waiting or column <= last:
            cell = hanging.pop(column, None) or (waiting.popleft() if waiting else Cell(""))
            text = one_line(cell.text)
            width = min(max(cell.width, 1), MAX_WIDTH if column < MAX_WIDTH else 1)
            spread.append(Cell(text, width))
            if cell.height > 1 and left > 0:
                below[column] = Cell(text if len(text) <= MAX_REPEATED_CHARS else "", width, cell.height - 1)
                left -= len(text) + 1
            column += width
        hanging = below
        yield spread


def _merged(rows: Sequence[Sequence[Cell]], headers: int | None, page: int | None) -> Element:
    lines = [_cells(row) for row in rows]
    if headers is None:
        filled = [{column: text for column, text in enumerate(line) if text} for line in lines]
        headers = headings_of(filled[0], filled[1 : LOOK_AHEAD + 1])
    markup = (_markup(row, "th" if number < headers else "td") for number, row in enumerate(rows))
    return Element(
        "\n".join(re.sub(r"(?: \| ?)+\Z", "", " | ".join(line)) for line in lines),
        "table",
        page=page,
        html=f"<table>{''.join(markup)}</table>",
        headers=headers,
    )


def _cells(row: Sequence[Cell]) -> list[str]:
    """Return the texts by column, empty where a cell covers more than one."""
    return [text for cell in row for text in (cell.text, *[""] * (cell.width - 1))]


def _markup(row: Sequence[Cell], tag: str) -> str:
    return f"<tr>{''.join(_cell(cell, tag) for cell in row)}</tr>"


def _cell(cell: Cell, tag: str) -> str:
    span = f' colspan="{cell.width}"' if cell.width > 1 else ""
    return f"<{tag}{span}>{escape(cell.text, quote=False)}</{tag}>"


def flattened(elements: Iterable[Element]) -> str:
    """Return what stands in one cell as its text; the rows of a table in it are separated by semicolons."""
    texts = [
        element.text.replace(" | ", ", ").replace("\n", "; ") if element.kind == "table" else element.text
        for element in elements
    ]
    return texts[0].removeprefix("- ") if len(texts) == 1 else "\n".join(texts)


def in_flow(rows: Sequence[Sequence[Sequence[Element]]]) -> bool:
    """Tell whether a table only lays out a page: it has a single column, or one row of long cells."""
    filled = [[cell for cell in row if cell] for row in rows]
    if all(len(row) < 2 for row in filled):
        return True
    return len(rows) == 1 and any(len(cell) > 1 or len(cell[0].text) > MAX_REPEATED_CHARS for cell in filled[0])
